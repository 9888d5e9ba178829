"""Laws of the Kubernetes mapping: what it may not publish, what must not matter to it, and kubectl as its oracle."""

import json
import random
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgents_collector_k8s.mapping.pod_status import status_of, word_of
from kgents_shared.contract.entity import STATUSES
from kgents_shared.kubernetes.quantity import integer, number
from support.k8s_objects import CANARY, MAPPED, Raw, decode, golden, load, mapped

PLAIN_MAPS = ("annotations", "labels", "matchLabels", "selector", "requests", "limits", "capacity", "allocatable")
"""Mappings whose keys are names that users give: there is no field in them that could be unknown."""

ORDERED = (
    "containers", "initContainers", "ephemeralContainers", "initContainerStatuses", "containerStatuses", "podIPs",
    "clusterIPs", "externalIPs", "ports", "addresses", "endpoints", "ingress", "paths", "rules", "listeners",
    "hostnames", "backendRefs", "parentRefs",
)  # fmt: skip
"""Lists whose order means something, or is the order in which we publish."""

CONTEXT = Context(prec=200)
SUFFIXES = {
    "n": "1e-9", "u": "1e-6", "m": "1e-3", "": "1", "k": "1e3", "M": "1e6", "G": "1e9", "T": "1e12", "P": "1e15",
    "E": "1e18", "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
}  # fmt: skip


@settings(max_examples=500)
@given(
    digits=st.from_regex(r"[+-]?([0-9]{1,20}(\.[0-9]{0,9})?|\.[0-9]{1,9})", fullmatch=True),
    ending=st.one_of(st.sampled_from(sorted(SUFFIXES)), st.integers(-30, 30).map(lambda power: f"e{power}")),
)
def test_a_quantity_is_exactly_what_slow_arithmetic_says(digits: str, ending: str) -> None:
    factor = Decimal(str(SUFFIXES[ending])) if ending in SUFFIXES else Decimal(f"1{ending}")
    exact = CONTEXT.multiply(Decimal(digits), factor)
    assert number(digits + ending) == float(exact)
    assert integer(digits + ending) == int(exact.to_integral_value(ROUND_CEILING, CONTEXT))


@given(st.text(max_size=80))
def test_no_text_breaks_a_quantity(text: str) -> None:
    found = number(text)
    assert found is None or isinstance(found, float)


def with_unknown_fields(node: Any, draw: random.Random) -> Any:
    """The same object with fields of a newer API, each with a secret in it, wherever there can be one."""
    if isinstance(node, list):
        return [with_unknown_fields(each, draw) for each in node]
    if not isinstance(node, dict):
        return node
    found = {key: value if key in PLAIN_MAPS else with_unknown_fields(value, draw) for key, value in node.items()}
    if "annotations" in found:
        found["annotations"] = {**found["annotations"], "newer.example.com/token": "CANARY"}
    if draw.random() < 0.7:
        found["newerField"] = draw.choice(["CANARY", {"value": "CANARY"}, ["CANARY"], None, 7])
    return found


def shuffled(node: Any, draw: random.Random, key: str = "") -> Any:
    """The same object with its lists in another order, where their order means nothing."""
    if isinstance(node, dict):
        return {name: shuffled(value, draw, name) for name, value in node.items()}
    if not isinstance(node, list):
        return node
    found = [shuffled(each, draw) for each in node]
    return found if key in ORDERED else draw.sample(found, len(found))


@pytest.mark.parametrize("name", MAPPED)
@settings(max_examples=10)
@given(seed=st.integers(0, 2**32))
def test_what_we_do_not_know_is_not_published_and_changes_nothing(name: str, seed: int) -> None:
    raw = load(name)
    found = mapped(with_unknown_fields(raw, random.Random(seed)))
    assert found == mapped(raw)
    assert CANARY not in msgspec.json.encode(found)


@pytest.mark.parametrize("name", MAPPED)
@settings(max_examples=10)
@given(seed=st.integers(0, 2**32))
def test_the_order_of_lists_changes_nothing(name: str, seed: int) -> None:
    raw = load(name)
    assert golden(mapped(shuffled(raw, random.Random(seed)))) == golden(mapped(raw))


@pytest.mark.parametrize("name", MAPPED)
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_an_object_with_any_optional_part_missing_or_null_is_still_mapped(name: str, seed: int) -> None:
    draw = random.Random(seed)
    raw = load(name)
    for part in ("spec", "status"):
        fields: Raw = raw.get(part, {})
        for key in list(fields):
            if draw.random() < 0.3:
                del fields[key]
            elif isinstance(fields[key], list) and draw.random() < 0.3:
                fields[key] = None
    fragment = mapped(raw)
    assert all(entity.status in STATUSES for entity in fragment.entities)
    assert len({entity.ref for entity in fragment.entities}) == len(fragment.entities)


