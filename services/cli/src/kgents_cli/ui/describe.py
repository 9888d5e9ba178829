"""All that is known of one entity → lines with their meanings. No I/O, no clock."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from kgents_cli.detail import facts, link_of
from kgents_cli.tree import peer_name
from kgents_cli.ui.cells import printable, spark
from kgents_cli.ui.part import Line, Part
from kgents_cli.ui.source.source import Described
from kgents_cli.units import NOT_KNOWN, figure, plain
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.event import Event
from kgents_shared.contract.figures import figures
from kgents_shared.contract.pulse import DatabasePulse, Pulse
from kgents_shared.view.entity import EntityView
from kgents_shared.view.moment import local_time, span

SPARK_WIDTH: Final = 20
PEERS_MAX: Final = 40
"""Peers of one kind of connection that are named; the rest are counted."""
_SEVERITIES: Final = {"info": "healthy", "error": "critical"}


def lines_of(found: Described, now: datetime) -> Iterator[Line]:
    """The description of an entity."""
    view = found.view
    yield (Part(str(view.ref), "title"), Part(f"  in cluster {view.ref.cluster}", "dim"))
    yield from _basics(view, now)
    yield from _section("Health", _health(view, now))
    yield from _section("Alerts", _alerts(view))
    yield from _section(*_figures(found.pulses, now))
    yield from _section("Connections", _connections(found))
    yield from _section("Events", _events(found.events))
    if view.topology is not None:
        yield from _section("Labels", _pairs(view.topology.labels.items()))
        attributes = view.topology.attributes.items()
        yield from _section("Attributes", _pairs((name, plain(value)) for name, value in attributes))
        names = [*view.topology.addresses, *view.topology.aliases]
        yield from _section("Addresses", ((Part(each),) for each in names))
    yield from _section("Not known", ((Part(each, "unknown"),) for each in found.unknown))


def _basics(view: EntityView, now: datetime) -> Iterator[Line]:
    pairs = [("status", view.condition)]
    if view.stale:
        pairs.append(("stale", f"no report from {', '.join(view.stale)}"))
    if view.topology is not None:
        if (created := view.topology.created_at) is not None:
            pairs.append(("created", f"{local_time(created)} ({_ago(created, now)})"))
        pairs.append(("reported by", ", ".join(view.topology.sources) or "no collector"))
    yield from _pairs(pairs)


def _health(view: EntityView, now: datetime) -> Iterator[Line]:
    health = view.health
    if health is None:
        yield (Part("not scored yet", "unknown", "unknown"),)
        return
    score = "" if health.level == "unknown" else f" {health.score:.2f}"
    since = f"  since {local_time(health.since)} ({_ago(health.since, now)})" if health.since is not None else ""
    yield (Part(f"{health.level}{score}", health.level, health.level), Part(since, "dim"))
    yield (Part(f"{health.evaluated}/{health.applicable} checks have the data they need", "dim"),)
    for reason in health.reasons:
        yield (Part(f"{reason.check}  ", "accent"), Part(reason.text))
        yield from ((Part(f"  {name} ", "dim"), Part(value, "dim")) for name, value in facts(reason))


def _alerts(view: EntityView) -> Iterator[Line]:
    for alert in view.alerts:
        level = "healthy" if alert.state == "resolved" else alert.severity
        since = f"  since {local_time(alert.started_at)}" if alert.started_at is not None else ""
        state = Part(f"{alert.state} {alert.severity}  ", level, level)
        yield (state, Part(f"{alert.check}  ", "accent"), Part(alert.text), Part(since, "dim"))


def _figures(pulses: Sequence[Pulse], now: datetime) -> tuple[str, Iterator[Line]]:
    if not pulses:
        return "Figures", iter([(Part("not known: no pulse in the last minutes", "dim"),)])
    return f"Figures ({_ago(pulses[-1].timestamp, now)})", _sparks(pulses)


def _sparks(pulses: Sequence[Pulse]) -> Iterator[Line]:
    last = pulses[-1]
    if isinstance(last, DatabasePulse):
        yield (Part("phase ", "dim"), Part(f"{last.phase} ({last.cause})" if last.cause else last.phase))
    values = [figures(each) for each in pulses]
    width = max(map(len, values[-1]), default=0)
    for name in values[-1]:
        drawn = spark([each.get(name) for each in values], SPARK_WIDTH)
        yield (
            Part(f"{name:<{width}} ", "dim"),
            Part(f"{drawn:>{SPARK_WIDTH}} ", "accent"),
            Part(_worded(name, values)),
        )


def _worded(name: str, values: Sequence[dict[str, float | None]]) -> str:
    value = values[-1].get(name)
    return figure(name, value) if value is not None else f"{NOT_KNOWN} (not known)"


def _connections(found: Described) -> Iterator[Line]:
    view = found.view
    peers: dict[tuple[str, str], list[Ref]] = {}
    links = [link_of(edge, view.ref) for edge in found.edges]
    for link in sorted(links, key=lambda each: (each.direction != "out", each)):
        peers.setdefault((link.direction, link.kind), []).append(link.peer)
    for (direction, kind), found_there in peers.items():
        yield (Part("→ " if direction == "out" else "← ", "accent"), Part(kind, "dim"))
        yield from ((Part("    "), Part(peer_name(each, view.ref), to=each)) for each in found_there[:PEERS_MAX])
        if len(found_there) > PEERS_MAX:
            yield (Part(f"    and {len(found_there) - PEERS_MAX} more", "dim"),)


def _events(events: Iterable[Event]) -> Iterator[Line]:
    for each in reversed(list(events)):
        level = _SEVERITIES.get(each.severity, each.severity)
        yield (Part(f"{local_time(each.last_at)}  ", "dim"), Part(f"{each.reason}  ", level, level), Part(each.text))


def _section(heading: str, lines: Iterable[Line]) -> Iterator[Line]:
    """A heading and its lines; without lines, nothing."""
    listed = list(lines)
    if listed:
        yield ()
        yield (Part(heading, "bold"),)
        yield from ((Part("  "), *line) for line in listed)


def _pairs(pairs: Iterable[tuple[str, str]]) -> Iterator[Line]:
    listed = [(printable(name), value) for name, value in pairs]
    width = max((len(name) for name, _ in listed), default=0)
    yield from ((Part(f"{name:<{width}}  ", "dim"), Part(value)) for name, value in listed)


def _ago(time: datetime, now: datetime) -> str:
    return f"{span((now - time).total_seconds())} ago"
