"""The progress of a rollout, as `kubectl rollout status` decides it: a workload → status and reason. Pure.

A workload is running for as long as at least one pod is available, and pending when none is; what it counts says how
many. The reason is what the rollout waits for, in kubectl's order:

| reason | it waits for |
|---|---|
| `SpecNotObserved` | its controller to see the change |
| `ProgressDeadlineExceeded` | nothing: the rollout has failed; running with the old pods, or failed if it has none |
| `ReplicaFailure` | pods that the API server or a quota refuses |
| `Paused` | an operator to resume it |
| `Updating` | pods of the new revision |
| `TerminatingOldPods` | pods of the old revision to go |
| `WaitingForPods` | new pods to become ready, or available |
| `PodsNotReady` | nothing: the rollout is complete, and not all pods are ready (any more) |
| `ScaledToZero`, `Misscheduled` | nothing: the rollout is complete |
"""

from collections.abc import Mapping
from typing import Final

from kgents_collector_k8s.mapping.entity import Status
from kgents_collector_k8s.objects.metadata import condition, holds
from kgents_collector_k8s.objects.workload import DaemonSet, Deployment, ReplicaSet, StatefulSet

_UNOBSERVED: Final = "SpecNotObserved"
_UPDATING: Final = "Updating"
_WAITING: Final = "WaitingForPods"
_NOT_READY: Final = "PodsNotReady"
_COMPLETE: Final = "NewReplicaSetAvailable"
_SCALED_TO_ZERO: Final = "ScaledToZero"
_DEADLINE: Final = "ProgressDeadlineExceeded"
_ROLLING: Final = "RollingUpdate"


def deployment(found: Deployment) -> Status:
    """Of a Deployment."""
    spec, status = found.spec, found.status
    serves = status.available_replicas > 0
    is_observed = found.metadata.generation <= status.observed_generation
    progressing = condition(status.conditions, "Progressing")
    if is_observed and progressing is not None and progressing.reason == _DEADLINE:
        return ("running" if serves else "failed"), _DEADLINE
    is_complete = progressing is not None and progressing.reason == _COMPLETE
    steps = {
        _UNOBSERVED: not is_observed,
        "Paused": spec.paused,
        "ReplicaFailure": holds(status.conditions, "ReplicaFailure"),
        _UPDATING: status.updated_replicas < spec.replicas,
        "TerminatingOldPods": status.replicas > status.updated_replicas,
        _NOT_READY if is_complete else _WAITING: status.available_replicas < status.updated_replicas,
    }
    return _standing(steps, serves=serves or spec.replicas == 0, otherwise="" if spec.replicas else _SCALED_TO_ZERO)


def replicaset(found: ReplicaSet) -> Status:
    """Of a ReplicaSet, which has no rollout: only whether its pods are available."""
    spec, status = found.spec, found.status
    steps = {
        _UNOBSERVED: found.metadata.generation > status.observed_generation,
        "ReplicaFailure": holds(status.conditions, "ReplicaFailure"),
        _WAITING if status.replicas < spec.replicas else _NOT_READY: status.ready_replicas < spec.replicas,
    }
    serves = status.ready_replicas > 0 or spec.replicas == 0
    return _standing(steps, serves=serves, otherwise="" if spec.replicas else _SCALED_TO_ZERO)


def statefulset(found: StatefulSet) -> Status:
    """Of a StatefulSet. One with the strategy OnDelete has no rollout: only its pods count."""
    spec, status = found.spec, found.status
    steps = {
        _UNOBSERVED: status.observed_generation == 0 or found.metadata.generation > status.observed_generation,
        _WAITING if _is_rolling(found) else _NOT_READY: status.ready_replicas < spec.replicas,
        _UPDATING: _is_updating(found),
    }
    serves = status.ready_replicas > 0 or spec.replicas == 0
    return _standing(steps, serves=serves, otherwise="" if spec.replicas else _SCALED_TO_ZERO)


def daemonset(found: DaemonSet) -> Status:
    """Of a DaemonSet. One with the strategy OnDelete has no rollout: only its pods count."""
    status, desired = found.status, found.status.desired_number_scheduled
    is_rolling = found.spec.update_strategy.type == _ROLLING
    steps = {
        _UNOBSERVED: found.metadata.generation > status.observed_generation,
        _UPDATING: is_rolling and status.updated_number_scheduled < desired,
        _WAITING if status.current_number_scheduled < desired else _NOT_READY: status.number_available < desired,
    }
    serves = status.number_available > 0 or desired == 0
    return _standing(steps, serves=serves, otherwise="Misscheduled" if status.number_misscheduled else "")


def _is_rolling(found: StatefulSet) -> bool:
    """Whether pods are being replaced or added: those of the newest revision do not all exist yet, or are not ready."""
    status = found.status
    is_replacing = found.spec.update_strategy.type == _ROLLING and status.update_revision != status.current_revision
    return is_replacing or status.replicas < found.spec.replicas


def _is_updating(found: StatefulSet) -> bool:
    strategy, status = found.spec.update_strategy, found.status
    if strategy.type != _ROLLING:
        return False
    if strategy.rolling_update is not None:  # pods below the partition keep the old revision
        partition = strategy.rolling_update.partition or 0
        return status.updated_replicas < found.spec.replicas - partition
    return status.update_revision != status.current_revision


def _standing(steps: Mapping[str, bool], *, serves: bool, otherwise: str) -> Status:
    """The first step that the rollout waits for; `otherwise` is the reason of a complete one."""
    waits_for = next((reason for reason, is_waited_for in steps.items() if is_waited_for), "")
    return ("running" if serves or not waits_for else "pending"), waits_for or otherwise
