"""What was found → the status of a QdrantCluster. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from kgents_operator.desired.outcome import STATEFULSET, Desired, Place
from kgents_operator.desired.owner import DATABASE
from kgents_operator.desired.qdrant_names import QdrantNames
from kgents_operator.resources.qdrant import COLLECTIONS_MAX, Found, Spec, Status
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

MAJORITY: Final = 3
"""So many peers go on while one of them is away."""


def status(
    spec: Spec,
    generation: int,
    wanted: Desired[QdrantNames],
    objects: Mapping[Place, Json],
    findings: Findings,
    figures: Figures,
) -> Status:
    """All of it but the times of its conditions."""
    names = wanted.names
    peers = objects.get((STATEFULSET, names.name))
    reason, message = _missing(spec, names, peers)
    ready = ready_answer(reason, message, names.endpoint, findings, figures)
    has_figures = figures.memory_mb is not None or figures.collections is not None
    answers = [
        accepted(findings),
        ready,
        _availability(spec),
        *_data(spec, wanted, objects, findings, figures),
        *common(findings, figures, has_figures=has_figures),
    ]
    known = figures.collections
    return Status(
        observed_generation=generation,
        phase=phase_of(ready, peers, is_refused=findings.refusal is not None),
        ready=ready.status == "True",
        ready_replicas=None if peers is None else ready_of(peers),
        endpoint=None if peers is None else names.endpoint,
        collection_count=figures.collection_count,
        collections=None if known is None else [Found(*each) for each in sorted(known.items())[:COLLECTIONS_MAX]],
        memory_usage=None if figures.memory_mb is None else f"{figures.memory_mb:.0f}Mi",
        measured_at=figures.measured_at if has_figures else None,
        conditions=conditions(answers, generation),
    )


def _missing(spec: Spec, names: QdrantNames, peers: Json | None) -> tuple[str, str]:
    """What the peers lack: a reason and a sentence; empty: nothing."""
    if (found := not_running(peers, names.name)) is not None:
        return found
    if (ready := ready_of(peers)) < spec.replicas:
        said = f"expected {spec.replicas} peers that answer, found {ready}; try: kubectl describe pod"
        return "PeersNotReady", said
    return "", ""


def _availability(spec: Spec) -> Answer:
    if spec.replicas == 1:
        return Answer("HighlyAvailable", "False", "OneServer", "while the one peer is away, nothing answers")
    if spec.replicas < MAJORITY:
        said = "while one of two peers is away, no collection can be made or changed; three peers go on"
        return Answer("HighlyAvailable", "False", "NoMajority", said)
    said = "a collection outlives the loss of a peer if its replication_factor is 2 or more, which nothing here reads"
    return Answer("HighlyAvailable", "Unknown", "ByCollection", said)


def _data(
    spec: Spec, wanted: Desired[QdrantNames], objects: Mapping[Place, Json], findings: Findings, figures: Figures
) -> Iterator[Answer]:
    """On what is kept, and what is to be in it."""
    if spec.collections:
        yield _collections(spec, figures)
    yield from volumes_left(wanted, objects, findings, DATABASE)
    yield from resize(wanted, objects, findings)
    if spec.backup.enabled:
        yield backup(objects.get(("CronJob", wanted.names.backup)))


def _collections(spec: Spec, figures: Figures) -> Answer:
    known, count = figures.collections, figures.collection_count
    if known is None or count is None or len(known) < count:
        return Answer("CollectionsMade", "Unknown", "NoFigures", "which collections there are is not known")
    if missing := [each.name for each in spec.collections if each.name not in known]:
        said = f"expected {', '.join(missing)}, found none; try: kubectl logs of the pod that makes collections"
        return Answer("CollectionsMade", "False", "Missing", said)
    return Answer("CollectionsMade", "True", "Made", "all collections that are asked for are there")
