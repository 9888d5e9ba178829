import json

import msgspec
import pytest

from kgents_collector_k8s.mapping import CATALOGUE, referenced
from kgents_collector_k8s.mapping import custom as rules
from kgents_collector_k8s.mapping.event import event
from kgents_collector_k8s.objects.custom import CustomObject
from kgents_collector_k8s.objects.event import Event
from kgents_shared.contract.entity import Ref
from support.k8s_objects import CANARY, DATA, MAPPED, NAMES, SCOPE, golden, kind_of, load, mapped

EVENTS = [name for name in NAMES if name.startswith("event")]


@pytest.mark.parametrize("name", MAPPED)
def test_an_object_is_mapped_as_it_was_reviewed(name: str) -> None:
    written = (DATA / f"{name}.fragment.json").read_text()
    assert golden(mapped(load(name))) == written, (
        "if that is meant: python tests/support/k8s_objects.py, and read the diff"
    )


def test_every_kind_of_the_catalogue_has_an_object() -> None:
    assert {kind_of(load(name)) for name in MAPPED} == set(CATALOGUE)


def test_no_two_kinds_of_the_catalogue_are_served_at_one_path() -> None:
    assert len({(kind.group, kind.resource) for kind in CATALOGUE}) == len(CATALOGUE)
    assert not [kind for kind in CATALOGUE if kind.resource in ("secrets", "configmaps")]


@pytest.mark.parametrize("name", [name for name in NAMES if not name.endswith("_metrics")])
def test_every_object_holds_canaries(name: str) -> None:
    assert CANARY in json.dumps(load(name)).encode()


@pytest.mark.parametrize("name", MAPPED)
def test_no_canary_is_published(name: str) -> None:
    assert CANARY not in msgspec.json.encode(mapped(load(name)))


@pytest.mark.parametrize("name", EVENTS)
def test_no_canary_of_an_events_metadata_is_published(name: str) -> None:
    decoded = msgspec.json.decode(json.dumps(load(name)), type=Event)
    assert CANARY not in msgspec.json.encode(event(decoded, SCOPE))


def test_no_canary_of_a_custom_resource_is_published() -> None:
    decoded = msgspec.json.decode(json.dumps(load("custom")), type=CustomObject)
    rule = rules.CustomRule(group="postgresql.cnpg.io", version="v1", resource="clusters", api_kind="Cluster")
    assert CANARY not in msgspec.json.encode(rules.kind(rule).fragment(decoded, SCOPE))


def test_a_secret_is_known_by_name_alone() -> None:
    ref = Ref("prod", "secret", "shop-tls", "shop")
    entity = referenced(ref)
    assert (entity.ref, entity.status, entity.reason, entity.uid) == (ref, "running", "Referenced", "")
