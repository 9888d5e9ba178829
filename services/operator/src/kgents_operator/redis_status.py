"""What was found → the status of a RedisCluster. Pure."""

from collections.abc import Iterator

from kgents_operator.answers import backup, not_running, progress, ready_of, resize, volumes_left
from kgents_operator.desired.outcome import STATEFULSET
from kgents_operator.desired.owner import REPLICAS
from kgents_operator.desired.redis_names import RedisNames
from kgents_operator.resources.redis import Spec, Status
from kgents_operator.status import Answer, Lack, Seen, stated

Redis = Seen[Spec, RedisNames]


def status(seen: Redis) -> Status:
    """All of it but the times of its conditions."""
    names, figures = seen.wanted.names, seen.figures
    primary, replicas = (seen.objects.get((STATEFULSET, each)) for each in (names.name, names.replicas))
    pool = figures.connections
    answers = [
        _availability(seen.spec, names),
        *_data(seen),
        *progress(seen, (STATEFULSET, names.name), (STATEFULSET, names.replicas)),
        *volumes_left(seen, REPLICAS),
        *resize(seen),
        *backup(seen),
    ]
    return stated(
        Status,
        seen,
        primary,
        _lack(seen),
        answers,
        has_figures=figures.memory_mb is not None or pool is not None,
        ready_replicas=ready_of(primary) + ready_of(replicas) if primary is not None else None,
        replicas_endpoint=names.replicas_endpoint if replicas is not None and seen.spec.replicas > 1 else None,
        memory_usage=None if figures.memory_mb is None else f"{figures.memory_mb:.0f}Mi",
        hit_rate=None if figures.hit_rate is None else f"{figures.hit_rate:.2f}",
        connections=None if pool is None else pool.active,
    )


def _lack(seen: Redis) -> Lack | None:
    names = seen.wanted.names
    if (found := not_running(seen, names.name)) is not None:
        return found
    following, wanted = ready_of(seen.objects.get((STATEFULSET, names.replicas))), seen.spec.replicas - 1
    if following >= wanted:
        return None
    said = f"expected {wanted} that follow the primary, found {following}; try: kubectl describe pod"
    return Lack("ReplicasNotReady", f"replicas {names.replicas}: {said}")


def _availability(spec: Spec, names: RedisNames) -> Answer:
    if spec.replicas == 1:
        return Answer("HighlyAvailable", "False", "OneServer", "while the one server is away, nothing answers")
    said = (
        f"failover is not automatic: while {names.name}-0 is away, replicas answer reads and nothing takes writes; "
        "no replica becomes primary by itself"
    )
    return Answer("HighlyAvailable", "False", "FailoverManual", said)


def _data(seen: Redis) -> Iterator[Answer]:
    """On what is kept, and what is held back for its sake."""
    names = seen.wanted.names
    if not seen.spec.persistence.enabled:
        yield Answer("Persistent", "False", "SwitchedOff", "a restart of the server loses every key")
    if seen.wanted.is_held:
        said = (
            f"{names.name}-0 goes on as it is until all replicas run with what is new; if they cannot, undo it, then "
            f"delete the pods of {names.replicas} that do not answer"
        )
        yield Answer("PrimaryHeld", "True", "ReplicasFirst", said)
