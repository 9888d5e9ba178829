"""The counters of an edge → its traffic as an entity states it, and when that is stated again. Pure.

An entity holds state: its traffic is the average of a minute, stated again when it has clearly changed, so a system
at rest publishes nothing. The samples of every window are in the pulses.
"""

from math import floor, log10
from typing import Final

from kgents_collector_otel.mapping.edge import Edge
from kgents_shared.contract.entity import Traffic

CALM_RATIO: Final = 0.25
"""How far a figure must move from the published one to be published again."""
CALM_P99_RATIO: Final = 0.5
"""The same for the 99th percentile of a minute, which is made of few calls."""
ERRORS_RATIO: Final = 0.05
"""An error rate that moves by this is published at once."""
FAST_RATIO: Final = 1.0
"""A median that doubles, or halves, is published at once."""
SPANS_MIN: Final = 8
"""Calls in a window that show a change: of fewer, two slow ones are half."""
REQUESTS_MIN: Final = 10
"""Requests of the caller from which on calls per request are a figure."""
P95_SPANS_MIN: Final = 20
P99_SPANS_MIN: Final = 100
NEGATIVE_RATIO: Final = 0.05
"""Calls whose client gave up before the server was done; with more there is no time on the way."""

_FLOORS: Final = Traffic(
    requests_per_sec=0.2,
    error_rate=0.01,
    latency_ms=0.5,
    latency_p95_ms=1.0,
    latency_p99_ms=1.0,
    gap_ms=0.5,
    calls_per_request=0.2,
)
"""A change below this is noise, whatever its ratio."""
MEASURED: Final = tuple(name for name in Traffic.__struct_fields__ if getattr(_FLOORS, name) is not None)
"""The fields that are measured of calls."""


def measured(edge: Edge, seconds: float, requests: float | None) -> Traffic:
    """What was counted in some seconds.

    Args:
        edge: its counters.
        seconds: for how long.
        requests: of the caller itself, in the same time; None: not known.
    """
    latency = edge.client if edge.client.n else edge.server
    n = latency.n
    is_gap_known = edge.gap.n > 0 and edge.gap.negative <= NEGATIVE_RATIO * edge.gap.n
    errors = max(edge.errors_client, edge.errors_server)
    return Traffic(
        requests_per_sec=rounded(edge.n / seconds),
        error_rate=rounded(min(1.0, errors / edge.n)) if edge.n else None,
        latency_ms=rounded(latency.quantile(0.5)),
        latency_p95_ms=rounded(latency.quantile(0.95)) if n >= P95_SPANS_MIN else None,
        latency_p99_ms=rounded(latency.quantile(0.99)) if n >= P99_SPANS_MIN else None,
        gap_ms=rounded(edge.gap.quantile(0.5)) if is_gap_known else None,
        calls_per_request=rounded(edge.n / requests) if requests is not None and requests >= REQUESTS_MIN else None,
    )


def calm(new: Traffic, published: Traffic | None) -> Traffic:
    """The traffic of a minute to publish: the published one while none of its figures has clearly moved."""
    if published is None:
        return new
    for name in MEASURED:
        is_rough = name == "latency_p99_ms"
        if _has_moved(getattr(published, name), getattr(new, name), name, CALM_P99_RATIO if is_rough else CALM_RATIO):
            return new
    return published


def is_sudden(window: Edge, seconds: float, published: Traffic | None) -> bool:
    """Whether what a single window shows cannot wait for the end of the minute."""
    if published is None:
        return True
    if window.spans < SPANS_MIN:
        return False
    now = measured(window, seconds, None)
    if abs((now.error_rate or 0.0) - (published.error_rate or 0.0)) >= ERRORS_RATIO:
        return True
    old, new = published.latency_ms, now.latency_ms
    if old is None or new is None:
        return old is not new
    return max(old, new) > (1 + FAST_RATIO) * min(old, new) and abs(old - new) > 2.0


def rounded(value: float | None) -> float | None:
    """To two significant digits."""
    if value is None or value <= 0:
        return value if value is None else 0.0
    return round(value, 1 - floor(log10(value)))


def _has_moved(old: float | None, new: float | None, name: str, ratio: float) -> bool:
    if old is None or new is None:
        return (old is None) != (new is None) and name != "latency_p99_ms"
    floor: float = getattr(_FLOORS, name)
    return abs(old - new) > max(floor, ratio * old)
