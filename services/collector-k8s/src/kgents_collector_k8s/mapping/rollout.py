"""The progress of a rollout, as `kubectl rollout status` decides it: a workload → status and reason. Pure.

A workload is running for as long as it serves: a Deployment while its condition Available is not `False`, the others
while at least one pod is available. The reason is what the rollout waits for, in kubectl's order:

| reason | it waits for |
|---|---|
| `SpecNotObserved` | its controller to see the change |
| `ProgressDeadlineExceeded` | nothing: the Deployment has failed |
| `ReplicaFailure` | pods that the API server or a quota refuses |
| `Paused` | an operator to resume it |
| `Updating` | pods of the new revision |
| `TerminatingOldPods` | pods of the old revision to go |
| `WaitingForPods` | pods to become ready, or available |
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
_SCALED_TO_ZERO: Final = "ScaledToZero"
_DEADLINE: Final = "ProgressDeadlineExceeded"
_ROLLING: Final = "RollingUpdate"


def deployment(found: Deployment) -> Status:
    """Of a Deployment."""
    spec, status = found.spec, found.status
    available = condition(status.conditions, "Available")
    serves = available.status == "True" if available is not None else status.available_replicas > 0
    is_observed = found.metadata.generation <= status.observed_generation
    progressing = condition(status.conditions, "Progressing")
    if is_observed and progressing is not None and progressing.reason == _DEADLINE:
        return "failed", _DEADLINE
    steps = {
        _UNOBSERVED: not is_observed,
        "Paused": spec.paused,
        "ReplicaFailure": holds(status.conditions, "ReplicaFailure"),
        _UPDATING: status.updated_replicas < spec.replicas,
        "TerminatingOldPods": status.replicas > status.updated_replicas,
        _WAITING: status.available_replicas < status.updated_replicas,
    }
    return _standing(steps, serves=serves or spec.replicas == 0, otherwise="" if spec.replicas else _SCALED_TO_ZERO)


def replicaset(found: ReplicaSet) -> Status:
    """Of a ReplicaSet, which has no rollout: only whether its pods are available."""
    spec, status = found.spec, found.status
    steps = {
        _UNOBSERVED: found.metadata.generation > status.observed_generation,
        "ReplicaFailure": holds(status.conditions, "ReplicaFailure"),
        _WAITING: status.ready_replicas < spec.replicas,
    }
    serves = status.ready_replicas > 0 or spec.replicas == 0
    return _standing(steps, serves=serves, otherwise="" if spec.replicas else _SCALED_TO_ZERO)


def statefulset(found: StatefulSet) -> Status:
    """Of a StatefulSet. One with the strategy OnDelete has no rollout: only its pods count."""
    spec, status = found.spec, found.status
    steps = {
        _UNOBSERVED: status.observed_generation == 0 or found.metadata.generation > status.observed_generation,
        _WAITING: status.ready_replicas < spec.replicas,
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
        _WAITING: status.number_available < desired,
    }
    serves = status.number_available > 0 or desired == 0
    return _standing(steps, serves=serves, otherwise="Misscheduled" if status.number_misscheduled else "")


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
