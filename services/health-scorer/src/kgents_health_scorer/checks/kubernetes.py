"""KG-040 to KG-069, whether Kubernetes serves: Services, workloads, pods, nodes, CronJobs. Part of the catalogue.

All read how long a status and its reason have lasted. What is planned has another reason (`Updating`, `ScaledToZero`,
`SchedulingDisabled`, `Suspended`) or begins with one, and raises nothing.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from kgents_health_scorer.checks.check import AgeCheck, Check, State, StateCheck, Thresholds
from kgents_health_scorer.eviction import PLANNED_S
from kgents_shared.contract.health import Observed
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes as attribute

POD_NOT_READY: Final = "KG-043"
NOT_READY: Final = "NotReady"
CORDONED: Final = "SchedulingDisabled"
STUCK: Final = "ProgressDeadlineExceeded"
REFUSED: Final = "ReplicaFailure"
OWN_REASONS: Final = frozenset({NOT_READY, f"{NOT_READY},{CORDONED}"})
"""Reasons of a failed entity that a check of this module judges instead of KG-001."""

_EMPTY: Final = frozenset({"ScaledToZero", "NoEndpoints", "SelectorMatchesNothing"})
"""Reasons of what runs and serves no one on purpose, or never did."""
_LOST: Final = frozenset({"PodsNotReady", "NoReadyEndpoints", "Paused", REFUSED})
"""Reasons of what is desired and not ready, outside of a rollout. A paused one keeps its pods: that none is left is not
part of the pause."""
_WORKLOADS: Final = frozenset({kinds.DEPLOYMENT, kinds.REPLICASET, kinds.STATEFULSET, kinds.DAEMONSET})
_NOW_S: Final = 0.001
"""The age of what is so since this moment: 0 would say that it is not."""
_RULE: Final = "Prometheus' kubernetes-mixin"


def lost_service(before: TopologyEntity | Observed, after: TopologyEntity) -> bool:
    """Whether an entity that served is still there and serves no more, rather than being scaled, moved or updated."""
    served = before.status == "running" and before.reason not in _EMPTY
    return served and after.status == "pending" and after.reason in _LOST


def _outage_s(state: State) -> float:
    return state.status_age_s if state.lost_service and not _is_moving(state) else 0.0


def _is_moving(state: State) -> bool:
    is_planned = state.is_evicted and state.status_age_s < PLANNED_S
    return state.lost_service and is_planned and not state.kin.has_bad_pods  # that is no part of the plan


def _moving(state: State) -> str | None:
    return "evicted" if _is_moving(state) else None


def _with(status: str, reason: str) -> Callable[[State], float]:
    """How long an entity has had this status and this reason, of those that its reason lists."""

    def age_s(state: State) -> float:
        is_so = state.entity.status == status and reason in state.entity.reason.split(",")
        return state.reason_age_s if is_so else 0.0

    return age_s


def _not_ready_s(state: State) -> float:
    return _with("failed", NOT_READY)(state) if CORDONED not in state.entity.reason else 0.0


def _not_ready_cordoned_s(state: State) -> float:
    return _with("failed", NOT_READY)(state) if CORDONED in state.entity.reason else 0.0


def _overdue_s(state: State) -> float:
    """How long it has been terminating beyond the time that it was given to end; negative before that."""
    grace_s = state.entity.attributes.get(attribute.DELETION_GRACE_PERIOD)
    if state.entity.status != "terminating":
        return 0.0
    return state.status_age_s - (grace_s if isinstance(grace_s, int) else 0) or _NOW_S


def _missed_s(state: State) -> float:
    """How long ago the next run was due; negative before that. Not counted from before it was resumed."""
    due = state.entity.attributes.get(attribute.CRONJOB_NEXT_SCHEDULE_TIME)
    if not isinstance(due, str) or state.is_ending or state.now is None:
        return 0.0
    age_s = min((state.now - datetime.fromisoformat(due)).total_seconds(), state.reason_age_s)
    return age_s or _NOW_S


def _stuck(state: State) -> str | None:
    return STUCK if state.entity.status == "running" and state.entity.reason == STUCK else None


def _not_resized(state: State) -> str | None:
    reason = state.entity.reason
    return reason if reason in ("ControllerResizeError", "NodeResizeError") else None


def _pressure(number: str, reason: str, what: str, *, crit: float, why: str) -> AgeCheck:
    return AgeCheck(
        id=number,
        name=what,
        applies_to=frozenset({kinds.NODE}),
        age_s=_with("running", reason),
        thresholds=Thresholds(warn=60.0, crit=crit),
        unit="s",
        text=f"{{entity}} has had {what} for {{value}} (threshold {{threshold}}).",
        why=why,
        source=f"The kubelet's condition {reason}, which it holds for five minutes after its threshold, so one minute "
        "is no blip.",
    )


def _drifted(state: State) -> str | None:
    attributes = state.entity.attributes
    if attribute.DRIFT_SINCE not in attributes or state.is_ending:
        return None
    return str(attributes.get(attribute.DRIFT) or "not known now, it did when they were last compared")


CHECKS: Final[tuple[Check, ...]] = (
    AgeCheck(
        id="KG-040",
        name="no ready endpoint",
        applies_to=frozenset({kinds.SERVICE}),
        age_s=_outage_s,
        thresholds=Thresholds(crit=45.0),
        unit="s",
        text="{entity} has had no ready endpoint for {value} (threshold {threshold}).",
        why="It had ready endpoints, and requests to it fail now. Its pods are there and not ready: read the findings "
        "and the readiness probes of the pods behind it.",
        source="Critical within a minute, since all its requests fail. A Service that never had a ready endpoint, or "
        "whose pods are replaced or scaled to zero, is not meant: KG-004 has those that wait for too long. One whose "
        "pods were evicted on purpose has five minutes (KG-058).",
    ),
    AgeCheck(
        id="KG-041",
        name="no pod ready",
        applies_to=_WORKLOADS,
        age_s=_outage_s,
        thresholds=Thresholds(crit=45.0),
        unit="s",
        text="{entity} has had no ready pod for {value} (threshold {threshold}).",
        why="It was rolled out and ready, and none of its pods is ready now. What its pods have in common is the "
        "cause: a dependency, a configuration, a node.",
        source="Critical within a minute, since it serves no one. A rollout, a start and scaling are not meant: KG-004 "
        "has those that take too long. One whose pods were evicted on purpose has five minutes (KG-058).",
    ),
    AgeCheck(
        id="KG-042",
        name="selector matches nothing",
        applies_to=frozenset({kinds.SERVICE}),
        age_s=_with("running", "SelectorMatchesNothing"),
        thresholds=Thresholds(warn=3_600.0),
        unit="s",
        text="The selector of {entity} has matched no pod and no workload for {value} (threshold {threshold}).",
        why="Compare its selector with the labels of the pods that it is meant for; or delete it.",
        source="An hour: a Service is often created before what it leads to. A workload that is scaled to zero is "
        "matched by its pod template.",
    ),
    AgeCheck(
        id=POD_NOT_READY,
        name="pod not ready",
        applies_to=frozenset({kinds.POD}),
        age_s=_with("running", NOT_READY),
        thresholds=Thresholds(warn=900.0),
        unit="s",
        text="{entity} has not been ready for {value} (threshold {threshold}).",
        why="It runs and gets no requests. Its readiness probe fails, or one of its containers has ended and is not "
        "started again.",
        source=f"{_RULE}, KubePodNotReady: 15 minutes. A warning: the rest of its workload serves, and KG-041 says "
        "when none does.",
    ),
    AgeCheck(
        id="KG-044",
        name="node not ready",
        applies_to=frozenset({kinds.NODE}),
        age_s=_not_ready_s,
        thresholds=Thresholds(crit=60.0),
        unit="s",
        text="{entity} has not been ready for {value} (threshold {threshold}).",
        why="Its kubelet does not report, or says that it cannot run pods. After five minutes its pods are moved.",
        source="One minute, on top of the 40 s after which the control plane misses the kubelet.",
    ),
    AgeCheck(
        id="KG-045",
        name="cordoned node not ready",
        applies_to=frozenset({kinds.NODE}),
        age_s=_not_ready_cordoned_s,
        thresholds=Thresholds(warn=3_600.0),
        unit="s",
        text="{entity} is cordoned and has not been ready for {value} (threshold {threshold}).",
        why="It was taken out of service and has not come back. If that is meant, delete the node.",
        source="An hour: a planned upgrade of a machine takes less.",
    ),
    _pressure(
        "KG-046",
        "DiskPressure",
        "disk pressure",
        crit=900.0,
        why="The kubelet deletes images and evicts pods, and the node takes no new ones. Free space on its disk.",
    ),
    _pressure(
        "KG-047",
        "MemoryPressure",
        "memory pressure",
        crit=900.0,
        why="The kubelet evicts pods, and the node takes none of the class BestEffort. Set memory limits, move pods.",
    ),
    _pressure(
        "KG-048",
        "PIDPressure",
        "process id pressure",
        crit=900.0,
        why="The node runs out of process ids, and the kubelet evicts pods. Find the pod that forks without end.",
    ),
    _pressure(
        "KG-049",
        "NetworkUnavailable",
        "no network for pods",
        crit=300.0,
        why="The network plugin or the routes of the node are not set up: its pods reach no one.",
    ),
    AgeCheck(
        id="KG-050",
        name="terminating for too long",
        applies_to=frozenset({kinds.POD, kinds.NAMESPACE}),
        age_s=_overdue_s,
        thresholds=Thresholds(warn=600.0),
        unit="s",
        text="{entity} is still terminating {value} after its grace period (threshold {threshold}).",
        why="A pod: its node is lost, a volume is not released, or its processes cannot be killed. A namespace: a "
        "finalizer of what is in it, or an API service that does not answer. Its conditions and events name it.",
        source="Ten minutes beyond the grace period: unmounting and finalizers take seconds.",
    ),
    AgeCheck(
        id="KG-051",
        name="missed schedule",
        applies_to=frozenset({kinds.CRONJOB}),
        age_s=_missed_s,
        thresholds=Thresholds(warn=300.0),
        unit="s",
        text="{entity} should have started a Job {value} ago (threshold {threshold}).",
        why="The CronJob controller did not start it: the controller is down, a quota or an admission webhook refuses "
        "the Job, or more than a hundred runs were missed. Its events say which.",
        source="Five minutes: the controller starts a Job within seconds. One that is suspended, or waits for its last "
        "Job (`Forbid`), is not due.",
    ),
    StateCheck(
        id="KG-052",
        name="rollout stuck",
        applies_to=frozenset({kinds.DEPLOYMENT}),
        find=_stuck,
        severity=0.4,
        text="The rollout of {entity} is stuck: {value}.",
        why="Pods of the new revision do not become ready; those of the old one still serve. Read the findings of its "
        "pods, then fix or undo it: `kubectl rollout undo`.",
        source="`progressDeadlineSeconds` of the Deployment, ten minutes by default.",
    ),
    AgeCheck(
        id="KG-053",
        name="pods refused",
        applies_to=_WORKLOADS,
        age_s=_with("running", REFUSED),
        thresholds=Thresholds(warn=300.0),
        unit="s",
        text="Pods of {entity} have been refused for {value} (threshold {threshold}).",
        why="The API server does not take some of its pods: a quota is used up, or an admission webhook refuses them. "
        "Its events have the message. KG-004 and KG-041 judge one that has none.",
        source="Five minutes: a quota may be used up for the length of a rollout.",
    ),
    AgeCheck(
        id="KG-054",
        name="at its maximum",
        applies_to=frozenset({kinds.HPA}),
        age_s=_with("running", "TooManyReplicas"),
        thresholds=Thresholds(warn=900.0),
        unit="s",
        text="{entity} has wanted more replicas than its maximum for {value} (threshold {threshold}).",
        why="The load asks for more pods than `maxReplicas` allows.",
        source=f"{_RULE}, KubeHpaMaxedOut: 15 minutes.",
    ),
    AgeCheck(
        id="KG-055",
        name="no load balancer",
        applies_to=frozenset({kinds.SERVICE}),
        age_s=_with("running", "LoadBalancerPending"),
        thresholds=Thresholds(warn=900.0),
        unit="s",
        text="{entity} has waited for its load balancer for {value} (threshold {threshold}).",
        why="It is reached from inside the cluster alone. The cloud's controller is missing, or a quota is used up; "
        "its events say which.",
        source="Clouds take up to five minutes.",
    ),
    AgeCheck(
        id="KG-056",
        name="pods on wrong nodes",
        applies_to=frozenset({kinds.DAEMONSET}),
        age_s=_with("running", "Misscheduled"),
        thresholds=Thresholds(warn=900.0),
        unit="s",
        text="{entity} has had pods on nodes where none belongs for {value} (threshold {threshold}).",
        why="Labels or taints of nodes have changed since; its controller removes such pods as a rule.",
        source=f"{_RULE}, KubeDaemonSetMisScheduled: 15 minutes.",
    ),
    StateCheck(
        id="KG-057",
        name="volume not resized",
        applies_to=frozenset({kinds.VOLUME}),
        find=_not_resized,
        severity=0.3,
        text="{entity} cannot be resized: {value}.",
        why="It keeps its old size. Events of the claim have the message of the storage driver.",
        source="The platform itself reports it; no threshold is involved.",
    ),
    StateCheck(
        id="KG-058",
        name="pods evicted on purpose",
        applies_to=_WORKLOADS | {kinds.SERVICE},
        find=_moving,
        severity=0.3,
        turns_s=(PLANNED_S,),
        alerts=False,
        text="{entity} has no ready pod: its pods were evicted on purpose, and none is ready again.",
        why="Its node is drained, or an autoscaler or descheduler moves its pods. It serves no one meanwhile: more "
        "replicas and a PodDisruptionBudget keep one of them ready.",
        source="Five minutes, as long as a new pod may take to start. It is no alert, since someone wants it so; "
        "KG-041 and KG-040 are the alerts if it takes longer.",
    ),
    StateCheck(
        id="KG-059",
        name="drift",
        find=_drifted,
        severity=0.3,
        text="{entity} differs from its manifests: {value}.",
        why="Someone changed the cluster by hand, or what applies the manifests does not. The next rollout undoes what "
        "was changed. It ends when both are the same again.",
        source="collector-k8s compares them every minute, and reports what has differed for `drift_after_s`, 15 "
        "minutes: longer than from a commit until it is rolled out. While they cannot be compared, it stays.",
    ),
)
