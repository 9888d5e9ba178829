from typing import Any

import pytest

from kgents_collector_k8s.mapping.pod_status import restarts, status_of, word_of
from support.k8s_objects import Raw, decode, load, mapped


def running(**more: object) -> Raw:
    return {"state": {"running": {}}, "ready": True, "started": True, **more}


def waiting(reason: str = "") -> Raw:
    return {"state": {"waiting": {"reason": reason}}}


def ended(code: int, reason: str = "", signal: int = 0) -> Raw:
    return {"state": {"terminated": {"exitCode": code, "reason": reason, "signal": signal}}}


def pod(
    *containers: Raw,
    phase: str = "Running",
    init: tuple[Raw, ...] = (),
    sidecars: tuple[int, ...] = (),
    ready: bool = True,
    restart: str = "Always",
    conditions: tuple[Raw, ...] = (),
    reason: str = "",
    deleted: bool = False,
) -> Any:
    """A pod whose containers `c0`, `c1`, … and `i0`, `i1`, … are in these states."""
    raw = load("pod")
    raw["spec"]["containers"] = [{"name": f"c{index}", "image": "x"} for index in range(len(containers))]
    raw["spec"]["initContainers"] = [
        {"name": f"i{index}", "image": "x", **({"restartPolicy": "Always"} if index in sidecars else {})}
        for index in range(len(init))
    ]
    raw["spec"]["restartPolicy"] = restart
    raw["status"] = {
        "phase": phase,
        "reason": reason,
        "conditions": [{"type": "Ready", "status": str(ready)}, *conditions],
        "containerStatuses": [{"name": f"c{index}", **state} for index, state in enumerate(containers)],
        "initContainerStatuses": [{"name": f"i{index}", **state} for index, state in enumerate(init)],
    }
    if deleted:
        raw["metadata"]["deletionTimestamp"] = "2026-11-21T09:00:00Z"
    return decode(raw)


INITIALIZED = ({"type": "Initialized", "status": "True"},)
GATED = ({"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"},)
UNSCHEDULABLE = ({"type": "PodScheduled", "status": "False", "reason": "Unschedulable"},)


