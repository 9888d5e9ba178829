"""OTLP metrics → series → the figures of apps, pods, containers, nodes and hosts.

    ResourceMetrics → places + rules → SeriesTable → figures → pulses

What no rule uses is accepted and costs one lookup. What is malformed is refused and counted, and the rest of its
request is taken: bad data is never a reason for a sender to repeat a request.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from math import isfinite
from typing import Any, Final

from msgspec import Struct

from kgents_collector_otel.mapping import metric_wire as wire
from kgents_collector_otel.mapping.distribution import SCALE_MAX, SCALE_MIN, Amount, Explicit, Exponential
from kgents_collector_otel.mapping.figures import Latest, Measured, Use
from kgents_collector_otel.mapping.growth import Point
from kgents_collector_otel.mapping.place import READ, Owners, owners
from kgents_collector_otel.mapping.resource import key_of
from kgents_collector_otel.mapping.rules import RULES, Rule, factor
from kgents_collector_otel.mapping.series import Series, SeriesTable

SERIES_MAX: Final = 50_000
"""An app of a hundred routes has some three hundred that a rule uses."""
RESOURCES_MAX: Final = 10_000

USED: Final = "used"
REPEATED: Final = "repeated"
OVERLAPPING: Final = "overlapping"
_OUTCOMES: Final = (USED, REPEATED, OVERLAPPING)

_KINDS: Final = ("gauge", "sum", "histogram", "exponential_histogram")


class Rejected(Struct):
    """The points of a request that were malformed, for its partial success."""

    points: int = 0
    reason: str = ""

    def add(self, reason: str) -> None:
        self.points += 1
        self.reason = self.reason or reason


class _Resource(Struct, frozen=True):
    number: int
    owners: Owners


class _Stream(Struct, frozen=True):
    """One metric of one resource and scope."""

    key: Hashable
    kind: str
    rules: Sequence[tuple[int, int, float]]
    """Rule, place of the metric's name in it, factor from the metric's unit to the rule's."""
    owners: Owners
    instance: int
    is_delta: bool
    is_monotonic: bool


class Metrics:
    """What all senders measure."""

    def __init__(self, cluster: str, *, rules: Sequence[Rule] = RULES, series_max: int = SERIES_MAX) -> None:
        self.counts: Counter[str] = Counter()
        """What became of the points: `used`, `unused`, `repeated`, `overlapping`, `rejected`."""
        self.table = SeriesTable[Use](series_max)
        self._cluster = cluster
        self._rules = rules
        self._by_metric: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
        for place, rule in enumerate(rules):
            for name_place, name in enumerate(rule.metrics):
                self._by_metric[name.encode()].append((place, name_place))
        self._resources: dict[bytes, _Resource] = {}
        self._resources_seen = 0
        self._sent_at: dict[Hashable, int] = {}  # stream → time of its newest point
        self._latest = Latest()

    def take(self, resource_metrics: Any, at: datetime, rejected: Rejected) -> Iterator[None]:
        """Add one `ResourceMetrics` that arrived now, one point at each step.

        Args:
            resource_metrics: the message.
            at: now.
            rejected: what is malformed is added to it.
        """
        resource = self._resource(resource_metrics.resource)
        for scope in resource_metrics.scope_metrics:
            for metric in scope.metrics:
                candidates = self._by_metric.get(metric.name)
                kind = next((kind for kind in _KINDS if metric.HasField(kind)), "")
                if candidates is None or not kind:
                    self.counts["unused"] += 1
                    continue
                data = getattr(metric, kind)
                stream = self._stream(resource, scope.scope, metric, kind, candidates)
                yield from self._take_points(stream, data.data_points, at, rejected)

    def ended(self, now: datetime) -> Iterator[None]:
        """Remove what was not measured for too long, one step at a time."""
        yield from self.table.end_silent(now)
        if len(self._sent_at) > 2 * len(self.table) + 1000:
            self._sent_at.clear()  # until they are sent again, new series begin with a baseline

    def measured(self) -> Iterator[tuple[Measured, bool] | None]:
        """The figures of each entity that has some, and whether anything of it is new since the last call.

        None is a step, for others that share the loop.
        """
        return self._latest.measured(self.table, self._rules)

    def _resource(self, raw: bytes) -> _Resource:
        key = key_of(raw)
        found = self._resources.get(key)
        if found is None:
            if len(self._resources) >= RESOURCES_MAX:
                self._resources.clear()  # series of one that comes again begin again: at worst a figure is null once
            self._resources_seen += 1
            attributes = wire.attributes_of_resource(raw, READ)
            found = self._resources[key] = _Resource(self._resources_seen, owners(attributes, self._cluster))
        return found

    def _stream(
        self, resource: _Resource, scope: bytes, metric: Any, kind: str, candidates: Iterable[tuple[int, int]]
    ) -> _Stream:
        data = getattr(metric, kind)
        is_delta = kind != "gauge" and data.aggregation_temporality == wire.DELTA
        is_monotonic = kind != "gauge" and (kind != "sum" or data.is_monotonic)
        unit = metric.unit.decode("utf-8", "replace")
        found = []
        for place, name_place in candidates:
            rule = self._rules[place]
            number = factor(rule, unit)
            if number is not None and rule.of in resource.owners and _fits(rule, kind, is_monotonic=is_monotonic):
                found.append((place, name_place, number))
        key = (resource.number, scope, metric.name, kind, is_delta)
        return _Stream(key, kind, found, resource.owners, resource.number, is_delta, is_monotonic)

    def _take_points(self, stream: _Stream, points: Iterable[Any], at: datetime, rejected: Rejected) -> Iterator[None]:
        if not stream.rules or (stream.is_delta and not stream.is_monotonic):
            self.counts["unused"] += 1
            return
        absent_at = self._sent_at.get(stream.key)
        newest = absent_at or 0
        for each in points:
            yield
            newest = max(newest, each.time_unix_nano)
            key = (stream.key, *sorted(each.attributes))
            if each.flags & wire.NO_RECORDED_VALUE:
                self.table.end(key)
                continue
            series = self.table.get(key) or self._begin(stream, key, each.attributes, at)
            if series is None:
                self.counts["unused"] += 1
            elif (outcome := _take(stream, series, each, at, absent_at)) in _OUTCOMES:
                self.counts[outcome] += 1
                if outcome == USED:
                    self.table.touch(series)
            else:
                self.counts["rejected"] += 1
                rejected.add(outcome)
        self._sent_at[stream.key] = newest

    def _begin(self, stream: _Stream, key: Hashable, raw: Iterable[bytes], at: datetime) -> Series[Use] | None:
        uses = []
        for place, name_place, number in stream.rules:
            rule = self._rules[place]
            attributes = wire.attributes(raw, rule.reads)
            if rule.applies(attributes):
                owner = stream.owners[rule.of]
                uses.append(
                    Use(
                        owner=owner,
                        rule=place,
                        name=name_place,
                        instance=stream.instance,
                        is_error=rule.is_error(attributes),
                        factor=number,
                    )
                )
        return self.table.add(key, uses, at) if uses else None


