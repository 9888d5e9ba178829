"""The series of one entity → its figures by the rules. Pure.

A sum of which one part is not known is not known. A figure without any series does not apply, and is absent.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from kgents_collector_otel.mapping.distribution import Bucket, percentile
from kgents_collector_otel.mapping.rules import Rule
from kgents_collector_otel.mapping.series import Owned, Series
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


def measured(ref: Ref, all_series: Iterable[Series[Use]], rules: Sequence[Rule]) -> Measured | None:
    """The figures of an entity; None without any."""
    parts = _preferred([(use, each) for each in all_series for use in each.uses if use.owner.ref == ref])
    if not parts:
        return None
    values: dict[str, float | None] = {}
    read_at: dict[str, datetime] = {}
    for rule, of_rule in _by_figure(parts, rules):
        found = _distribution(rule, of_rule) if rule.take == "distribution" else {rule.figure: _figure(rule, of_rule)}
        values |= found
        read_at |= dict.fromkeys(found, max(series.seen_at for _, series in of_rule))
    newest_use, _ = max(parts, key=lambda part: part[1].seen_at)
    interval_s = max(series.interval_s for _, series in parts)
    return Measured(ref, newest_use.owner.uid, dict(sorted(values.items())), read_at, interval_s)


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


class _Share(Struct, frozen=True):
    """What one series adds to a distribution, a second."""

    buckets: Sequence[Bucket]
    count: float
    total: float | None
    is_error: bool


def _distribution(rule: Rule, parts: list[Part]) -> dict[str, float | None]:
    shares = [_share(use, series) for use, series in parts]
    known = [each for each in shares if each is not None]
    if len(known) < len(shares):
        return dict.fromkeys(rule.figures)
    count = sum(each.count for each in known)
    found: dict[str, float | None] = {}
    if rule.count:
        found[rule.count] = count
    if rule.errors:
        found[rule.errors] = sum(each.count for each in known if each.is_error) / count if count else None
    if rule.busy:
        totals = [each.total for each in known]
        found[rule.busy] = None if None in totals else sum(each for each in totals if each is not None)
    buckets = [bucket for each in known for bucket in each.buckets]
    return found | {name: percentile(buckets, rank) for name, rank in rule.percentiles.items()}


def _share(use: Use, series: Series[Use]) -> _Share | None:
    growth = series.read()
    if growth is None or growth.amount is None or isinstance(growth.amount, float) or growth.seconds <= 0:
        return None
    amount, per_s, factor = growth.amount, 1 / growth.seconds, use.factor
    buckets = [Bucket(lower * factor, upper * factor, count * per_s) for lower, upper, count in amount.buckets()]
    total = None if amount.total is None else amount.total * factor * per_s
    return _Share(buckets, amount.count * per_s, total, use.is_error)
