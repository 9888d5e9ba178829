"""Everything known about one entity → lines under headings."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from kgents_cli.output import painted
from kgents_cli.sentence import Line, clean
from kgents_cli.tree import peer_name
from kgents_cli.units import figure, plain
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.figures import figures
from kgents_shared.contract.health import Reason
from kgents_shared.contract.pulse import DatabasePulse, Pulse
from kgents_shared.contract.quantity import ANSWER, worded
from kgents_shared.view.entity import EntityView
from kgents_shared.view.moment import local_time, span
from kgents_shared.view.paths import Edge

_INDENT: Final = "  "


class Link(msgspec.Struct, frozen=True, order=True):
    """One connection as the entity sees it."""

    direction: str
    """`out` or `in`."""
    kind: str
    peer: Ref


def link_of(edge: Edge, ref: Ref) -> Link:
    """A connection as one of its ends sees it."""
    return Link("out" if edge.source == ref else "in", edge.kind, edge.other(ref))


class Detail(msgspec.Struct, frozen=True):
    """One entity, and what else is shown of it."""

    view: EntityView
    now: datetime
    pulse: Pulse | None
    links: Sequence[Link]
    events: Sequence[Line]
    """Oldest first."""
    history: Sequence[Line]
    """Oldest first."""


def detail_lines(detail: Detail) -> Iterator[str]:
    """The description of an entity."""
    view = detail.view
    yield painted(clean(f"{view.ref}"), "bold", sys.stdout) + f"  in cluster {clean(view.ref.cluster)}"
    yield from _pairs(_basics(detail))
    yield from _section("Health", _health(detail))
    yield from _section("Alerts", _alerts(detail))
    yield from _section(*_pulse(detail))
    yield from _section("Connections", _links(detail))
    if (topology := view.topology) is not None:
        yield from _section("Labels", _pairs(topology.labels.items()))
        yield from _section("Attributes", _pairs((name, plain(value)) for name, value in topology.attributes.items()))
        yield from _section("Addresses", map(clean, [*topology.addresses, *topology.aliases]))
    yield from _section("Events", _happened(detail.events))
    yield from _section("History", _happened(detail.history))


def _basics(detail: Detail) -> Iterator[tuple[str, str]]:
    view, topology = detail.view, detail.view.topology
    yield "status", view.condition
    if view.stale:
        yield "stale", f"no report from {', '.join(view.stale)}"
    if topology is None:
        return
    if topology.created_at is not None:
        yield "created", f"{local_time(topology.created_at)} ({_ago(topology.created_at, detail.now)})"
    yield "reported by", ", ".join(topology.sources) or "no collector"
    if topology.uid:
        yield "uid", topology.uid


def _health(detail: Detail) -> Iterator[str]:
    health = detail.view.health
    if health is None:
        yield "not scored yet"
        return
    score = "" if health.level == "unknown" else f" {health.score:.2f}"
    since = f" since {local_time(health.since)} ({_ago(health.since, detail.now)})" if health.since is not None else ""
    yield painted(f"{health.level}{score}", health.level, sys.stdout) + since
    yield f"{health.evaluated}/{health.applicable} checks have the data they need"
    for reason in health.reasons:
        yield f"{reason.check}  {clean(reason.text)}"
        yield from (f"{_INDENT}{line}" for line in _pairs(facts(reason)))


def facts(reason: Reason) -> Iterator[tuple[str, str]]:
    """What a reason rests on: name → value with its unit."""
    yield "severity", f"{reason.severity:.2f}"
    for name, value in (("value", reason.value), ("threshold", reason.threshold)):
        is_half_a_yes = name == "threshold" and reason.unit == ANSWER
        if value is not None and not is_half_a_yes:
            yield name, worded(value, reason.unit) if isinstance(value, int | float) else str(value)
    if reason.evidence:
        yield "evidence", reason.evidence


def _alerts(detail: Detail) -> Iterator[str]:
    for alert in detail.view.alerts:
        level = "healthy" if alert.state == "resolved" else alert.severity
        since = f" since {local_time(alert.started_at)}" if alert.started_at is not None else ""
        state = painted(f"{alert.state} {alert.severity}", level, sys.stdout)
        yield f"{state}  {alert.check}  {clean(alert.text)}{since}"


def _pulse(detail: Detail) -> tuple[str, Iterator[str]]:
    pulse = detail.pulse
    if pulse is None:
        return "Figures", iter(())
    phase = []
    if isinstance(pulse, DatabasePulse):
        phase = [("phase", f"{pulse.phase} ({pulse.cause})" if pulse.cause else pulse.phase)]
    values = [(name, figure(name, value)) for name, value in figures(pulse).items()]
    return f"Figures ({_ago(pulse.timestamp, detail.now)}, every {pulse.interval_s:g} s)", _pairs([*phase, *values])


def _links(detail: Detail) -> Iterator[str]:
    peers: dict[tuple[str, str], list[str]] = {}
    for link in sorted(detail.links, key=lambda each: (each.direction != "out", each)):
        peers.setdefault((link.direction, link.kind), []).append(peer_name(link.peer, detail.view.ref))
    width = max((len(kind) for _, kind in peers), default=0)
    for (direction, kind), names in peers.items():
        yield clean(f"{'→' if direction == 'out' else '←'} {kind:<{width}}  {', '.join(names)}")


def _happened(lines: Iterable[Line]) -> Iterator[str]:
    for line in lines:
        level = painted(f"{line.level:<8}", line.level, sys.stdout)
        yield f"{painted(local_time(line.at), 'dim', sys.stdout)}  {level}  {line.text}"


def _section(heading: str, lines: Iterable[str]) -> Iterator[str]:
    """A heading and its lines; without lines, nothing."""
    listed = list(lines)
    if listed:
        yield painted(heading, "bold", sys.stdout)
        yield from (f"{_INDENT}{line}" for line in listed)


def _pairs(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    listed = [(clean(name), clean(value)) for name, value in pairs]
    width = max((len(name) for name, _ in listed), default=0)
    yield from (f"{name:<{width}}  {value}" for name, value in listed)


def _ago(time: datetime, now: datetime) -> str:
    return f"{span((now - time).total_seconds())} ago"
