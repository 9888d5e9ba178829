"""One round of a comparison → its entity, its pulse and what is unread. Pure.

source/coherency → CoherencySample → Facts
"""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct, structs

from kgents_collector_db.mapping.coherency.interval import wilson
from kgents_collector_db.mapping.coherency.sample import CoherencySample, Counts
from kgents_collector_db.mapping.facts import SOURCE, Figures, Scope, section
from kgents_shared.contract.entity import Connection, Entity, Ref
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.pulse import ALL, DatabasePulse
from kgents_shared.contract.unread import Unread
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.figures import coherency as figure

BACKEND: Final = "coherency"
EVIDENCE: Final = "configured comparison"


class Pair(Struct, frozen=True):
    """The two stores of a comparison: names and namespaces of their targets."""

    postgres: tuple[str, str]
    qdrant: tuple[str, str]
    collection: str

    def database_ref(self, cluster: str) -> Ref:
        """The PostgreSQL server."""
        return Ref(cluster, kinds.DATABASE, *self.postgres)

    def collection_ref(self, cluster: str) -> Ref:
        """The collection, as the Qdrant target publishes it."""
        name, namespace = self.qdrant
        return Ref(cluster, kinds.COLLECTION, f"{name}/{self.collection}", namespace)


def observe(previous: CoherencySample | None, current: CoherencySample, scope: Scope, pair: Pair) -> Facts:
    """All facts of one round. What could not be compared stays as published, and is unread."""
    unread = [Unread(reason=f"{scope.name}: {current.unreachable.text}")] if current.unreachable is not None else []
    entity = _entity(current, scope, pair)
    faults = [] if unread else [f"{scope.name}: {fault}" for fault in _faults(current)]
    return Facts(entities=[entity], pulses=[_pulse(current, entity, scope)], unread=unread, faults=faults)


def _faults(sample: CoherencySample) -> Iterator[str]:
    """What was sampled and could not be judged at all: then a setting is wrong, or everything changed just now."""
    if sample.rows.undecided and not sample.rows.judged:
        yield (
            f"expected rows that can be judged, found none of {sample.rows.undecided}; "
            "check settle_s, revision and payload_revision"
        )
    if sample.points.undecided and not sample.points.judged:
        yield (
            f"expected vectors with a key, found none of {sample.points.undecided}; "
            "check payload_key and the type of the key"
        )


def derived(facts: Facts, cluster: str, pairs: list[Pair]) -> Facts:
    """The facts of a Qdrant server; a collection that is compared depends on the database that it is made from."""
    sources = {pair.collection_ref(cluster): pair.database_ref(cluster) for pair in pairs}
    entities = [
        structs.replace(
            each, connections=[*each.connections, Connection(edges.DEPENDS, sources[each.ref], evidence=EVIDENCE)]
        )
        if each.ref in sources and not any(known.peer == sources[each.ref] for known in each.connections)
        else each
        for each in facts.entities
    ]
    return structs.replace(facts, entities=entities)


def _entity(sample: CoherencySample, scope: Scope, pair: Pair) -> Entity:
    ref = Ref(scope.cluster, kinds.COMPARISON, scope.name, scope.namespace)
    stores = (pair.database_ref(scope.cluster), pair.collection_ref(scope.cluster))
    connections = [Connection(edges.DEPENDS, store, evidence=EVIDENCE) for store in stores]
    why = sample.unreachable.cause if sample.unreachable is not None else ""
    return Entity(ref=ref, source=SOURCE, status="unknown" if why else "running", reason=why, connections=connections)


def _pulse(sample: CoherencySample, entity: Entity, scope: Scope) -> DatabasePulse:
    phase, cause = _phase(sample)
    return DatabasePulse(
        ref=entity.ref,
        source=SOURCE,
        backend=BACKEND,
        timestamp=scope.at,
        interval_s=scope.interval_s,
        phase=phase,
        cause=cause,
        custom=section(_figures(sample)),
        unread=[] if sample.unreachable is None else [ALL],
    )


def _phase(sample: CoherencySample) -> tuple[str, str]:
    if sample.unreachable is not None:
        return "degraded", sample.unreachable.cause
    rows, points = sample.rows, sample.points
    found = {"rows without vector": rows.missing, "stale vectors": rows.stale, "vectors without row": points.ghost}
    worst = max(found, key=lambda cause: found[cause])
    if found[worst]:
        return "degraded", worst
    return ("degraded", "nothing judged") if any(_faults(sample)) else ("healthy", "")


def _figures(sample: CoherencySample) -> Figures:
    """Every figure; all are null in a round that could not compare."""
    if sample.unreachable is not None:
        return dict.fromkeys(_ALL)
    rows, points = sample.rows, sample.points
    rate, rate_low, rate_high = _share(rows.good, rows)
    ghosts, ghosts_low, ghosts_high = _share(points.ghost, points)
    return {
        figure.COHERENCY_RATE: rate,
        figure.COHERENCY_RATE_LOW: rate_low,
        figure.COHERENCY_RATE_HIGH: rate_high,
        figure.GHOST_RATE: ghosts,
        figure.GHOST_RATE_LOW: ghosts_low,
        figure.GHOST_RATE_HIGH: ghosts_high,
        figure.MISSING: float(rows.missing) if rows.judged else None,
        figure.STALE: float(rows.stale) if rows.judged and sample.knows_stale else None,
        figure.GHOSTS: float(points.ghost) if points.judged else None,
        figure.SAMPLED_ROWS: float(rows.judged),
        figure.SAMPLED_POINTS: float(points.judged),
        figure.UNDECIDED: float(rows.undecided + points.undecided),
        figure.ROWS: None if sample.rows_about is None else float(sample.rows_about),
        figure.POINTS: None if sample.points_about is None else float(sample.points_about),
        figure.POSTGRESQL_S: sample.postgresql_s,
        figure.QDRANT_S: sample.qdrant_s,
    }


def _share(found: int, counts: Counts) -> tuple[float | None, float | None, float | None]:
    """A share with its interval; if everything was read, the interval is the share itself."""
    ends = wilson(found, counts.judged)
    if ends is None:
        return None, None, None
    share = found / counts.judged
    return (share, share, share) if counts.is_census else (share, *ends)


_ALL: Final = (
    figure.COHERENCY_RATE, figure.COHERENCY_RATE_LOW, figure.COHERENCY_RATE_HIGH, figure.GHOST_RATE,
    figure.GHOST_RATE_LOW, figure.GHOST_RATE_HIGH, figure.MISSING, figure.STALE, figure.GHOSTS, figure.SAMPLED_ROWS,
    figure.SAMPLED_POINTS, figure.UNDECIDED, figure.ROWS, figure.POINTS, figure.POSTGRESQL_S, figure.QDRANT_S,
)  # fmt: skip
