"""KG-020 and KG-021, restarts: how often a container was restarted, and for which cause. Part of the catalogue.

What they find lasts until the entity has run without another restart for the calm time: a container in a crash loop
runs between two crashes, and is not well then.
"""

from datetime import datetime, timedelta
from typing import Final

from kgents_health_scorer.checks.check import Check, RestartCheck, State, Thresholds
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary.attributes import docker, kubernetes, otel

CRASH_LOOP: Final = "CrashLoopBackOff"
OOM_KILLED: Final = "OOMKilled"
OOM_EXIT: Final = timedelta(seconds=30)
"""How long a container may take to end after the kernel has killed a process of it."""

_COUNTS: Final = (otel.K8S_CONTAINER_RESTART_COUNT, kubernetes.POD_RESTART_COUNT, docker.RESTART_COUNT)
_EXIT_CODES: Final = (
    kubernetes.CONTAINER_STATUS_LAST_TERMINATED_EXIT_CODE,
    kubernetes.POD_STATUS_LAST_TERMINATED_EXIT_CODE,
    docker.EXIT_CODE,
)
_REASONS: Final = (
    otel.K8S_CONTAINER_STATUS_LAST_TERMINATED_REASON,
    kubernetes.POD_STATUS_LAST_TERMINATED_REASON,
)


def restarts_of(entity: TopologyEntity) -> int | None:
    """How often its containers were restarted, as its source counts; None if it does not say."""
    counts = (entity.attributes.get(name) for name in _COUNTS)
    return next((each for each in counts if isinstance(each, int)), None)


def last_exit(entity: TopologyEntity) -> str:
    """How it ended before the last restart, as far as its source says: `last exit 1 (Error)`."""
    code = next((entity.attributes[name] for name in _EXIT_CODES if name in entity.attributes), None)
    reason = _last_reason(entity)
    if code is None:
        return f"last: {reason}" if reason else ""
    return f"last exit {code} ({reason})" if reason else f"last exit {code}"


def _last_reason(entity: TopologyEntity) -> str:
    reason = next((str(entity.attributes[name]) for name in _REASONS if name in entity.attributes), "")
    return reason or (OOM_KILLED if entity.reason == OOM_KILLED or _was_killed_at_the_end(entity) else "")


def _was_killed_at_the_end(entity: TopologyEntity) -> bool:
    """Of a container of an engine: whether the kernel killed a process of it just before its last run ended."""
    times = (entity.attributes.get(name) for name in (docker.OOM_KILLED_AT, docker.FINISHED_AT))
    killed_at, finished_at = (datetime.fromisoformat(each) if isinstance(each, str) else None for each in times)
    return killed_at is not None and finished_at is not None and killed_at > finished_at - OOM_EXIT


def _was_killed(entity: TopologyEntity) -> bool:
    return _last_reason(entity) == OOM_KILLED


def _is_killed(state: State) -> bool:
    # One that is not restarted has failed for good (KG-001); an engine's waits for its restart.
    is_restarted = state.may_restart or state.entity.status == "pending"
    return state.word == OOM_KILLED and is_restarted and not state.is_ending


def _is_looping(state: State) -> bool:
    return state.word == CRASH_LOOP and not state.is_ending


CHECKS: Final[tuple[Check, ...]] = (
    RestartCheck(
        id="KG-020",
        name="restarts over and over",
        is_cause=lambda entity: not _was_killed(entity),
        is_so=_is_looping,
        severity_if_so=0.7,
        thresholds=Thresholds(warn=3.0, crit=5.0),
        unit="{restart}",
        text="{entity} keeps failing: {value}.",
        why="It ends soon after each start. Read the log of the run before (`kubectl logs --previous`, `docker logs`): "
        "the exit code says whether it ended by itself (1, 2), was killed (137) or could not be started (126, 127). "
        "If it is killed while it works, its liveness probe may be too strict.",
        source="Three: one or two restarts may be a dependency that was slow to start. Five within an hour is a pause "
        "of the kubelet beyond 80 s each time: it hardly serves. CrashLoopBackOff is critical at any number, 0.7: "
        "it serves no one most of the time, yet it may recover, which a failed entity does not.",
    ),
    RestartCheck(
        id="KG-021",
        name="killed for its memory",
        is_cause=_was_killed,
        is_so=_is_killed,
        severity_if_so=0.2,
        thresholds=Thresholds(warn=1.0, crit=3.0),
        unit="{OOM_kill}",
        text="{entity} runs out of memory: {value}.",
        why="The kernel ended it because it reached its memory limit, and with it all that it was working on. Give it "
        "more memory, or find the leak: does it grow until it is killed?",
        source="One: no process ends so by design. Three within an hour: it fills its memory again each time.",
    ),
)
