"""The word that `kubectl get pods` shows under STATUS: a pod → its word → our status and reason. Pure.

| kubectl's word | status | reason |
|---|---|---|
| `Running`, all ready | running | |
| `Running` without the condition Ready, `NotReady` | running | `NotReady` |
| `Pending` | pending | `Unschedulable` if no node takes it, or none |
| `ContainerCreating`, `PodInitializing`, `Init:1/3`, `SchedulingGated` | pending | the word |
| `Completed`, `Succeeded` | succeeded | |
| `Completed` of a pod that is started again | pending | `Completed` |
| any of the above of a pod whose phase is Failed: its containers ended well, or never ran | failed | `Evicted`, … |
| `Terminating` | terminating | |
| `Unknown`, `NodeLost` | unknown | the word |
| `CrashLoopBackOff` of a container that was last killed for its memory | failed | `OOMKilled` |
| `CrashLoopBackOff`, `ImagePullBackOff`, `OOMKilled`, `Init:Error`, `ExitCode:3`, `Evicted`, … | failed | the word |
"""

from collections.abc import Iterable
from typing import Final

from kgents_collector_k8s.mapping.entity import Status
from kgents_collector_k8s.objects.metadata import condition, holds
from kgents_collector_k8s.objects.pod import ContainerState, ContainerStatus, Pod, Terminated

_STATUS: Final = {
    "Running": "running",
    "NotReady": "running",
    "Pending": "pending",
    "ContainerCreating": "pending",
    "PodInitializing": "pending",
    "SchedulingGated": "pending",
    "Completed": "succeeded",
    "Succeeded": "succeeded",
    "Terminating": "terminating",
    "Unknown": "unknown",
    "NodeLost": "unknown",
}
_SAYS_NO_MORE: Final = frozenset({"Running", "Pending", "Completed", "Succeeded", "Terminating", "Failed"})
"""Words that only repeat the status."""

_CRASH_LOOP: Final = "CrashLoopBackOff"
_OOM_KILLED: Final = "OOMKilled"
_NODE_LOST: Final = "NodeLost"
_NEVER_STARTED: Final = "NeverStarted"
_OVER: Final = {"Failed": "failed", "Succeeded": "succeeded"}
_ALWAYS: Final = "Always"
_NOTHING: Final = ContainerState()


def word_of(pod: Pod) -> str:
    """The word, by kubectl's own algorithm (`printPod`), so that both agree."""
    status = pod.status
    word = status.reason or status.phase
    for each in status.conditions or ():
        if each.reason == "SchedulingGated" and each.type == "PodScheduled":
            word = "SchedulingGated"
    initializing = _initializing(pod)
    if initializing is None or holds(status.conditions, "Initialized"):
        word = _running(pod, initializing or word)
    else:
        word = initializing
    if pod.metadata.deletion_timestamp is not None:
        if status.reason == _NODE_LOST:
            return "Unknown"
        if status.phase not in ("Succeeded", "Failed"):
            return "Terminating"
    return word or "Unknown"


def status_of(pod: Pod, word: str) -> Status:
    """Our status and reason for kubectl's word: see the table above."""
    if word == "Completed" and pod.status.phase == "Running" and pod.spec.restart_policy == _ALWAYS:
        return "pending", word
    status, reason = _status(word), _reason(pod, word)
    if pod.status.phase == "Failed" and status not in ("failed", "unknown"):
        return "failed", pod.status.reason or reason
    return status, reason


def container_status(pod: Pod, status: ContainerStatus | None) -> tuple[str, str, str]:
    """The state (`waiting`, `running`, `terminated`, or not known) of one container, our status, and the reason."""
    if status is None:
        return "waiting", *_waiting(pod, "")
    if pod.status.reason == _NODE_LOST:
        return "", "unknown", _NODE_LOST
    state = status.state or _NOTHING
    if state.terminated is not None:
        word = ended(state.terminated)
        if state.terminated.exit_code == 0 or _is_stopped_sidecar(pod, status):
            return "terminated", "succeeded", "" if word in _SAYS_NO_MORE else word
        return "terminated", "failed", word
    if state.running is not None:
        return "running", "running", "" if status.ready else "NotReady"
    reason = state.waiting.reason if state.waiting is not None else ""
    reason = _OOM_KILLED if _is_out_of_memory(status) else reason
    return "waiting", *_waiting(pod, reason)


