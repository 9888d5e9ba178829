"""Windows → entities and pulses: what is published of the applications. Pure: time is an argument."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct, field, structs

from kgents_collector_otel.mapping import traffic
from kgents_collector_otel.mapping.apps import EdgeKey, Window
from kgents_collector_otel.mapping.edge import App, Edge, Inbound, Peer
from kgents_shared.contract.entity import SPANS, Connection, Entity, Ref, Value
from kgents_shared.contract.event import Event
from kgents_shared.contract.pulse import EdgeSample, TrafficPulse
from kgents_shared.contract.pulse import Inbound as InboundSample
from kgents_shared.contract.sketch import Histogram, Sketch
from kgents_shared.contract.vocabulary import edges, kinds, reasons
from kgents_shared.contract.vocabulary.attributes import otel
from kgents_shared.contract.vocabulary.figures import otel as figure
from kgents_shared.contract.vocabulary.figures import resource

SOURCE: Final = "otel"
MINUTE_S: Final = 60.0
"""Over which an entity's traffic is averaged."""
SILENT: Final = "Silent"
_NS: Final = 1_000_000_000


class Settings(Struct, frozen=True):
    """Of the publication."""

    cluster: str
    window_s: float
    silent_after_ns: int
    app_idle_ns: int


class _Minute(Struct):
    """What was counted of one application since its minute began."""

    began_ns: int
    inbound: float = 0.0
    edges: dict[EdgeKey, Edge] = field(default_factory=dict)


class Publication:
    """What is published of each application, and the minute that its traffic is averaged over."""

    def __init__(self, settings: Settings, published: Mapping[Ref, Entity], started_ns: int) -> None:
        self._settings = settings
        self._started_ns = started_ns
        self._entities = dict(published)
        self._minutes: dict[App, _Minute] = {}
        self.events: list[Event] = []
        """Of the last window."""

    @property
    def entities(self) -> Mapping[Ref, Entity]:
        """As they are or should be published."""
        return self._entities

    def take(
        self, windows: Sequence[Window], known: Mapping[App, Iterable[EdgeKey]], now_ns: int, seconds: float
    ) -> Iterator[Entity]:
        """The entity of each application after a window, whether it differs from the published one or not.

        Args:
            windows: what was counted, of every application.
            known: its edges, idle ones among them.
            now_ns: the end of the window.
            seconds: how long it was.
        """
        self.events = []
        self._minutes = {app: minute for app, minute in self._minutes.items() if app in known}
        for window in windows:
            entity = self._entity(window, known.get(window.app, ()), now_ns, seconds)
            self.events += self.news(entity, datetime.fromtimestamp(now_ns / _NS, UTC))
            self._entities[entity.ref] = entity
            yield entity

    def news(self, entity: Entity, now: datetime) -> Iterator[Event]:
        """What an application's next entity says that the published one did not: another version of it."""
        before, after = (_versions(each) for each in (self._entities.get(entity.ref), entity))
        if before and (added := sorted(after - before)):
            text = f"{entity.ref} runs version {', '.join(added)}, beside or instead of {', '.join(sorted(before))}."
            yield Event(
                text=text,
                id=f"{entity.ref.namespace}/{entity.ref.name}:version:{','.join(added)}:{now.isoformat()}",
                ref=entity.ref,
                source=SOURCE,
                type="Normal",
                reason=reasons.VERSION_CHANGED,
                severity="info",
                first_at=now,
                last_at=now,
            )

    def remove_gone(self, known: Mapping[App, object], now_ns: int) -> None:
        """Leave out the applications that were not heard of for too long."""
        alive = {app.ref for app in known}
        if now_ns - self._started_ns >= self._settings.app_idle_ns:
            self._entities = {ref: entity for ref, entity in self._entities.items() if ref in alive}

    def silent(self, known: Mapping[App, object], now_ns: int) -> Iterator[Entity]:
        """Published applications that were not heard of since the start, once they are silent for long enough."""
        if now_ns - self._started_ns < self._settings.silent_after_ns:
            return
        alive = {app.ref for app in known}
        for ref, entity in list(self._entities.items()):
            if ref not in alive and entity.status != "unknown":
                self._entities[ref] = _silent(entity)
                yield self._entities[ref]

    def _entity(self, window: Window, known: Iterable[EdgeKey], now_ns: int, seconds: float) -> Entity:
        app = window.app
        published = self._entities.get(app.ref)
        if app.seen_ns < now_ns - self._settings.silent_after_ns:
            return _silent(published if published is not None else Entity(ref=app.ref, source=SOURCE))
        minute = self._minute(window, now_ns, seconds)
        stated = {
            (each.kind, each.peer, each.direction): each.traffic
            for each in (published.connections if published is not None else ())
        }
        is_over = (now_ns - minute.began_ns) / _NS >= MINUTE_S - self._settings.window_s / 2
        minute_s = max(seconds, (now_ns - minute.began_ns) / _NS)
        connections = []
        for key in known:
            kind, named, direction = place = self._place(key)
            found = stated.get(place)
            edge = window.edges.get(key)
            is_inward = direction == "in"  # then the peer is the one whose requests there are so many calls of
            if is_over:
                served = None if is_inward else minute.inbound
                found = traffic.calm(traffic.measured(minute.edges.get(key, Edge()), minute_s, served), found)
            elif edge is not None and traffic.is_sudden(edge, seconds, found):
                found = traffic.measured(edge, seconds, None if is_inward else window.inbound.n)
            connections.append(Connection(kind, named, direction, evidence=SPANS, traffic=found))
        if is_over:
            self._minutes[app] = _Minute(now_ns)
        return Entity(
            ref=app.ref,
            source=SOURCE,
            status="running",
            attributes=_attributes(app),
            connections=[*_runs_in(app), *sorted(connections, key=_order)],
        )

    def _place(self, key: EdgeKey) -> tuple[str, Ref | str, str]:
        """Kind, peer and direction of a connection."""
        kind, peer, is_inward = key
        return kind, peer_name(kind, peer, self._settings.cluster), "in" if is_inward else "out"

    def _minute(self, window: Window, now_ns: int, seconds: float) -> _Minute:
        """The minute of an application, with this window in it."""
        begins_ns = now_ns - int(seconds * _NS)
        minute = self._minutes.setdefault(window.app, _Minute(begins_ns))
        minute.inbound += window.inbound.n
        for key, edge in window.edges.items():
            if key in minute.edges:
                minute.edges[key].merge(edge)
            else:
                minute.edges[key] = edge.copy()
        return minute


