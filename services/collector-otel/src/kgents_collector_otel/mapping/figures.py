"""The series of one entity → its figures by the rules. Pure.

A sum of which one part is not known is not known. A figure without any series does not apply, and is absent.
"""

from collections.abc import Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from kgents_collector_otel.mapping.distribution import Bucket, Explicit, Exponential, percentile
from kgents_collector_otel.mapping.rules import Rule
from kgents_collector_otel.mapping.series import Owned, Series, SeriesTable
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.vocabulary.figures import resource

FIELDS: Final = frozenset(
    {
        resource.CPU_PERCENT,
        resource.MEMORY_BYTES,
        resource.MEMORY_LIMIT_BYTES,
        resource.NETWORK_RX_BYTES,
        resource.NETWORK_TX_BYTES,
    }
)
"""Figures with a field of their own in a pulse."""
_WHOLE: Final = frozenset({resource.MEMORY_BYTES, resource.MEMORY_LIMIT_BYTES})


class Use(Owned, frozen=True, kw_only=True):
    """A series as a part of a figure."""

    rule: int
    """Place of the rule among all: the lower one takes precedence."""
    name: int
    """Place of the metric's name in its rule: of one instance the lower one takes precedence."""
    instance: Hashable
    is_error: bool
    factor: float


Part = tuple[Use, Series[Use]]


class Measured(Struct, frozen=True):
    """The figures of an entity as they are now."""

    ref: Ref
    uid: str
    values: Mapping[str, float | None]
    read_at: Mapping[str, datetime]
    """Figure → when its newest part arrived."""
    interval_s: float

    def pulse(self, source: str, at: datetime) -> ResourcePulse:
        """The same as a message."""
        fields = {
            name: round(value) if name in _WHOLE else value
            for name, value in self.values.items()
            if name in FIELDS and value is not None
        }
        return ResourcePulse(
            ref=self.ref,
            source=source,
            timestamp=at,
            interval_s=self.interval_s,
            uid=self.uid,
            custom={name: value for name, value in self.values.items() if name not in FIELDS},
            unread=sorted(name for name, value in self.values.items() if name in FIELDS and value is None),
            read_at={name: time for name, time in sorted(self.read_at.items()) if time < at},
            **fields,  # type: ignore[arg-type]  # by FIELDS, each of them a number
        )


def measured(
    ref: Ref, all_series: Iterable[Series[Use]], rules: Sequence[Rule]
) -> Generator[None, None, Measured | None]:
    """The figures of an entity; None without any. Yields at each step, for others that share the loop."""
    parts = [(use, each) for each in all_series for use in each.uses if use.owner.ref == ref]
    yield
    parts = _preferred(parts)
    if not parts:
        return None
    yield
    values: dict[str, float | None] = {}
    read_at: dict[str, datetime] = {}
    for rule, of_rule in _by_figure(parts, rules):
        yield
        if rule.take == "distribution":
            found = yield from _distribution(rule, of_rule)
        else:
            found = {rule.figure: _figure(rule, of_rule)}
        values |= found
        read_at |= dict.fromkeys(found, max(series.seen_at for _, series in of_rule))
    newest_use, _ = max(parts, key=lambda part: part[1].seen_at)
    interval_s = max(series.interval_s for _, series in parts)
    return Measured(ref, newest_use.owner.uid, dict(sorted(values.items())), read_at, interval_s)


class Latest:
    """The figures of all entities of a table, made again of what has changed alone."""

    def __init__(self) -> None:
        self._found: dict[Ref, Measured] = {}

    def measured(self, table: SeriesTable[Use], rules: Sequence[Rule]) -> Iterator[tuple[Measured, bool] | None]:
        """The figures of each entity, and whether anything of it is new since the last call. None is a step."""
        touched = table.touched()
        for ref in touched:
            self._found.pop(ref, None)
            found = yield from measured(ref, table.of(ref), rules)
            if found is not None:
                self._found[ref] = found
        for ref, latest in list(self._found.items()):
            yield latest, ref in touched


