import json

import msgspec
import pytest

from kgents_collector_k8s.mapping.metrics import node_pulse, pod_pulses
from kgents_collector_k8s.objects.metrics import NodeMetrics, PodMetrics
from kgents_shared.contract.pulse import ResourcePulse
from support.k8s_objects import SCOPE, Raw, load, mapped
from support.vocabulary import only_declared

ENTITIES = {entity.ref: entity for name in ("pod", "node") for entity in mapped(load(name)).entities}


def pods(raw: Raw) -> list[ResourcePulse]:
    return only_declared(
        pod_pulses(msgspec.json.decode(json.dumps(raw), type=PodMetrics), ENTITIES.get, SCOPE, interval_s=30)
    )


def test_a_pod_and_its_containers_are_measured_against_what_they_may_use() -> None:
    pod, cart, proxy = pods(load("pod_metrics"))
    assert [each.ref.kind for each in (pod, cart, proxy)] == ["pod", "container", "container"]
    assert (cart.cpu_percent, cart.memory_bytes, cart.memory_limit_bytes) == (12.5, 128 * 2**20, 256 * 2**20)
    assert cart.custom == {
        "cpu_limit_percent": 50.0,
        "cpu_request_ratio": 0.5,
        "cpu_limit_ratio": 0.25,
        "memory_request_ratio": 1.0,
        "memory_limit_ratio": 0.5,
    }
    assert pod.cpu_percent == pytest.approx(12.5 + 1.2346)
    assert pod.memory_bytes == 148 * 2**20
    assert cart.uid == ENTITIES[cart.ref].uid
    assert (cart.timestamp.isoformat(), cart.interval_s) == ("2026-11-21T09:00:00+00:00", 30)


def test_without_a_limit_there_is_no_ratio_to_it() -> None:
    raw = load("pod_metrics")
    raw["containers"] = [{"name": "migrate", "usage": {"cpu": "1m", "memory": "1Mi"}}]
    migrate = pods(raw)[1]
    assert (migrate.memory_limit_bytes, migrate.custom) == (None, {})


def test_what_is_not_known_of_one_container_is_not_known_of_the_pod() -> None:
    raw = load("pod_metrics")
    raw["containers"][0]["usage"] = {"memory": "1Mi"}
    pod = pods(raw)[0]
    assert pod.cpu_percent is None
    assert pod.memory_bytes == 21 * 2**20


def test_what_is_not_among_our_entities_has_no_pulse() -> None:
    raw = load("pod_metrics")
    raw["metadata"]["name"] = "gone"
    assert pods(raw) == []


def test_a_node_is_measured_against_its_machine() -> None:
    raw = load("node_metrics")
    found = node_pulse(msgspec.json.decode(json.dumps(raw), type=NodeMetrics), ENTITIES.get, SCOPE, interval_s=30)
    assert found is not None
    assert (found.cpu_percent, found.memory_limit_bytes) == (196.0, 16073528 * 1024)
    assert found.custom == {
        "cpu_limit_percent": 400.0,
        "cpu_allocatable_ratio": 0.5,
        "memory_allocatable_ratio": pytest.approx(0.5338, abs=1e-4),
    }


def test_a_node_that_is_not_known_has_no_pulse() -> None:
    raw = {**load("node_metrics"), "metadata": {"name": "gone"}}
    assert (
        node_pulse(msgspec.json.decode(json.dumps(raw), type=NodeMetrics), ENTITIES.get, SCOPE, interval_s=30) is None
    )
