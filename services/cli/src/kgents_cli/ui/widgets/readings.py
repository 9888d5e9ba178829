"""A pulse of a database → the three lines of its gauge. What is not known is `–`, never a zero. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from kgents_cli.ui.part import Line, Part
from kgents_cli.units import scaled, share
from kgents_shared.contract.pulse import ALL, DatabasePulse, Pool
from kgents_shared.contract.vocabulary.figures import coherency, database, qdrant, redis
from kgents_shared.view.moment import span

LINES: Final = 3
MIB: Final = 1024**2
BAR_WIDTH: Final = 12
NOT_KNOWN: Final = "–"
HIGH: Final = 0.8
FULL: Final = 0.95
"""Shares of a limit from which a bar is a warning, and critical; as what checks say of connections."""
COHERENT: Final = 0.99
MISSED: Final = 3
"""So many missed samples are no data."""

LEVELS: Final[Mapping[str, str]] = {
    "starting": "warning", "healthy": "healthy", "degraded": "warning", "overloaded": "critical", "failing": "critical",
}  # fmt: skip
"""Phase → level."""

Lines = tuple[Line, Line, Line]


def postgres(pulse: DatabasePulse | None, head: Line) -> Lines:
    """Connections, idle ones too, of what there may be; waiting and active ones; statements, their mean time."""
    pool = pulse.pool if pulse is not None and pulse.pool is not None else Pool()
    used = round(pool.utilization * pool.max) if pool.utilization is not None and pool.max is not None else None
    bar = _bar("pool", pool.utilization, f"{_count(used)}/{_count(pool.max)}")
    waits = (Part(f"  {pool.waiting} waiting", "warning"),) if pool.waiting else ()
    active = (Part(f"  {pool.active} active", "dim"),) if pool.active is not None else ()
    rate, latency = _performance(pulse, database.QPS), _performance(pulse, database.LATENCY_MS)
    return head, (*bar, *waits, *active), _pairs(("qps", _number(rate)), ("latency", _ms(latency)))


def redis_(pulse: DatabasePulse | None, head: Line) -> Lines:
    """Memory of its limit, how many lookups found their key, commands."""
    memory = pulse.memory if pulse is not None else None
    used, most = (memory.used_mb, memory.max_mb) if memory is not None else (None, None)
    has_none = pulse is not None and memory is not None and used is not None and most is None
    limit = ", no limit" if has_none and "memory.max_mb" not in _unread(pulse) else f" of {_size(most)}"
    bar = _bar("memory", memory.utilization if memory is not None else None, f"{_size(used)}{limit}")
    hits, rate = _performance(pulse, redis.HIT_RATE), _performance(pulse, redis.OPS_PER_SECOND)
    latency = _performance(pulse, database.LATENCY_MS)
    return head, bar, _pairs(("hits", _share(hits)), ("ops", _number(rate)), ("latency", _ms(latency)))


def qdrant_(pulse: DatabasePulse | None, head: Line) -> Lines:
    """Vectors in how many collections; searches, their mean time."""
    held = pulse.collections if pulse is not None else None
    vectors, count = (held.vectors, held.count) if held is not None else (None, None)
    searches, latency = _performance(pulse, qdrant.SEARCHES_PER_SECOND), _performance(pulse, database.LATENCY_MS)
    return (
        head,
        _pairs(("vectors", _count(vectors)), ("collections", _count(count))),
        _pairs(("searches", _number(searches)), ("latency", _ms(latency))),
    )


def bicameral(pulse: DatabasePulse | None, head: Line) -> Lines:
    """The share of rows with a current vector, with its interval; what differs in the sample."""
    custom = pulse.custom if pulse is not None else {}
    rate, low, high = (
        custom.get(name)
        for name in (coherency.COHERENCY_RATE, coherency.COHERENCY_RATE_LOW, coherency.COHERENCY_RATE_HIGH)
    )
    ends = "" if low is None or high is None or low == high else f" ({_digits(low)}–{_digits(high)})"
    level = (
        "" if high is None else "critical" if high < COHERENT - 0.09 else "warning" if high < COHERENT else "healthy"
    )
    bar = _bar("coherent", rate, f"{_share(rate)}{ends}", level)
    found = ((name, custom.get(figure)) for name, figure in _DIFFERENT)
    return head, bar, _pairs(*((name, _count(value)) for name, value in found))


def plain(pulse: DatabasePulse | None, head: Line) -> Lines:
    """What every database has: statements and their mean time."""
    rate, latency = _performance(pulse, database.QPS), _performance(pulse, database.LATENCY_MS)
    return head, _pairs(("qps", _number(rate)), ("latency", _ms(latency))), ()


def head(name: str, pulse: DatabasePulse | None, now: datetime | None) -> Line:
    """Its phase as mark, colour and word, before which database it is; of an old pulse, since when nothing came."""
    title = Part(f"{name} ", "bold")
    if pulse is None:
        return Part("no pulse yet  ", "unknown", "unknown"), title
    named = Part(f"{pulse.ref.namespace}/{pulse.ref.name}" if pulse.ref.namespace else pulse.ref.name, "accent")
    age_s = (now - pulse.timestamp).total_seconds() if now is not None else 0.0
    if age_s > MISSED * pulse.interval_s:
        return Part(f"no pulse for {span(age_s)}  ", "unknown", "unknown"), title, named
    level = "unknown" if ALL in pulse.unread and pulse.phase == "degraded" else LEVELS.get(pulse.phase, "unknown")
    cause = (Part(f"  {pulse.cause}", level),) if pulse.cause else ()
    return Part(f"{pulse.phase}  ", level, level), title, named, *cause


_DIFFERENT: Final = (("missing", coherency.MISSING), ("stale", coherency.STALE), ("ghosts", coherency.GHOSTS))


def _bar(name: str, value: float | None, text: str, level: str | None = None) -> Line:
    """A bar of a share; dots where it is not known."""
    if value is None:
        drawn, style = "·" * BAR_WIDTH, "dim"
    else:
        filled = min(BAR_WIDTH, max(int(value > 0), int(value * BAR_WIDTH)))  # never full before it is
        drawn = "█" * filled + "░" * (BAR_WIDTH - filled)
        style = "critical" if value >= FULL else "warning" if value >= HIGH else "healthy"
    return Part(f"{name} ", "dim"), Part(drawn, style if level is None or value is None else level), Part(f" {text}")


def _pairs(*pairs: tuple[str, str]) -> Line:
    parts: list[Part] = []
    for name, value in pairs:
        parts += [Part(f"{name} ", "dim"), Part(f"{value}  ", "dim" if value == NOT_KNOWN else "")]
    return tuple(parts)


def _performance(pulse: DatabasePulse | None, name: str) -> float | None:
    return pulse.performance.get(name) if pulse is not None else None


def _unread(pulse: DatabasePulse | None) -> list[str]:
    return pulse.unread if pulse is not None else []


def _count(value: float | None) -> str:
    return NOT_KNOWN if value is None else f"{value:,.0f}"


def _number(value: float | None) -> str:
    return NOT_KNOWN if value is None else f"{scaled(value)}/s"


def _ms(value: float | None) -> str:
    return NOT_KNOWN if value is None else f"{value:.3g} ms"


def _size(value: float | None) -> str:
    return NOT_KNOWN if value is None else f"{scaled(value * MIB)}B"


def _share(value: float | None) -> str:
    return NOT_KNOWN if value is None else share(value)


def _digits(value: float) -> str:
    return f"{100 * value:.3g}"