def _preferred(parts: list[Part]) -> list[Part]:
    """Of one instance that sends a metric under several names, those of the first one alone."""
    first: dict[tuple[int, object], int] = {}
    for use, _ in parts:
        key = use.rule, use.instance
        first[key] = min(first.get(key, use.name), use.name)
    return [(use, series) for use, series in parts if use.name == first[use.rule, use.instance]]


def _by_figure(parts: list[Part], rules: Sequence[Rule]) -> Iterable[tuple[Rule, list[Part]]]:
    """Each figure's rule, and its parts: of distributions those of all rules, of others those of the first rule."""
    found: dict[tuple[str, ...], tuple[Rule, list[Part]]] = {}
    for use, series in sorted(parts, key=lambda part: part[0].rule):
        rule = rules[use.rule]
        first, of_figure = found.setdefault(tuple(rule.figures), (rule, []))
        if first is rule or rule.take == "distribution":
            of_figure.append((use, series))
    return found.values()


def _figure(rule: Rule, parts: list[Part]) -> float | None:
    numbers = [_rate(use, series) if rule.take == "rate" else _value(use, series) for use, series in parts]
    known = [each for each in numbers if each is not None]
    if len(known) < len(numbers):
        return None
    match rule.join:
        case "sum":
            return sum(known)
        case "max":
            return max(known)
        case "mean":
            return sum(known) / len(known)


def _value(use: Use, series: Series[Use]) -> float | None:
    return None if series.value is None else series.value * use.factor


def _rate(use: Use, series: Series[Use]) -> float | None:
    growth = series.read()
    if growth is None or not isinstance(growth.amount, float) or growth.seconds <= 0:
        return None
    return growth.amount * use.factor / growth.seconds


class _Sum:
    """Distributions of several series, added up a second: those of the same bounds are one."""

    def __init__(self) -> None:
        self.count = 0.0
        self.errors = 0.0
        self.total: float | None = 0.0
        self._explicit: dict[tuple[tuple[float, ...], float], list[float]] = {}
        self._exponential: dict[float, Exponential] = {}

    def add(self, use: Use, amount: Explicit | Exponential, seconds: float) -> None:
        count = amount.count / seconds
        self.count += count
        self.errors += count if use.is_error else 0.0
        known = self.total is not None and amount.total is not None
        self.total = (self.total or 0.0) + (amount.total or 0.0) * use.factor / seconds if known else None
        if isinstance(amount, Explicit):
            key = amount.bounds, use.factor
            before = self._explicit.get(key) or [0.0] * len(amount.counts)
            self._explicit[key] = [old + new / seconds for old, new in zip(before, amount.counts, strict=True)]
        else:
            now = amount.a_second(seconds)
            old = self._exponential.get(use.factor)
            self._exponential[use.factor] = now if old is None else old.plus(now)

    def buckets(self) -> list[Bucket]:
        """In the unit of the figure."""
        amounts: list[tuple[Explicit | Exponential, float]] = [
            (Explicit(bounds, tuple(counts)), factor) for (bounds, factor), counts in self._explicit.items()
        ]
        amounts += [(amount, factor) for factor, amount in self._exponential.items()]
        return [
            Bucket(lower * factor, upper * factor, count)
            for amount, factor in amounts
            for lower, upper, count in amount.buckets()
        ]


def _distribution(rule: Rule, parts: list[Part]) -> Generator[None, None, dict[str, float | None]]:
    found = _Sum()
    is_known = True
    for use, series in parts:
        growth = series.read()
        if growth is None or not isinstance(growth.amount, Explicit | Exponential) or growth.seconds <= 0:
            is_known = False
        elif is_known:
            found.add(use, growth.amount, growth.seconds)
        yield
    if not is_known:
        return dict.fromkeys(rule.figures)
    figures: dict[str, float | None] = {}
    if rule.count:
        figures[rule.count] = found.count
    if rule.errors:
        figures[rule.errors] = found.errors / found.count if found.count else None
    if rule.busy:
        figures[rule.busy] = found.total
    buckets = found.buckets() if rule.percentiles else []
    return figures | {name: percentile(buckets, rank) for name, rank in rule.percentiles.items()}