def pulse(window: Window, at: datetime, settings: Settings, seconds: float) -> TrafficPulse | None:
    """What one application served and called in a window of some seconds; None if it is silent."""
    app = window.app
    if app.seen_ns < at.timestamp() * _NS - settings.silent_after_ns:
        return None
    inbound = window.inbound
    return TrafficPulse(
        ref=app.ref,
        source=SOURCE,
        timestamp=at.astimezone(UTC),
        interval_s=round(seconds, 3),
        inbound=_inbound(inbound) if inbound.spans or app.serves else None,
        edges=[
            sample(peer_name(kind, peer, settings.cluster), kind, edge)
            for (kind, peer, is_inward), edge in window.edges.items()
            if not is_inward
        ],
        hidden_edges=len(app.hidden),
        custom=_figures(inbound, seconds) if inbound.spans or app.serves else {},
    )


def _inbound(inbound: Inbound) -> InboundSample:
    return InboundSample(
        n=inbound.n, spans=inbound.spans, errors=inbound.errors, latency_ms=_histogram(inbound.latency)
    )


def sample(peer: Ref | str, kind: str, edge: Edge) -> EdgeSample:
    """The counters of one edge, as a pulse has them."""
    is_paired = edge.paired > 0
    return EdgeSample(
        peer=peer,
        kind=kind,
        n=edge.n,
        spans=edge.spans,
        errors_client=edge.errors_client,
        errors_server=edge.errors_server,
        paired_share=min(1.0, edge.paired / edge.spans) if is_paired and edge.spans else None,
        weight=edge.weight,
        client_ms=_histogram(edge.client),
        server_ms=_histogram(edge.server),
        gap_ms=_histogram(edge.gap),
    )


def _histogram(sketch: Sketch) -> Histogram | None:
    return sketch.histogram() if sketch.n else None


def _figures(inbound: Inbound, window_s: float) -> dict[str, float | None]:
    is_enough = inbound.spans >= traffic.SPANS_MIN
    figures: dict[str, float | None] = {
        resource.REQUESTS_PER_SEC: inbound.n / window_s,
        resource.ERROR_RATE: inbound.errors / inbound.n if is_enough else None,
    }
    if inbound.latency.n:
        figures[figure.LATENCY_P50_MS] = traffic.rounded(inbound.latency.quantile(0.5))
        figures[figure.LATENCY_P95_MS] = traffic.rounded(inbound.latency.quantile(0.95))
        figures[figure.LATENCY_P99_MS] = traffic.rounded(inbound.latency.quantile(0.99))
    return figures


def peer_name(kind: str, peer: Peer, cluster: str) -> Ref | str:
    """How a connection names its other end."""
    if isinstance(peer, App):
        return peer.ref
    return Ref(cluster, kinds.NATS_SUBJECT, peer) if kind == edges.NATS else peer


def _runs_in(app: App) -> list[Connection]:
    return [Connection(edges.OWNS, alias, evidence="resource") for alias in sorted(app.runs_in)]


def _attributes(app: App) -> dict[str, Value]:
    found: dict[str, list[str]] = {}
    for name, value in sorted(app.attributes):
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else [*values] for name, values in found.items()}


def _versions(entity: Entity | None) -> set[str]:
    found = entity.attributes.get(otel.SERVICE_VERSION) if entity is not None else None
    return {str(found)} if isinstance(found, str) else set(found) if isinstance(found, list) else set()


def _silent(entity: Entity) -> Entity:
    """It sends nothing: that is not known to be a failure, and its traffic is not known."""
    connections = [structs.replace(each, traffic=None) for each in entity.connections]
    return structs.replace(entity, status="unknown", reason=SILENT, connections=connections)


def _order(connection: Connection) -> tuple[str, str, str]:
    return connection.kind, str(connection.peer), connection.direction