reasons = st.sampled_from(["", "", "Completed", "Error", "OOMKilled", "CrashLoopBackOff", "PodInitializing"])
states = st.one_of(
    st.just({}),
    st.just({"running": {}}),
    st.builds(lambda reason: {"waiting": {"reason": reason}}, reasons),
    st.builds(
        lambda reason, code, signal: {"terminated": {"reason": reason, "exitCode": code, "signal": signal}},
        reasons,
        st.sampled_from([0, 0, 1, 137]),
        st.sampled_from([0, 9]),
    ),
)
statuses = st.lists(
    st.fixed_dictionaries({"state": states, "ready": st.booleans()}, optional={"started": st.booleans()}), max_size=3
)
conditions = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["Ready", "Initialized", "PodScheduled"]),
            "status": st.sampled_from(["True", "False"]),
            "reason": st.sampled_from(["", "SchedulingGated", "Unschedulable"]),
        }
    ),
    max_size=3,
    unique_by=lambda each: str(each["type"]),
)
pods = st.builds(
    lambda phase, reason, found, init, stated, sidecars, deleted: {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", **({"deletionTimestamp": "2026-11-21T09:00:00Z"} if deleted else {})},
        "spec": {
            "initContainers": [
                {"name": f"i{index}", **({"restartPolicy": "Always"} if index in sidecars else {})}
                for index in range(len(init))
            ]
        },
        "status": {
            "phase": phase,
            "reason": reason,
            "conditions": stated,
            "initContainerStatuses": [{"name": f"i{index}", **each} for index, each in enumerate(init)],
            "containerStatuses": [{"name": f"c{index}", **each} for index, each in enumerate(found)],
        },
    },
    st.sampled_from(["Pending", "Running", "Succeeded", "Failed"]),
    st.sampled_from(["", "", "Evicted", "NodeLost"]),
    statuses,
    statuses,
    conditions,
    st.sets(st.integers(0, 2)),
    st.booleans(),
)


@settings(max_examples=1_000)
@given(raw=pods)
def test_a_pod_is_what_kubectl_says(raw: Raw) -> None:
    pod = decode(raw)
    assert word_of(pod) == kubectl(json.loads(json.dumps(raw)))
    assert status_of(pod, word_of(pod))[0] in STATUSES


def kubectl(pod: Raw) -> str:
    """`printPod` of Kubernetes' pkg/printers, step by step as it stands there."""
    status = pod["status"]
    reason = status["reason"] or status["phase"]
    true = {each["type"] for each in status["conditions"] if each["status"] == "True"}
    for each in status["conditions"]:
        if each["type"] == "PodScheduled" and each["reason"] == "SchedulingGated":
            reason = "SchedulingGated"
    spec = {each["name"]: each for each in pod["spec"]["initContainers"]}
    initializing = initializing_reason(status["initContainerStatuses"], spec)
    if initializing is not None:
        reason = initializing
    if initializing is None or "Initialized" in true:
        reason = printed(status["containerStatuses"], reason, is_ready="Ready" in true)
    if "deletionTimestamp" in pod["metadata"] and status["reason"] == "NodeLost":
        return "Unknown"
    if "deletionTimestamp" in pod["metadata"] and status["phase"] not in ("Succeeded", "Failed"):
        return "Terminating"
    return str(reason)


def initializing_reason(containers: list[Raw], spec: dict[str, Raw]) -> str | None:
    for index, container in enumerate(containers):
        terminated, waiting = container["state"].get("terminated"), container["state"].get("waiting")
        if terminated is not None and terminated["exitCode"] == 0:
            continue
        if spec[container["name"]].get("restartPolicy") == "Always" and container.get("started"):
            continue
        if terminated is not None:
            return "Init:" + ending(terminated)
        if waiting is not None and waiting["reason"] and waiting["reason"] != "PodInitializing":
            return "Init:" + str(waiting["reason"])
        return f"Init:{index}/{len(spec)}"
    return None


def printed(containers: list[Raw], reason: str, *, is_ready: bool) -> str:
    has_running, error = False, ""
    for index in range(len(containers) - 1, -1, -1):
        container = containers[index]
        terminated, waiting = container["state"].get("terminated"), container["state"].get("waiting")
        if waiting is not None and waiting["reason"] != "":
            reason = waiting["reason"]
        elif terminated is not None:
            reason = ending(terminated)
            if terminated["exitCode"] != 0:
                error = reason
        elif container["ready"] and "running" in container["state"]:
            has_running = True
    if reason == "Completed":
        if has_running and is_ready:
            return "Running"
        if error:
            return error
        if has_running:
            return "NotReady"
    return reason


def ending(terminated: Raw) -> str:
    if terminated["reason"]:
        return str(terminated["reason"])
    return f"Signal:{terminated['signal']}" if terminated["signal"] else f"ExitCode:{terminated['exitCode']}"
