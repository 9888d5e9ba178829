"""collector-k8s shows a PostgresCluster by the rule of deploy/config/kubernetes.yaml."""

from pathlib import Path

import msgspec
import yaml

from kgents_collector_k8s.config import Config
from kgents_collector_k8s.mapping.custom import CustomRule, kind
from kgents_collector_k8s.mapping.fragment import Scope
from kgents_collector_k8s.objects.custom import CustomObject
from support.operated import postgres

EXAMPLE = Path(__file__).parents[3] / "deploy/config/kubernetes.yaml"


def test_a_resource_is_an_entity_that_depends_on_its_services() -> None:
    rules = msgspec.convert(yaml.safe_load(EXAMPLE.read_text())["collector-k8s"]["custom"], list[CustomRule])
    (rule,) = (each for each in rules if each.group == "kgents.io")
    found = postgres(tls={"secretName": "cert"})
    found["metadata"] |= {"uid": "u-1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    found["status"] = {
        "phase": "Degraded", "backend": "builtin", "endpoint": "orders.shop.svc:5432",
        "conditions": [{"type": "Ready", "status": "False", "reason": "PoolerNotReady"}],
    }  # fmt: skip
    shown = kind(rule)
    (entity,) = shown.fragment(msgspec.convert(found, CustomObject), Scope("test")).entities
    assert (entity.ref.kind, entity.status, entity.reason) == ("postgrescluster", "failed", "PoolerNotReady")
    peers = {(each.kind, str(each.peer)) for each in entity.connections}
    assert ("depends", "orders.shop.svc:5432") in peers
    assert any("cert" in peer for _, peer in peers)
    assert Config(custom=[rule]).kinds[-1].resource == "postgresclusters"