def _fits(rule: Rule, kind: str, *, is_monotonic: bool) -> bool:
    """Whether a rule can use a metric of this kind."""
    match rule.take:
        case "distribution":
            return kind in ("histogram", "exponential_histogram")
        case "rate":
            return kind == "sum" and is_monotonic
        case "value":
            return kind == "gauge" or (kind == "sum" and not is_monotonic)


def _take(stream: _Stream, series: Series[Use], point: Any, at: datetime, absent_at: int | None) -> str:
    """Add a point to its series; returns what became of it, or what is malformed."""
    if not point.time_unix_nano:
        return "expected a point with a time, found none"
    if not stream.is_monotonic:
        number = _number(point)
        series.measure(number if number is not None and isfinite(number) else None, point.time_unix_nano, at)
        return USED
    amount = _AMOUNTS[stream.kind](point)
    if isinstance(amount, str):
        return amount
    before = series.mark
    found = Point(point.time_unix_nano, amount, point.start_time_unix_nano)
    if series.take(found, at, is_delta=stream.is_delta, absent_at=absent_at):
        return OVERLAPPING
    return USED if series.mark is not before else REPEATED


def _number(point: Any) -> float | None:
    if point.HasField("as_double"):
        return float(point.as_double)
    return float(point.as_int) if point.HasField("as_int") else None


def _sum(point: Any) -> Amount | str:
    number = _number(point)
    if number is None or not isfinite(number) or number < 0:
        return "expected a counter's value of 0 or more, found another"
    return number


def _explicit(point: Any) -> Amount | str:
    bounds, counts = tuple(point.explicit_bounds), tuple(map(float, point.bucket_counts))
    total = point.sum if point.HasField("sum") else None
    if not counts and not bounds:
        return Explicit((), (float(point.count),), total)
    if len(counts) != len(bounds) + 1 or list(bounds) != sorted(set(bounds)) or not all(map(isfinite, bounds)):
        return "expected one bucket more than ascending bounds, found others"
    return Explicit(bounds, counts, total)


def _exponential(point: Any) -> Amount | str:
    if not SCALE_MIN <= point.scale <= SCALE_MAX:
        return f"expected a scale of {SCALE_MIN} to {SCALE_MAX}, found another"
    if any(point.negative.bucket_counts):
        return "expected no negative values, found some"
    offset = point.positive.offset
    positive = {offset + place: float(count) for place, count in enumerate(point.positive.bucket_counts) if count}
    total = point.sum if point.HasField("sum") else None
    return Exponential(point.scale, positive, float(point.zero_count), point.zero_threshold, total)


_AMOUNTS: Final[Mapping[str, Any]] = {"sum": _sum, "histogram": _explicit, "exponential_histogram": _exponential}
