"""Series of Prometheus, queried or written to us → figures of entities, and calls between apps. Pure.

Both ways give the samples themselves, so both give the same: a query asks for the samples of the last minutes, which
overlap, and what was seen before adds nothing. Prometheus does not say since when a counter counts. One that appears
beside others of its target that were there before began at zero since then; any other begins with a baseline.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from datetime import datetime
from math import isfinite, isnan
from struct import pack
from typing import Final, NamedTuple

from kgents_collector_otel.mapping.calls import Call, CallPart, Calls
from kgents_collector_otel.mapping.edge_rules import EdgeRule, Labels
from kgents_collector_otel.mapping.figures import Latest, Measured, Use
from kgents_collector_otel.mapping.growth import UNKNOWN_START, Point
from kgents_collector_otel.mapping.metric import SERIES_MAX
from kgents_collector_otel.mapping.place import owners
from kgents_collector_otel.mapping.rules import RULES, Rule, factor
from kgents_collector_otel.mapping.series import MISSED_MAX, REMEMBERED_S, Series, SeriesTable

STALE: Final = bytes.fromhex("020000000000f07f")
"""The NaN by which Prometheus says that a series has ended."""
NAME: Final = "__name__"

_PLACES: Final = {
    "namespace": "k8s.namespace.name",
    "pod": "k8s.pod.name",
    "container": "k8s.container.name",
    "node": "k8s.node.name",
}
"""Labels of cAdvisor and kube-state-metrics → attributes that name the same."""


class Sample(NamedTuple):
    """One value of a series. Times in nanoseconds since 1970."""

    time: int
    value: float
    start: int = UNKNOWN_START


class _Target:
    """The times at which one target had a metric: the newest, and the one before."""

    __slots__ = ("before", "newest")

    def __init__(self) -> None:
        self.newest = 0
        self.before = 0

    def absent_at(self, time: int) -> int | None:
        """When it was last scraped before a time, without what it has then; None if that is not known."""
        last = self.newest if time > self.newest else self.before if time == self.newest else 0
        return last if last and time - last < REMEMBERED_S * 1e9 / MISSED_MAX else None

    def note(self, time: int) -> None:
        if time > self.newest:
            self.before, self.newest = self.newest, time


class Scraped:
    """What one Prometheus has of the series that a rule uses."""

    def __init__(
        self,
        cluster: str,
        edge_rules: Sequence[EdgeRule],
        *,
        rules: Sequence[Rule] = RULES,
        series_max: int = SERIES_MAX,
    ) -> None:
        self.counts: Counter[str] = Counter()
        """What became of the samples: `used`, `unused`, `repeated`, `refused`."""
        self.nameless: Counter[str] = Counter()
        """What a rule needs whose series name no one on either side → how often it came."""
        self.figures = SeriesTable[Use](series_max)
        self.calls = Calls(series_max)
        self._cluster = cluster
        self._rules = rules
        self._edge_rules = edge_rules
        self._by_metric: dict[str, list[int]] = defaultdict(list)
        for place, rule in enumerate(rules):
            for name in rule.metrics if rule.sent_unit else ():
                self._by_metric[name].append(place)
        self._by_counter: dict[str, list[tuple[int, CallPart]]] = defaultdict(list)
        for place, edge_rule in enumerate(edge_rules):
            for name, part in _parts(edge_rule):
                self._by_counter[name].append((place, part))
        self._targets: dict[tuple[str, str, str], _Target] = {}
        self._latest = Latest()

    @property
    def metrics(self) -> list[str]:
        """The metrics that are read."""
        return sorted({*self._by_metric, *self._by_counter})

    def take(self, labels: Labels, samples: Sequence[Sample], at: datetime) -> None:
        """Add samples of one series, in the order of their times."""
        name = labels.get(NAME, "")
        if name not in self._by_metric and name not in self._by_counter:
            self.counts["unused"] += len(samples)
            return
        key = tuple(sorted(labels.items()))
        if name in self._by_counter:
            self._take_calls(key, name, labels, samples, at)
        else:
            self._take_figures(key, name, labels, samples, at)

    def ended(self, now: datetime) -> Iterator[None]:
        """Remove what was not sent for too long, one step at a time."""
        yield from self.figures.end_silent(now)
        yield from self.calls.table.end_silent(now)
        oldest = (now.timestamp() - REMEMBERED_S) * 1e9
        self._targets = {key: each for key, each in self._targets.items() if each.newest > oldest}

    def measured(self) -> Iterator[tuple[Measured, bool] | None]:
        """The figures of each entity that has some, and whether anything of it is new since the last call.

        None is a step, for others that share the loop.
        """
        return self._latest.measured(self.figures, self._rules)

    def _take_figures(self, key: Hashable, name: str, labels: Labels, samples: Sequence[Sample], at: datetime) -> None:
        series = self.figures.get(key)
        if series is None:
            uses = list(self._uses(name, labels))
            series = self.figures.add(key, uses, at) if uses else None
        if series is None:
            self.counts["unused"] += len(samples)
            return
        is_counter = self._rules[series.uses[0].rule].take == "rate"
        target = self._target(name, labels)
        for sample in samples:
            if _is_stale(sample.value):
                self.figures.end(key)
            elif is_counter:
                self._count(series, sample, target, at)
            else:
                series.measure(sample.value if isfinite(sample.value) else None, sample.time, at)
        self.figures.touch(series)

    def _uses(self, name: str, labels: Labels) -> Iterator[Use]:
        places = owners({to: labels[label] for label, to in _PLACES.items() if label in labels}, self._cluster)
        for place in self._by_metric[name]:
            rule = self._rules[place]
            number = factor(rule, rule.sent_unit)
            if rule.of in places and number is not None and rule.applies(labels):
                owner = places[rule.of]
                name_place = rule.metrics.index(name)
                yield Use(owner=owner, rule=place, name=name_place, instance="", is_error=False, factor=number)

    def _take_calls(self, key: Hashable, name: str, labels: Labels, samples: Sequence[Sample], at: datetime) -> None:
        series = self.calls.table.get(key)
        if series is None:
            uses = list(self._calls(name, labels))
            series = self.calls.table.add(key, uses, at) if uses else None
        if series is None:
            self.counts["unused"] += len(samples)
            return
        target = self._target(name, labels)
        for sample in samples:
            if _is_stale(sample.value):
                self.calls.table.end(key)
            else:
                self._count(series, sample, target, at)

    def _calls(self, name: str, labels: Labels) -> Iterator[Call]:
        for place, part in self._by_counter[name]:
            rule = self._edge_rules[place]
            if not rule.applies(labels):
                continue
            caller, callee = rule.named(rule.caller, labels), rule.named(rule.callee, labels)
            if callee is None:
                if caller is None and rule.needs:
                    self.nameless[rule.needs] += 1
                continue
            yield Call.of(
                rule,
                part,
                labels,
                caller=None if caller is None else Calls.app(self._cluster, *caller),
                callee=Calls.app(self._cluster, *callee),
            )

    def _count(self, series: Series[Use] | Series[Call], sample: Sample, target: _Target, at: datetime) -> None:
        if not isfinite(sample.value) or sample.value < 0:
            self.counts["refused"] += 1
            return
        absent_at = target.absent_at(sample.time)
        target.note(sample.time)
        start = sample.start or (absent_at if series.mark is None and absent_at is not None else UNKNOWN_START)
        before = series.mark
        series.take(Point(sample.time, float(sample.value), start), at, is_delta=False, absent_at=absent_at)
        self.counts["used" if series.mark is not before else "repeated"] += 1

    def _target(self, name: str, labels: Labels) -> _Target:
        key = name, labels.get("job", ""), labels.get("instance", "")
        return self._targets.setdefault(key, _Target())


def _parts(rule: EdgeRule) -> Iterable[tuple[str, CallPart]]:
    yield rule.requests, "requests"
    if rule.failed:
        yield rule.failed, "failed"
    if rule.latency:
        yield f"{rule.latency}_bucket", "latency"


def _is_stale(value: float) -> bool:
    return isnan(value) and pack("<d", value) == STALE