def restarts(pod: Pod) -> int:
    """The number under RESTARTS: once the pod is initialized, init containers no longer count, but sidecars do."""
    status = pod.status
    init = status.init_container_statuses
    if not init:
        return sum([each.restart_count for each in status.container_statuses or ()])
    sidecars = _sidecars(pod)
    if _initializing(pod) is not None and not holds(status.conditions, "Initialized"):
        return sum(each.restart_count for each in init)
    counted = (*(status.container_statuses or ()), *(each for each in init if each.name in sidecars))
    return sum(each.restart_count for each in counted)


def _sidecars(pod: Pod) -> set[str]:
    return {each.name for each in pod.spec.init_containers or () if each.restart_policy == _ALWAYS}


def _is_stopped_sidecar(pod: Pod, status: ContainerStatus) -> bool:
    """Whether a container is a sidecar that the kubelet stopped because the pod completed, whatever its exit code."""
    return pod.status.phase == "Succeeded" and status.name in _sidecars(pod)


def _waiting(pod: Pod, reason: str) -> Status:
    """Of a waiting container. In a finished pod it is not starting any more: kubelets leave the state as it was."""
    status = _status(reason) if reason else "pending"
    over = _OVER.get(pod.status.phase)
    if status == "pending" and over is not None:
        return over, pod.status.reason or _NEVER_STARTED
    return status, reason


def _reason(pod: Pod, word: str) -> str:
    """The reason, if it says more than the status."""
    if word.removeprefix("Init:") == _CRASH_LOOP and any(map(_is_out_of_memory, _containers(pod))):
        return _OOM_KILLED
    if word == "Running" and not holds(pod.status.conditions, "Ready"):
        return "NotReady"
    if word == "Pending":
        scheduled = condition(pod.status.conditions, "PodScheduled")
        return scheduled.reason if scheduled is not None and scheduled.status == "False" else ""
    return "" if word in _SAYS_NO_MORE else word


def _containers(pod: Pod) -> Iterable[ContainerStatus]:
    return (*(pod.status.container_statuses or ()), *(pod.status.init_container_statuses or ()))


def _is_out_of_memory(status: ContainerStatus) -> bool:
    """Whether a container in CrashLoopBackOff was last OOM-killed: kubectl shows only `CrashLoopBackOff`.

    A container that runs again counts as running; how it ended before is an attribute.
    """
    state, last = status.state or _NOTHING, status.last_state or _NOTHING
    is_held_back = state.waiting is not None and state.waiting.reason == _CRASH_LOOP
    return is_held_back and last.terminated is not None and last.terminated.reason == _OOM_KILLED


def ended(how: Terminated) -> str:
    """How a container ended, in one word: `OOMKilled`, `Error`, `Signal:9`, `ExitCode:3`."""
    if how.reason:
        return how.reason
    return f"Signal:{how.signal}" if how.signal else f"ExitCode:{how.exit_code}"


def _status(word: str) -> str:
    init = word.removeprefix("Init:")
    if init != word and "/" in init:
        return "pending"
    return _STATUS.get(init, "failed")


def _initializing(pod: Pod) -> str | None:
    """The word of the first init container that has not finished; None when all have."""
    if not pod.status.init_container_statuses:
        return None
    declared = pod.spec.init_containers or ()
    sidecars = _sidecars(pod)
    for done, each in enumerate(pod.status.init_container_statuses):
        state = each.state or _NOTHING
        if state.terminated is not None and state.terminated.exit_code == 0:
            continue
        if each.name in sidecars and each.started:
            continue
        if state.terminated is not None:
            return f"Init:{ended(state.terminated)}"
        if state.waiting is not None and state.waiting.reason not in ("", "PodInitializing"):
            return f"Init:{state.waiting.reason}"
        return f"Init:{done}/{len(declared)}"
    return None


def _running(pod: Pod, word: str) -> str:
    """The word of the first container that has one; a running container has none."""
    failure, has_running = "", False
    for each in reversed(pod.status.container_statuses or ()):
        state = each.state or _NOTHING
        if state.waiting is not None and state.waiting.reason:
            word = state.waiting.reason
        elif state.terminated is not None:
            word = ended(state.terminated)
            failure = word if state.terminated.exit_code else failure
        elif each.ready and state.running is not None:
            has_running = True
    if word != "Completed":
        return word
    if has_running and holds(pod.status.conditions, "Ready"):
        return "Running"
    return failure or ("NotReady" if has_running else word)
