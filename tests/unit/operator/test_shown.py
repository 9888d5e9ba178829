"""collector-k8s shows what the operator makes by the rules of deploy/config/kubernetes.yaml."""

from pathlib import Path

import msgspec
import yaml

from kgents_collector_k8s.config import Config
from kgents_collector_k8s.mapping.custom import CustomRule, kind
from kgents_collector_k8s.mapping.fragment import Scope
from kgents_collector_k8s.objects.custom import CustomObject
from support.operated import postgres
from support.operated_qdrant import qdrant
from support.operated_redis import redis

EXAMPLE = Path(__file__).parents[3] / "deploy/config/kubernetes.yaml"


def rule_of(resource: str) -> CustomRule:
    rules = msgspec.convert(yaml.safe_load(EXAMPLE.read_text())["collector-k8s"]["custom"], list[CustomRule])
    (rule,) = (each for each in rules if (each.group, each.resource) == ("kgents.io", resource))
    return rule


def test_a_resource_is_an_entity_that_depends_on_its_services() -> None:
    rule = rule_of("postgresclusters")
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


def test_a_rediscluster_is_one_too() -> None:
    rule = rule_of("redisclusters")
    found = redis(tls={"secretName": "cert"})
    found["metadata"] |= {"uid": "u-1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    found["status"] = {
        "phase": "Running", "endpoint": "cache.shop.svc:6379", "replicasEndpoint": "cache-replicas.shop.svc:6379",
        "conditions": [{"type": "Ready", "status": "True", "reason": "Running"}],
    }  # fmt: skip
    (entity,) = kind(rule).fragment(msgspec.convert(found, CustomObject), Scope("test")).entities
    assert (entity.ref.kind, entity.status) == ("rediscluster", "running")
    peers = {str(each.peer) for each in entity.connections}
    assert {"cache.shop.svc:6379", "cache-replicas.shop.svc:6379"} <= peers
    assert any("cert" in peer for peer in peers)


def test_a_qdrantcluster_is_one_too() -> None:
    found = qdrant(tls={"secretName": "cert"})
    found["metadata"] |= {"uid": "u-1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    found["status"] = {
        "phase": "Degraded", "endpoint": "vectors.shop.svc:6333",
        "conditions": [{"type": "Ready", "status": "False", "reason": "PeersNotReady"}],
    }  # fmt: skip
    shown = kind(rule_of("qdrantclusters"))
    (entity,) = shown.fragment(msgspec.convert(found, CustomObject), Scope("test")).entities
    assert (entity.ref.kind, entity.status, entity.reason) == ("qdrantcluster", "failed", "PeersNotReady")
    peers = {str(each.peer) for each in entity.connections}
    assert "vectors.shop.svc:6333" in peers
    assert any("cert" in peer for peer in peers)
