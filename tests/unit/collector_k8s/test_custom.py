import json
from typing import Any

import msgspec
import pytest

from kgents_collector_k8s.config import Config
from kgents_collector_k8s.mapping.custom import ConnectionRule, CustomRule, StatusRule, kind
from kgents_collector_k8s.mapping.fragment import Fragment
from support.k8s_objects import SCOPE, edges, load

RULE: dict[str, Any] = {
    "group": "postgresql.cnpg.io",
    "version": "v1",
    "resource": "clusters",
    "api_kind": "Cluster",
    "kind": "postgres_cluster",
}


def mapped(**rule: Any) -> Fragment:
    found = kind(CustomRule(**{**RULE, **rule}))
    return found.fragment(msgspec.json.decode(json.dumps(load("custom")), type=found.type), SCOPE)


def test_a_rule_makes_a_kind() -> None:
    found = kind(CustomRule(**RULE))
    assert (found.kind, found.api_kind, found.group, found.version) == (
        "postgres_cluster", "Cluster", "postgresql.cnpg.io", "v1",
    )  # fmt: skip
    assert (found.resource, found.is_optional, found.is_namespaced) == ("clusters", True, True)
    assert kind(CustomRule(**{**RULE, "kind": ""})).kind == "cluster"


def test_attributes_come_from_paths() -> None:
    entity = mapped(
        attributes={
            "db.instances": "spec.instances",
            "db.primary": "status.currentPrimary",
            "db.claims": "spec.backup.volumes[].claim",
            "db.nothing": "spec.missing.deep",
            "db.object": "spec.backup",
        }
    ).entities[0]
    assert entity.attributes == {"db.instances": 3, "db.primary": "orders-1", "db.claims": ["orders-1", "orders-2"]}
    assert str(entity.ref) == "postgres_cluster shop/orders"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (StatusRule(), ("running", "")),
        (StatusRule(condition="Ready"), ("failed", "ClusterIsNotReady")),
        (StatusRule(condition="Ready", words={"ClusterIsNotReady": "pending"}), ("pending", "ClusterIsNotReady")),
        (StatusRule(condition="Missing"), ("pending", "")),
        (StatusRule(path="status.phase", words={"Cluster in healthy state": "running"}), ("running", "")),
        (StatusRule(path="status.phase"), ("unknown", "Cluster in healthy state")),
        (StatusRule(path="status.missing"), ("pending", "")),
    ],
)
def test_status_comes_from_a_condition_or_a_word(status: StatusRule, expected: tuple[str, str]) -> None:
    entity = mapped(status=status).entities[0]
    assert (entity.status, entity.reason) == expected


def test_connections_come_from_paths_and_say_from_which() -> None:
    fragment = mapped(
        connections=[
            ConnectionRule(kind="configures", peer_kind="secret", name="spec.superuserSecret.name", direction="in"),
            ConnectionRule(kind="volume", peer_kind="volume", name="spec.backup.volumes[].claim"),
            ConnectionRule(kind="routes", name="status.writeService", direction="in"),
            ConnectionRule(kind="depends", peer_kind="service", name="spec.missing"),
        ]
    )
    assert edges(fragment.entities[0]) == [
        ("configures", "in", "secret shop/orders-superuser"),
        ("volume", "out", "volume shop/orders-1"),
        ("volume", "out", "volume shop/orders-2"),
        ("routes", "in", "orders-rw.shop.svc:5432"),
    ]
    assert [each.evidence for each in fragment.entities[0].connections][:2] == [
        "spec.superuserSecret.name",
        "spec.backup.volumes[].claim",
    ]
    assert [str(ref) for ref in fragment.references] == ["secret shop/orders-superuser"]


@pytest.mark.parametrize(
    "path",
    ["metadata.annotations.x", "data.password", "spec", "spec..x", "spec.x[0]", "status.a b", "metadata.managedFields"],
)
def test_a_path_outside_spec_and_status_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="expected a path below spec or status"):
        CustomRule(**RULE, attributes={"x": path})


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"kind": "service"}, "built in"),
        ({"group": ""}, "kubectl api-resources"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(rule: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CustomRule(**{**RULE, **rule})


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"condition": "Ready", "path": "status.phase"}, "found both"),
        ({"path": "status.phase", "words": {"Ok": "fine"}}, "words.Ok: expected one of running"),
        ({"reason": "metadata.annotations.why"}, "expected a path below spec or status"),
    ],
)
def test_a_status_rule_that_cannot_be_meant_is_refused(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StatusRule(**rule)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"direction": "both"}, "expected in or out"),
        ({"kind": ""}, "expected a kind of connection"),
        ({"namespace": "spec.a[].b"}, "one value"),
    ],
)
def test_a_connection_rule_that_cannot_be_meant_is_refused(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConnectionRule(**{"kind": "depends", "name": "spec.x", **rule})


def test_two_rules_may_not_make_one_kind() -> None:
    rules = [CustomRule(**{**RULE, "kind": "", "group": group}) for group in ("postgresql.cnpg.io", "cluster.x-k8s.io")]
    with pytest.raises(ValueError, match="a kind of its own for each rule, found cluster, as in custom"):
        Config(custom=rules)
