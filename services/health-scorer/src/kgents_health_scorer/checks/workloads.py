"""KG-022 and KG-023, what makes pods: runs of a CronJob, workloads of which a part is ready. Part of the catalogue."""

from typing import Final

from kgents_health_scorer.checks.check import Check, State, StateCheck, last_run
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes, otel
from kgents_shared.contract.vocabulary.attributes.attribute import AttributeName

ROLLOUT_S: Final = 300.0
"""How long pods may take to become ready before the workload counts as degraded."""

_READY_OF: Final[dict[str, tuple[AttributeName, AttributeName]]] = {
    kinds.DEPLOYMENT: (kubernetes.DEPLOYMENT_READY_PODS, otel.K8S_DEPLOYMENT_DESIRED_PODS),
    kinds.REPLICASET: (kubernetes.REPLICASET_READY_PODS, otel.K8S_REPLICASET_DESIRED_PODS),
    kinds.STATEFULSET: (otel.K8S_STATEFULSET_READY_PODS, otel.K8S_STATEFULSET_DESIRED_PODS),
    kinds.SERVICE: (kubernetes.SERVICE_READY_ENDPOINTS, kubernetes.SERVICE_ENDPOINTS),
    kinds.DAEMONSET: (otel.K8S_DAEMONSET_READY_NODES, otel.K8S_DAEMONSET_DESIRED_SCHEDULED_NODES),
}


def ready_of(entity: TopologyEntity) -> tuple[int, int] | None:
    """How many pods of a workload are ready, and how many it wants; of a Service endpoints; None for other kinds."""
    if (names := _READY_OF.get(entity.ref.kind)) is None:
        return None
    ready, desired = (entity.attributes.get(name) for name in names)
    return (ready or 0, desired) if isinstance(desired, int) and isinstance(ready, int | None) else None


def readiness(entity: TopologyEntity) -> str:
    """`9 of 10 ready`; empty for what has no replicas."""
    ready, desired = ready_of(entity) or (0, 0)
    return f"{ready} of {desired} ready" if desired else ""


def _degraded(state: State) -> str | None:
    ready, desired = ready_of(state.entity) or (0, 0)
    if not 0 < ready < desired:
        return None
    return readiness(state.entity) if state.kin.has_bad_pods or state.reason_age_s >= ROLLOUT_S else None


def _last_run_failed(state: State) -> str | None:
    last = last_run(state.kin.jobs)
    if last is None or last.status != "failed":
        return None
    return f"{last.ref.name}, {last.reason}" if last.reason else last.ref.name


CHECKS: Final[tuple[Check, ...]] = (
    StateCheck(
        id="KG-022",
        name="last run failed",
        applies_to=frozenset({kinds.CRONJOB}),
        find=_last_run_failed,
        severity=0.4,
        text="The last run of {entity} failed: {value}.",
        why="The Job that it started last, of those that have finished, failed for good. Read the log of its pods. The "
        "finding ends with the next run that completes.",
        source="The platform itself reports it; no threshold is involved. A warning: the next run may complete.",
    ),
    StateCheck(
        id="KG-023",
        name="not all pods ready",
        applies_to=frozenset({kinds.DEPLOYMENT, kinds.REPLICASET, kinds.STATEFULSET, kinds.DAEMONSET}),
        find=_degraded,
        severity=0.3,
        turns_s=(ROLLOUT_S,),
        alerts=False,
        text="{entity} is degraded: {value}.",
        why="It serves with fewer pods than desired. The findings of its pods say why; if there are none, its reason "
        "does (a quota, no node with room).",
        source="Five minutes without progress, or a finding of one of its pods: a rollout waits for pods as well. No "
        "alert of its own: the pods have theirs.",
    ),
)
