"""Prometheus' text format → lines; two readings → growth, sums and percentiles. Pure."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from msgspec import Struct

_LINE: Final = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\Z")
_LABEL: Final = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')
_ESCAPES: Final = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


class Line(Struct, frozen=True):
    """One sample of one series."""

    name: str
    labels: Mapping[str, str]
    value: float

    @property
    def key(self) -> tuple[str, ...]:
        """Identifies the series: its name and labels."""
        return self.name, *(f"{name}={value}" for name, value in sorted(self.labels.items()))


def parse(text: str, prefix: str = "") -> tuple[Line, ...]:
    """The samples, without the prefix of the server; lines that are no sample or not finite are skipped."""
    found = (_LINE.match(line.strip()) for line in text.split("\n") if line and not line.startswith("#"))
    lines = (_line(match, prefix) for match in found if match is not None)
    return tuple(line for line in lines if math.isfinite(line.value))


def value(lines: Iterable[Line], name: str) -> float | None:
    """The sum of a family; None when it is missing."""
    values = [line.value for line in lines if line.name == name]
    return sum(values) if values else None


def growth(
    before: Iterable[Line], now: Iterable[Line], name: str, selected: Callable[[Line], bool] = lambda _: True
) -> dict[tuple[str, ...], float] | None:
    """The growth of each series of a family; None when one fell: the server has restarted.

    A new series counts from zero: the server creates it at the first request of its kind.
    """
    old = {line.key: line.value for line in before if line.name == name}
    grown = {line.key: line.value - old.get(line.key, 0.0) for line in now if line.name == name and selected(line)}
    return None if any(each < 0 for each in grown.values()) else grown


def buckets(lines: Iterable[Line], name: str) -> dict[float, float]:
    """A histogram's cumulative counts by upper bound, summed over its series, without the infinite bound."""
    found: dict[float, float] = {}
    for line in lines:
        if line.name == f"{name}_bucket" and (upper := _number(line.labels.get("le", ""))) < math.inf:
            found[upper] = found.get(upper, 0.0) + line.value
    return found


def percentile(before: Mapping[float, float], now: Mapping[float, float], total: float, rank: float) -> float | None:
    """The percentile of the values between two readings, interpolated as in Prometheus.

    Values above the last bound count as the last bound.
    """
    if total <= 0 or not now:
        return None
    lower, seen = 0.0, 0.0
    for upper in sorted(now):
        reached = now[upper] - before.get(upper, 0.0)
        if reached >= rank * total and reached > seen:
            return lower + (upper - lower) * (rank * total - seen) / (reached - seen)
        lower, seen = upper, max(seen, reached)
    return max(now)


def _line(match: re.Match[str], prefix: str) -> Line:
    labels = {label: _unescaped(text) for label, text in _LABEL.findall(match[2] or "")}
    return Line(match[1].removeprefix(prefix), labels, _number(match[3]))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _unescaped(text: str) -> str:
    return re.sub(r"\\.", lambda match: _ESCAPES.get(match[0], match[0]), text)
