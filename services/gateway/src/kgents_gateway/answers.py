"""Questions about entities that are read already → records, the same for every way to ask. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from kgents_shared.contract.alert import Alert
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import NotFoundError
from kgents_shared.contract.health import Aggregate, Reason
from kgents_shared.contract.topology import Difference
from kgents_shared.contract.wire import REMOVE, Time
from kgents_shared.view.difference import EntityDifference
from kgents_shared.view.entity import EntityView, Rows, key_of_ref
from kgents_shared.view.find import suggestions
from kgents_shared.view.paths import Affected, Edge, Graph

NO_ROWS: Final = Rows()
NEIGHBOURS_MAX: Final = 1_000
"""Entities in one answer about the neighbourhood of another."""
_BADNESS: Final = {"critical": 0, "warning": 1, "unknown": 2, "healthy": 3}


class ClusterHealth(msgspec.Struct, frozen=True):
    """One whole cluster in a sentence and in numbers."""

    cluster: str
    level: str
    text: str
    since: Time | None = None
    aggregate: Aggregate | None = None


class HealthSummary(msgspec.Struct, frozen=True):
    """All clusters."""

    status: str
    """The worst level of any entity: `critical`, `warning`, `unknown` or `healthy`. `unknown`, unless it is critical,
    while the gateway cannot read the streams."""
    entities: int
    levels: dict[str, int]
    """Level → how many entities."""
    by_kind: dict[str, dict[str, int]]
    """Kind → level → how many entities."""
    clusters: list[ClusterHealth]
    firing: int
    """Alerts that fire now."""
    stale_since: Time | None
    """Since when the gateway cannot read the streams: all this is as it was then. Null: it can."""


class EntityHealth(msgspec.Struct, frozen=True):
    """How well one entity is, and why."""

    ref: Ref
    id: str
    level: str
    score: float | None
    """0 (dead) to 1 (healthy); null if it is not known."""
    since: Time | None
    text: str
    reasons: list[Reason]
    alerts: list[Alert]


class Neighbour(msgspec.Struct, frozen=True):
    """One entity near another one."""

    ref: Ref
    id: str
    distance: int
    level: str
    status: str


class Link(msgspec.Struct, frozen=True):
    """One connection, from the side that acts to the other."""

    source: Ref
    kind: str
    target: Ref


class Neighbourhood(msgspec.Struct, frozen=True):
    """What is connected with one entity, over at most so many connections."""

    ref: Ref
    owners: list[Ref]
    entities: list[Neighbour]
    connections: list[Link]
    is_cut: bool
    """There are more entities than are listed."""


class Paths(msgspec.Struct, frozen=True):
    """The shortest ways between two entities, whichever way the connections point."""

    source: Ref
    target: Ref
    paths: list[list[Link]]


class Reached(msgspec.Struct, frozen=True):
    """One entity that the loss of another one reaches."""

    ref: Ref
    id: str
    is_lost: bool
    """It goes down with it; else it is impaired, because it needs what is lost."""
    distance: int
    level: str
    through: Link


class Impact(msgspec.Struct, frozen=True):
    """What the loss of one entity would reach."""

    ref: Ref
    lost: int
    impaired: int
    entities: list[Reached]


class Changed(msgspec.Struct, frozen=True):
    """One entity at two times."""

    ref: Ref
    id: str
    op: str
    """`added`, `changed` or `removed`."""
    fields: list[Difference]


def record_of(view: EntityView) -> bytes:
    """One entity as JSON: its topology message with `health`, `alerts`, and the `id` that addresses use."""
    return _with_id(view.key, view.record())


def removal_of(view: EntityView, message: bytes | None = None) -> bytes:
    """That an entity is gone, or no longer selected, as JSON; `message`: the one that removed it."""
    return _with_id(view.key, message or msgspec.json.encode({"ref": view.ref, "op": REMOVE}))


def health_of(view: EntityView) -> EntityHealth:
    """The health of one entity."""
    since = view.health.since if view.health is not None else None
    return EntityHealth(
        view.ref, view.key, view.level, view.score, since, view.text, list(view.reasons), list(view.alerts)
    )


def summary(views: Iterable[EntityView], clusters: Iterable[EntityView], stale_since: datetime | None) -> HealthSummary:
    """The health of some entities, and of whole clusters. Every count is over the same entities."""
    levels: dict[str, int] = {}
    by_kind: dict[str, dict[str, int]] = {}
    firing = count = 0
    for view in views:
        firing += len(view.firing)
        count += 1
        levels[view.level] = levels.get(view.level, 0) + 1
        of_kind = by_kind.setdefault(view.ref.kind, {})
        of_kind[view.level] = of_kind.get(view.level, 0) + 1
    worst = min(levels, key=lambda level: _BADNESS.get(level, 2), default="unknown")
    if stale_since is not None and worst != "critical":
        worst = "unknown"
    by_name = sorted(map(_cluster, clusters), key=lambda each: each.cluster)
    return HealthSummary(worst, count, levels, dict(sorted(by_kind.items())), by_name, firing, stale_since)


def alerts_of(views: Iterable[EntityView], states: Sequence[str]) -> list[Alert]:
    """The alerts in these states: critical first, then the newest."""
    found = [alert for view in views for alert in view.alerts if alert.state in states]
    by_time = sorted(found, key=lambda each: each.started_at.timestamp() if each.started_at else 0.0, reverse=True)
    return sorted(by_time, key=lambda each: _BADNESS.get(each.severity, 2))


def neighbourhood(graph: Graph, ref: Ref, depth: int, states: Mapping[Ref, EntityView]) -> Neighbourhood:
    """What is connected with an entity over at most `depth` connections, the nearest first."""
    distances = {ref: 0}
    waiting = [ref]
    for distance in range(1, depth + 1):
        nearest = sorted({peer for each in waiting for peer in graph.neighbours(each)} - distances.keys())
        distances |= dict.fromkeys(nearest, distance)
        waiting = nearest
    listed = list(distances)[: NEIGHBOURS_MAX + 1]
    near = set(listed)
    edges = {edge.key: edge for each in listed for edge in graph.edges(each) if edge.other(each) in near}
    return Neighbourhood(
        ref,
        graph.owners(ref),
        [_neighbour(each, distances[each], states) for each in listed[1:]],
        [_link(edges[key]) for key in sorted(edges)],
        len(distances) > len(listed),
    )


def paths(graph: Graph, source: Ref, target: Ref) -> Paths:
    """The shortest ways between two entities."""
    return Paths(source, target, [list(map(_link, path)) for path in graph.paths(source, target)])


def impact(graph: Graph, ref: Ref, states: Mapping[Ref, EntityView]) -> Impact:
    """What the loss of an entity reaches."""
    found = graph.impact(ref)
    lost = sum(each.is_lost for each in found)
    return Impact(ref, lost, len(found) - lost, [_reached(each, states) for each in found])


def changed(found: Iterable[EntityDifference]) -> list[Changed]:
    """Differences of two moments."""
    return [Changed(each.ref, key_of_ref(each.ref), each.op, each.fields) for each in found]


def unknown_id(text: str, refs: Iterable[Ref]) -> NotFoundError:
    """No entity has this id: which are near."""
    near = suggestions(text.replace(".", "/"), refs)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return NotFoundError(
        f"expected the id of an entity (cluster.kind.namespace.name, as in its record), found {text[:200]!r}{hint}"
    )


def _with_id(key: str, message: bytes) -> bytes:
    return b'{"id":%b,%b' % (msgspec.json.encode(key), message.lstrip()[1:])


def _cluster(view: EntityView) -> ClusterHealth:
    health = view.health
    return ClusterHealth(
        view.ref.cluster,
        view.level,
        view.text,
        health.since if health is not None else None,
        health.aggregate if health is not None else None,
    )


def _neighbour(ref: Ref, distance: int, states: Mapping[Ref, EntityView]) -> Neighbour:
    view = states.get(ref)
    level, status = (view.level, view.status) if view is not None else ("unknown", "unknown")
    return Neighbour(ref, key_of_ref(ref), distance, level, status)


def _reached(each: Affected, states: Mapping[Ref, EntityView]) -> Reached:
    view = states.get(each.ref)
    level = view.level if view is not None else "unknown"
    return Reached(each.ref, key_of_ref(each.ref), each.is_lost, each.distance, level, _link(each.through))


def _link(edge: Edge) -> Link:
    return Link(edge.source, edge.kind, edge.target)
