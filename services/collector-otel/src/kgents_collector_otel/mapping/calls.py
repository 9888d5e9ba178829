"""Counters of requests between two apps → what one called at the other, a second. Pure.

Of counters of which one was just reset nothing is known until their next point; the others of the same edge would be
too few, so the edge is left out of that window. It is not zero.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from math import inf
from typing import Final, Literal, Self

from msgspec import Struct

from kgents_collector_otel.mapping.distribution import Bucket, Explicit
from kgents_collector_otel.mapping.edge_rules import EdgeRule, Labels
from kgents_collector_otel.mapping.growth import Growth
from kgents_collector_otel.mapping.place import Owner
from kgents_collector_otel.mapping.series import Owned, Series, SeriesTable
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.sketch import Sketch
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.edges import ConnectionKindName

CallPart = Literal["requests", "failed", "latency"]
POSITIONS_MAX: Final = 16
"""Values of a bucket are spread evenly over this many positions at most: then a percentile is that of the bucket."""
_MS: Final = {"ms": 1.0, "s": 1e3}


class Call(Owned, frozen=True, kw_only=True):
    """A series as a part of an edge. Its owner is the app that is called, since its caller may not be known."""

    caller: Ref | None
    kind: ConnectionKindName
    part: CallPart
    measured_by: str
    is_error: bool
    bound_ms: float
    """Of a bucket of a latency."""
    histogram: tuple[tuple[str, str], ...]
    """Of a bucket: which histogram it belongs to."""

    @classmethod
    def of(cls, rule: EdgeRule, part: CallPart, labels: Labels, *, caller: Ref | None, callee: Ref) -> Self:
        """What a series with these labels is."""
        bound = float(labels.get("le", "inf")) if part == "latency" else inf
        return cls(
            owner=Owner(callee),
            caller=caller,
            kind=rule.kind_of(labels),
            part=part,
            measured_by=rule.measured_by,
            is_error=part == "failed" or rule.is_error(labels),
            bound_ms=bound * _MS[rule.latency_unit],
            histogram=tuple(sorted((name, value) for name, value in labels.items() if name != "le")),
        )


class Called(Struct):
    """What one app called at another in one way in a window."""

    caller: Ref | None
    """None: it is not known; then it only counts as what the other one served."""
    callee: Ref
    kind: ConnectionKindName
    n: float = 0.0
    served: float = 0.0
    """Of these: those that the other one has counted itself."""
    errors_client: float = 0.0
    errors_server: float = 0.0
    client_ms: Sketch | None = None
    server_ms: Sketch | None = None


_Histogram = tuple[str, tuple[tuple[str, str], ...]]
_Key = tuple[Ref | None, ConnectionKindName]
_Parts = Iterable[tuple[Call, Series[Call]]]


class Calls:
    """All edges of one source."""

    def __init__(self, series_max: int) -> None:
        self.table = SeriesTable[Call](series_max)

    @staticmethod
    def app(cluster: str, namespace: str, name: str) -> Ref:
        """The app of this name."""
        return Ref(cluster, kinds.APP, name, namespace)

    def window(self, seconds: float) -> Iterator[Called | None]:
        """What was called in a window that long, at the rates since the last window, or those of the last one.

        None is a step, for others that share the loop.
        """
        for callee in self.table.refs:
            yield None
            by_edge: dict[_Key, list[tuple[Call, Series[Call]]]] = defaultdict(list)
            for series in self.table.of(callee):
                for use in series.uses:
                    if use.owner.ref == callee:
                        by_edge[use.caller, use.kind].append((use, series))
            for (caller, kind), parts in by_edge.items():
                found = _called(Called(caller, callee, kind), parts, seconds)
                if found is not None:
                    yield found


def _called(called: Called, parts: _Parts, seconds: float) -> Called | None:
    """Add up the parts of one edge; None if one of its counters is not known."""
    buckets: dict[_Histogram, dict[float, Growth | None]] = defaultdict(dict)
    is_known = True
    for use, series in parts:
        if use.part == "latency":
            buckets[use.measured_by, use.histogram][use.bound_ms] = series.read()
            continue
        count = _count(series.read(), seconds)
        if count is None:
            is_known = False
            continue
        if use.part == "requests":
            called.n += count
            called.served += count if use.measured_by == "server" else 0.0
        if use.is_error and use.measured_by == "client":
            called.errors_client += count
        elif use.is_error:
            called.errors_server += count
    if not is_known:
        return None
    called.errors_client = min(called.errors_client, called.n)
    called.errors_server = min(called.errors_server, called.n)
    called.client_ms = _sketch((each for (side, _), each in buckets.items() if side == "client"), seconds)
    called.server_ms = _sketch((each for (side, _), each in buckets.items() if side == "server"), seconds)
    return called


def _count(growth: Growth | None, seconds: float) -> float | None:
    if growth is None or not isinstance(growth.amount, float) or growth.seconds <= 0:
        return None
    return growth.amount * seconds / growth.seconds


def _sketch(histograms: Iterable[Mapping[float, Growth | None]], seconds: float) -> Sketch | None:
    """The values of some histograms by their cumulative counts; None without any value.

    A histogram of which a part is not known, or is of another time than the others, is left out.
    """
    sketch = Sketch()
    for growths in histograms:
        bounds = sorted(growths)
        counts = [_count(growths[bound], seconds) for bound in bounds]
        known = [each for each in counts if each is not None]
        times = {(each.start, each.end) for each in growths.values() if each is not None}
        if len(known) < len(counts) or len(times) > 1:
            continue
        cumulative = list(accumulate(known, max))  # rounding may make the next one lower by nearly nothing
        steps = [now - before for before, now in zip([0.0, *cumulative], cumulative, strict=False)]
        finite = tuple(bound for bound in bounds if bound < inf)
        beyond = steps[len(finite)] if len(finite) < len(steps) else 0.0
        _add(sketch, Explicit(finite, (*steps[: len(finite)], beyond)).buckets())
    return sketch if sketch.n else None


def _add(sketch: Sketch, buckets: Iterable[Bucket]) -> None:
    """Add whole values, so that as many are added as there are, to the nearest one."""
    exact, added = 0.0, 0
    for lower, upper, count in buckets:
        exact += count
        whole = round(exact) - added
        added += whole
        if upper == inf:
            if lower < inf:
                sketch.add(lower, whole)
            continue
        places = min(whole, POSITIONS_MAX)
        for place in range(places):
            share = whole * (place + 1) // places - whole * place // places
            sketch.add(lower + (upper - lower) * (place + 0.5) / places, share)
