"""What was found → the status of a QdrantCluster. Pure."""

from collections.abc import Iterator
from typing import Final

from kgents_operator.answers import backup, not_running, progress, ready_of, resize, volumes_left
from kgents_operator.desired.outcome import STATEFULSET
from kgents_operator.desired.owner import DATABASE
from kgents_operator.desired.qdrant_names import QdrantNames
from kgents_operator.resources.qdrant import COLLECTIONS_MAX, Found, Spec, Status
from kgents_operator.status import Answer, Lack, Seen, stated

MAJORITY: Final = 3
"""So many peers go on while one of them is away."""
Qdrant = Seen[Spec, QdrantNames]


def status(seen: Qdrant) -> Status:
    """All of it but the times of its conditions."""
    names, figures = seen.wanted.names, seen.figures
    peers, known = seen.objects.get((STATEFULSET, names.name)), figures.collections
    answers = [
        _availability(seen.spec),
        *_collections(seen),
        *progress(seen, (STATEFULSET, names.name), ("Deployment", names.collections)),
        *volumes_left(seen, DATABASE),
        *resize(seen),
        *backup(seen),
    ]
    return stated(
        Status,
        seen,
        peers,
        _lack(seen),
        answers,
        has_figures=figures.memory_mb is not None or known is not None,
        ready_replicas=None if peers is None else ready_of(peers),
        collection_count=figures.collection_count,
        collections=None if known is None else [Found(*each) for each in sorted(known.items())[:COLLECTIONS_MAX]],
        memory_usage=None if figures.memory_mb is None else f"{figures.memory_mb:.0f}Mi",
    )


def _lack(seen: Qdrant) -> Lack | None:
    if (found := not_running(seen, seen.wanted.names.name)) is not None:
        return found
    ready, wanted = ready_of(seen.objects.get((STATEFULSET, seen.wanted.names.name))), seen.spec.replicas
    if ready >= wanted:
        return None
    return Lack("PeersNotReady", f"expected {wanted} peers that answer, found {ready}; try: kubectl describe pod")


def _availability(spec: Spec) -> Answer:
    if spec.replicas == 1:
        return Answer("HighlyAvailable", "False", "OneServer", "while the one peer is away, nothing answers")
    if spec.replicas < MAJORITY:
        said = "while one of two peers is away, no collection can be made or changed; three peers go on"
        return Answer("HighlyAvailable", "False", "NoMajority", said)
    said = "a collection outlives the loss of a peer if its replication_factor is 2 or more, which nothing here reads"
    return Answer("HighlyAvailable", "Unknown", "ByCollection", said)


def _collections(seen: Qdrant) -> Iterator[Answer]:
    """On those that are asked for."""
    asked, known, count = seen.spec.collections, seen.figures.collections, seen.figures.collection_count
    if not asked:
        return
    if known is None or count is None or len(known) < count:
        yield Answer("CollectionsMade", "Unknown", "NoFigures", "which collections there are is not known")
    elif missing := [each.name for each in asked if each.name not in known]:
        said = f"expected {', '.join(missing)}, found none; try: kubectl logs of the pod that makes collections"
        yield Answer("CollectionsMade", "False", "Missing", said)
    else:
        said = "all collections that are asked for are there; their dimensions and distances are not compared"
        yield Answer("CollectionsMade", "True", "Made", said)