@pytest.mark.parametrize(
    ("found", "word", "status", "reason"),
    [
        (pod(running()), "Running", "running", ""),
        (pod(running(ready=False), ready=False), "Running", "running", "NotReady"),
        (pod(running(), ended(0, "Completed")), "Running", "running", ""),
        (pod(running(), ended(0, "Completed"), ready=False), "NotReady", "running", "NotReady"),
        (pod(running(), ended(1, "Error"), ready=False), "Error", "failed", "Error"),
        (pod(ended(0, "Completed"), ended(1, "Error"), ready=False), "Error", "failed", "Error"),
        (pod(ended(1, "Error"), ended(0, "Completed"), phase="Failed"), "Error", "failed", "Error"),
        (pod(waiting("CrashLoopBackOff"), running()), "CrashLoopBackOff", "failed", "CrashLoopBackOff"),
        (pod(waiting("ContainerCreating"), phase="Pending"), "ContainerCreating", "pending", "ContainerCreating"),
        (pod(waiting("ErrImagePull"), phase="Pending"), "ErrImagePull", "failed", "ErrImagePull"),
        (pod(ended(137, "OOMKilled")), "OOMKilled", "failed", "OOMKilled"),
        (pod(ended(137, signal=9)), "Signal:9", "failed", "Signal:9"),
        (pod(ended(3)), "ExitCode:3", "failed", "ExitCode:3"),
        (pod(ended(0, "Completed"), phase="Succeeded", restart="Never"), "Completed", "succeeded", ""),
        (pod(ended(0, "Completed")), "Completed", "pending", "Completed"),
        (pod(ended(0, "Completed"), ended(0, signal=9), phase="Succeeded"), "Completed", "succeeded", ""),
        (
            pod(ended(1, "Completed"), {"state": {}}, running(), phase="Succeeded", ready=False),
            "Completed",
            "succeeded",
            "",
        ),
        (pod(phase="Pending"), "Pending", "pending", ""),
        (pod(phase="Pending", conditions=UNSCHEDULABLE), "Pending", "pending", "Unschedulable"),
        (pod(phase="Pending", conditions=GATED), "SchedulingGated", "pending", "SchedulingGated"),
        (pod(phase="Failed", reason="Evicted"), "Evicted", "failed", "Evicted"),
        (pod(phase="Failed"), "Failed", "failed", ""),
        (pod(phase=""), "Unknown", "unknown", "Unknown"),
        (pod(running(), deleted=True), "Terminating", "terminating", ""),
        (pod(ended(0, "Completed"), phase="Succeeded", deleted=True), "Completed", "succeeded", ""),
        (pod(running(), reason="NodeLost", deleted=True), "Unknown", "unknown", "Unknown"),
        (pod(phase="Running", reason="NodeLost"), "NodeLost", "unknown", "NodeLost"),
        (pod(waiting(), phase="Pending", init=(running(), waiting())), "Init:0/2", "pending", "Init:0/2"),
        (pod(phase="Pending", init=(ended(0, "Completed"), waiting())), "Init:1/2", "pending", "Init:1/2"),
        (pod(phase="Pending", init=(waiting("PodInitializing"),)), "Init:0/1", "pending", "Init:0/1"),
        (pod(phase="Pending", init=(ended(1, "Error"),)), "Init:Error", "failed", "Init:Error"),
        (pod(phase="Pending", init=(ended(1),)), "Init:ExitCode:1", "failed", "Init:ExitCode:1"),
        (pod(phase="Pending", init=(ended(1, signal=9),)), "Init:Signal:9", "failed", "Init:Signal:9"),
        (
            pod(phase="Pending", init=(waiting("CrashLoopBackOff"),)),
            "Init:CrashLoopBackOff",
            "failed",
            "Init:CrashLoopBackOff",
        ),
        (pod(running(), init=(running(),), sidecars=(0,)), "Running", "running", ""),
        (
            pod(phase="Pending", init=(running(started=False), waiting()), sidecars=(0,)),
            "Init:0/2",
            "pending",
            "Init:0/2",
        ),
        (pod(running(), init=(waiting("CrashLoopBackOff"),), sidecars=(0,)), "Init:CrashLoopBackOff", "failed", None),
        (
            pod(running(), init=(waiting("X"),), sidecars=(0,), conditions=INITIALIZED),
            "Init:X",
            "failed",
            "Init:X",
        ),
        (
            pod(waiting("CrashLoopBackOff"), init=(waiting("X"),), sidecars=(0,), conditions=INITIALIZED),
            "CrashLoopBackOff",
            "failed",
            "CrashLoopBackOff",
        ),
    ],
)
def test_a_pod_is_what_kubectl_says(found: Any, word: str, status: str, reason: str | None) -> None:
    assert word_of(found) == word
    assert status_of(found, word) == (status, word if reason is None else reason)


@pytest.mark.parametrize(
    ("found", "word", "reason"),
    [
        (pod(ended(0, "Completed"), phase="Failed", reason="Evicted"), "Completed", "Evicted"),
        (pod(waiting("ContainerCreating"), phase="Failed", reason="DeadlineExceeded"), None, "DeadlineExceeded"),
        (pod(waiting("PodInitializing"), init=(waiting(),), phase="Failed", reason="Evicted"), "Init:0/1", "Evicted"),
        (pod(ended(0, "Completed"), phase="Failed"), "Completed", ""),
        (pod(ended(0, "Completed"), running(), phase="Failed", reason="Terminated"), "Running", "Terminated"),
        (pod(ended(143, "Error"), phase="Failed", reason="Evicted"), "Error", "Error"),
    ],
)
def test_a_pod_that_has_failed_has_failed_however_its_containers_stand(
    found: Any, word: str | None, reason: str
) -> None:
    assert word_of(found) == (word or "ContainerCreating")
    assert status_of(found, word_of(found)) == ("failed", reason)


def test_an_oom_kill_is_still_reported_when_the_container_runs_again() -> None:
    entities = mapped(load("pod")).entities
    assert (entities[0].status, entities[0].reason) == ("running", "")
    assert entities[0].attributes["kgents.k8s.pod.status.last_terminated_reason"] == "OOMKilled"
    assert entities[1].attributes["k8s.container.status.last_terminated_reason"] == "OOMKilled"
    assert entities[1].attributes["kgents.k8s.container.status.last_terminated_exit_code"] == 137


@pytest.mark.parametrize(
    ("state", "status", "reason"),
    [
        (running(), "running", ""),
        (running(ready=False), "running", "NotReady"),
        (waiting("ContainerCreating"), "pending", "ContainerCreating"),
        (waiting(), "pending", ""),
        (waiting("ImagePullBackOff"), "failed", "ImagePullBackOff"),
        (ended(0, "Completed"), "succeeded", ""),
        (ended(2), "failed", "ExitCode:2"),
        ({"state": {}}, "pending", ""),
    ],
)
def test_a_container_has_its_own_status(state: Raw, status: str, reason: str) -> None:
    raw = load("pod_crash_loop")
    raw["status"]["containerStatuses"] = [{"name": "cart", **state}]
    found = mapped(raw).entities[1]
    assert (found.status, found.reason) == (status, reason)


