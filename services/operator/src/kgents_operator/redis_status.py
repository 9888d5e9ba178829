"""What was found → the status of a RedisCluster. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from kgents_operator.desired.outcome import STATEFULSET, Desired, Place
from kgents_operator.desired.owner import REPLICAS
from kgents_operator.desired.redis_names import RedisNames
from kgents_operator.resources.redis import Spec, Status
from kgents_operator.status import (
    Answer,
    Figures,
    Findings,
    accepted,
    backup,
    common,
    conditions,
    not_running,
    phase_of,
    ready_answer,
    ready_of,
    resize,
    volumes_left,
)

Json = dict[str, Any]


def status(
    spec: Spec,
    generation: int,
    wanted: Desired[RedisNames],
    objects: Mapping[Place, Json],
    findings: Findings,
    figures: Figures,
) -> Status:
    """All of it but the times of its conditions."""
    names = wanted.names
    primary, replicas = objects.get((STATEFULSET, names.name)), objects.get((STATEFULSET, names.replicas))
    reason, message = _missing(spec, names, primary, replicas)
    ready = ready_answer(reason, message, names.endpoint, findings, figures)
    has_figures = figures.memory_mb is not None or figures.connections is not None
    answers = [
        accepted(findings),
        ready,
        _availability(spec, names),
        *_data(spec, wanted, objects, findings),
        *common(findings, figures, has_figures=has_figures),
    ]
    pool = figures.connections
    return Status(
        observed_generation=generation,
        phase=phase_of(ready, primary, is_refused=findings.refusal is not None),
        ready=ready.status == "True",
        ready_replicas=ready_of(primary) + ready_of(replicas) if primary is not None else None,
        endpoint=names.endpoint if primary is not None else None,
        replicas_endpoint=names.replicas_endpoint if replicas is not None and spec.replicas > 1 else None,
        memory_usage=None if figures.memory_mb is None else f"{figures.memory_mb:.0f}Mi",
        hit_rate=None if figures.hit_rate is None else f"{figures.hit_rate:.2f}",
        connections=None if pool is None else pool.active,
        measured_at=figures.measured_at if has_figures else None,
        conditions=conditions(answers, generation),
    )


def _missing(spec: Spec, names: RedisNames, primary: Json | None, replicas: Json | None) -> tuple[str, str]:
    """What the servers lack: a reason and a sentence; empty: nothing."""
    if (found := not_running(primary, names.name)) is not None:
        return found
    following, wanted = ready_of(replicas), spec.replicas - 1
    if following < wanted:
        said = f"expected {wanted} that follow the primary, found {following}; try: kubectl describe pod"
        return "ReplicasNotReady", f"replicas {names.replicas}: {said}"
    return "", ""


def _availability(spec: Spec, names: RedisNames) -> Answer:
    if spec.replicas == 1:
        return Answer("HighlyAvailable", "False", "OneServer", "while the one server is away, nothing answers")
    said = (
        f"failover is not automatic: while {names.name}-0 is away, replicas answer reads and nothing takes writes; "
        "no replica becomes primary by itself"
    )
    return Answer("HighlyAvailable", "False", "FailoverManual", said)


def _data(
    spec: Spec, wanted: Desired[RedisNames], objects: Mapping[Place, Json], findings: Findings
) -> Iterator[Answer]:
    """On what is kept, and where."""
    if not spec.persistence.enabled:
        yield Answer("Persistent", "False", "SwitchedOff", "a restart of the server loses every key")
    if wanted.is_held:
        said = (
            f"{wanted.names.name}-0 goes on as it is until all replicas run with what is new; if they cannot, undo it, "
            f"then delete the pods of {wanted.names.replicas} that do not answer"
        )
        yield Answer("PrimaryHeld", "True", "ReplicasFirst", said)
    yield from volumes_left(wanted, objects, findings, REPLICAS)
    yield from resize(wanted, objects, findings)
    if spec.backup.enabled:
        yield backup(objects.get(("CronJob", wanted.names.backup)))
