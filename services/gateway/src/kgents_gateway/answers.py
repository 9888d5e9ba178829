"""Questions about entities that are read already → records, the same for every way to ask. Pure."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from kgents_shared.contract.alert import Alert
from kgents_shared.contract.archive import Coverage
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
_BADNESS: Final = {"critical": 0, "warning": 1, "unknown": 2, "healthy": 3}


_ALERT_PLACE: Final = re.compile(r"(\d)-(\d{1,18})-(.+)", re.DOTALL)

AlertPlace = tuple[int, int, str]
"""Where an alert is in the order of all: by severity, then the newest first, then by entity and check."""
Placed = tuple[AlertPlace, Alert]
State = Callable[[Ref], EntityView | None]
"""An entity as it is, or was, if it exists."""


class OfMoment(msgspec.Struct, frozen=True, kw_only=True):
    """What is not known of the time that an answer is about; all empty for now."""

    forgotten: list[str] = []
    """Of a time that has been: subjects of which the state is no longer kept: more may have been there."""
    archived: list[Coverage] = []
    """Of a time that has been: what of it is from the archive, by signal; empty: the streams alone hold it."""
    remarks: list[str] = []
    """What else is not known of that time, as sentences; empty: nothing."""


NOW: Final = OfMoment()
"""Of now everything is known."""


class ClusterHealth(msgspec.Struct, frozen=True):
    """One whole cluster in a sentence and in numbers."""

    cluster: str
    level: str
    text: str
    since: Time | None = None
    aggregate: Aggregate | None = None


class HealthSummary(OfMoment, frozen=True):
    """All clusters."""

    status: str
    """The worst level of any entity: `critical`, `warning`, `unknown` or `healthy`. `unknown`, unless it is critical,
    while the gateway cannot read the streams, and of a time of which not everything is known."""
    entities: int
    levels: dict[str, int]
    """Level → how many entities."""
    by_kind: dict[str, dict[str, int]]
    """Kind → level → how many entities."""
    clusters: list[ClusterHealth]
    """Whole ones; none where a part of them is selected, as theirs are the counts of other entities."""
    firing: int
    """Alerts that fire."""
    stale_since: Time | None
    """Since when the gateway cannot read the streams: all this is as it was then. Null: it can."""


class Alerts(OfMoment, frozen=True):
    """The selected alerts: critical first, then the newest."""

    alerts: list[Alert]
    count: int
    """How many there are, behind `after_id`; `alerts` holds at most `limit` of them."""
    next: str
    """`after_id` of the next page; empty: there is none."""
    stale_since: Time | None
    """Since when the gateway cannot read the streams. Null: it can."""


class EntityHealth(OfMoment, frozen=True):
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


class Neighbourhood(OfMoment, frozen=True):
    """What is connected with one entity, over at most so many connections."""

    ref: Ref
    owners: list[Ref]
    entities: list[Neighbour]
    connections: list[Link]
    is_cut: bool
    """There are more entities than are listed."""


class Paths(OfMoment, frozen=True):
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


class Impact(OfMoment, frozen=True):
    """What the loss of one entity would reach."""

    ref: Ref
    lost: int
    impaired: int
    entities: list[Reached]
    is_cut: bool
    """There are more entities than are listed; the counts are of all of them."""


class Changed(msgspec.Struct, frozen=True):
    """One entity at two times."""

    ref: Ref
    id: str
    op: str
    """`added`, `changed` or `removed`; `unknown`: it is there at one time, and how it was at the other one is no longer
    kept."""
    fields: list[Difference]


def record_of(view: EntityView) -> bytes:
    """One entity as JSON: its topology message with `health`, `alerts`, and the `id` that addresses use."""
    return _with_id(view.key, view.record())


def with_known(record: bytes, known: OfMoment) -> bytes:
    """The record of an entity at a time that has been, with how well that time is known."""
    return b"%b,%b" % (record.rstrip()[:-1], msgspec.json.encode(known)[1:])


def removal_of(view: EntityView, message: bytes | None = None) -> bytes:
    """That an entity is gone, or no longer selected, as JSON; `message`: the one that removed it."""
    return _with_id(view.key, message or msgspec.json.encode({"ref": view.ref, "op": REMOVE}))


def health_of(view: EntityView) -> EntityHealth:
    """The health of one entity."""
    since = view.health.since if view.health is not None else None
    return EntityHealth(
        view.ref, view.key, view.level, view.score, since, view.text, list(view.reasons), list(view.alerts)
    )


class Tally:
    """Counts of entities, each added once: every figure is over the same ones."""

    def __init__(self) -> None:
        self._levels: dict[str, int] = {}
        self._by_kind: dict[str, dict[str, int]] = {}
        self._firing = self._count = 0

    def add(self, view: EntityView) -> None:
        """One more entity."""
        self._firing += len(view.firing)
        self._count += 1
        self._levels[view.level] = self._levels.get(view.level, 0) + 1
        of_kind = self._by_kind.setdefault(view.ref.kind, {})
        of_kind[view.level] = of_kind.get(view.level, 0) + 1

    def summary(
        self, clusters: Iterable[EntityView], stale_since: datetime | None, known: OfMoment = NOW
    ) -> HealthSummary:
        """The health of these entities, and of whole clusters; `known`: how well the time is known."""
        worst = min(self._levels, key=lambda level: _BADNESS.get(level, 2), default="unknown")
        if (known.forgotten or known.remarks) and worst != "critical":
            worst = "unknown"
        by_name = sorted(map(_cluster, clusters), key=lambda each: each.cluster)
        by_kind = dict(sorted(self._by_kind.items()))
        of_moment = msgspec.structs.asdict(known)
        return HealthSummary(worst, self._count, self._levels, by_kind, by_name, self._firing, stale_since, **of_moment)


def alerts_of(view: EntityView, states: Sequence[str]) -> list[Placed]:
    """The alerts of one entity in these states, with their places in the order of all."""
    return [(_place_of(view.key, alert), alert) for alert in view.alerts if alert.state in states]


def alert_place(text: str) -> AlertPlace | None:
    """The place that `next` of a page of alerts names; None: it names none."""
    if (found := _ALERT_PLACE.fullmatch(text)) is None:
        return None
    return int(found[1]), -int(found[2]), found[3]


def alert_place_text(place: AlertPlace) -> str:
    """The opposite of `alert_place`."""
    badness, before_us, id_ = place
    return f"{badness}-{-before_us}-{id_}"


def _place_of(key: str, alert: Alert) -> AlertPlace:
    started_us = round(alert.started_at.timestamp() * 1e6) if alert.started_at is not None else 0
    return _BADNESS.get(alert.severity, 2), -max(started_us, 0), f"{key}.{alert.check}"


def neighbourhood(graph: Graph, ref: Ref, depth: int, limit: int, state: State) -> Neighbourhood:
    """What is connected with an entity over at most `depth` connections: the nearest so many."""
    distances = {ref: 0}
    waiting = [ref]
    for distance in range(1, depth + 1):
        nearest = sorted({peer for each in waiting for peer in graph.neighbours(each)} - distances.keys())
        distances |= dict.fromkeys(nearest, distance)
        waiting = nearest
    listed = list(distances)[: limit + 1]
    near = set(listed)
    edges = {edge.key: edge for each in listed for edge in graph.edges(each) if edge.other(each) in near}
    return Neighbourhood(
        ref,
        graph.owners(ref),
        [_neighbour(each, distances[each], state) for each in listed[1:]],
        [_link(edges[key]) for key in sorted(edges)],
        len(distances) > len(listed),
    )


def paths(graph: Graph, source: Ref, target: Ref) -> Paths:
    """The shortest ways between two entities."""
    return Paths(source, target, [list(map(_link, path)) for path in graph.paths(source, target)])


def impact(graph: Graph, ref: Ref, limit: int, state: State) -> Impact:
    """What the loss of an entity reaches."""
    found = graph.impact(ref)
    lost = sum(each.is_lost for each in found)
    listed = [_reached(each, state) for each in found[:limit]]
    return Impact(ref, lost, len(found) - lost, listed, len(found) > limit)


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


def _neighbour(ref: Ref, distance: int, state: State) -> Neighbour:
    view = state(ref)
    level, status = (view.level, view.status) if view is not None else ("unknown", "unknown")
    return Neighbour(ref, key_of_ref(ref), distance, level, status)


def _reached(each: Affected, state: State) -> Reached:
    view = state(each.ref)
    level = view.level if view is not None else "unknown"
    return Reached(each.ref, key_of_ref(each.ref), each.is_lost, each.distance, level, _link(each.through))


def _link(edge: Edge) -> Link:
    return Link(edge.source, edge.kind, edge.target)