def test_on_a_lost_node_nothing_is_known_of_containers() -> None:
    found = mapped(load("pod_node_lost")).entities[1]
    assert (found.status, found.reason) == ("unknown", "NodeLost")


LAST_OOM = {"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}


@pytest.mark.parametrize(
    ("found", "word", "status", "reason"),
    [
        (pod(waiting("CrashLoopBackOff") | LAST_OOM), "CrashLoopBackOff", "failed", "OOMKilled"),
        (pod(running(), waiting("CrashLoopBackOff") | LAST_OOM), "CrashLoopBackOff", "failed", "OOMKilled"),
        (pod(waiting("CrashLoopBackOff"), running(**LAST_OOM)), "CrashLoopBackOff", "failed", "CrashLoopBackOff"),
        (
            pod(running(), init=(waiting("CrashLoopBackOff") | LAST_OOM,)),
            "Init:CrashLoopBackOff",
            "failed",
            "OOMKilled",
        ),
        (pod(running(**LAST_OOM)), "Running", "running", ""),
    ],
)
def test_a_container_held_back_after_it_was_killed_for_memory_says_that(
    found: Any, word: str, status: str, reason: str
) -> None:
    assert word_of(found) == word
    assert status_of(found, word) == (status, reason)


def test_the_container_says_it_too() -> None:
    raw = load("pod_crash_loop")
    status = raw["status"]["containerStatuses"][0]
    status |= waiting("CrashLoopBackOff") | LAST_OOM
    found = next(each for each in mapped(raw).entities if each.ref.name.endswith(f"/{status['name']}"))
    assert (found.status, found.reason) == ("failed", "OOMKilled")


@pytest.mark.parametrize(
    ("states", "pod_reason", "found"),
    [
        ([], "Evicted", ("failed", "Evicted")),
        ([{"name": "cart", **waiting("PodInitializing")}], "", ("failed", "NeverStarted")),
        ([{"name": "cart", **waiting("ContainerCreating")}], "DeadlineExceeded", ("failed", "DeadlineExceeded")),
        ([{"name": "cart", **ended(0, "Completed")}], "", ("succeeded", "")),
        ([{"name": "cart", **ended(3)}], "Evicted", ("failed", "ExitCode:3")),
        ([{"name": "cart", **waiting("CrashLoopBackOff")}], "Evicted", ("failed", "CrashLoopBackOff")),
    ],
)
def test_no_container_of_a_pod_that_is_over_is_awaited(
    states: list[Raw], pod_reason: str, found: tuple[str, str]
) -> None:
    raw = load("pod_crash_loop")
    raw["status"] |= {"phase": "Failed", "reason": pod_reason, "containerStatuses": states}
    container = mapped(raw).entities[1]
    assert (container.status, container.reason) == found


@pytest.mark.parametrize(
    ("found", "count"),
    [
        (pod(running(restartCount=2), init=(ended(0) | {"restartCount": 5},)), 2),
        (pod(running(restartCount=2), init=(running(restartCount=4),), sidecars=(0,)), 6),
        (pod(phase="Pending", init=(waiting("CrashLoopBackOff") | {"restartCount": 5},)), 5),
        (pod(running(restartCount=1), init=(waiting() | {"restartCount": 5},), conditions=INITIALIZED), 1),
    ],
)
def test_restarts_are_counted_as_kubectl_counts_them(found: Any, count: int) -> None:
    assert restarts(found) == count


@pytest.mark.parametrize(("phase", "status"), [("Succeeded", "succeeded"), ("Failed", "failed"), ("Running", "failed")])
def test_a_sidecar_that_was_stopped_with_its_completed_pod_has_not_failed(phase: str, status: str) -> None:
    raw = load("pod_crash_loop")
    raw["spec"]["initContainers"] = [{"name": "side", "image": "x", "restartPolicy": "Always"}]
    raw["status"] |= {"phase": phase, "initContainerStatuses": [{"name": "side", **ended(137, "Error")}]}
    found = next(each for each in mapped(raw).entities if each.ref.name.endswith("/side"))
    assert (found.status, found.reason) == (status, "Error")
