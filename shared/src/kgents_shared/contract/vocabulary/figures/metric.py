"""A figure → its metric for Prometheus: the mission's names as they are, others under `kgents_`, in base units. Pure.

Prometheus counts in seconds, bytes and ratios, and ends a name with its unit: `performance.latency_ms` is
`kgents_performance_latency_seconds`. Families of figures (`postgres_locks_{mode}`) are no metrics: how many series
they would be is not known.
"""

from typing import Final

from msgspec import Struct

from kgents_shared.contract.vocabulary.figures import FIGURES
from kgents_shared.contract.vocabulary.figures.figure import CUSTOM, Figure

OF_DATABASES: Final = ("postgres_", "pgbouncer_", "redis_", "qdrant_")
"""Names that begin with the database's are those that exporters and dashboards know."""
_KEPT: Final = frozenset({"postgres_transaction_rate"})
"""Names that are given, though they do not end with their unit."""
_WORDS: Final = {"qps": "queries", "tps": "transactions", "collector_look_s": "collector_poll"}
_UNITS: Final = {
    "By": ("_bytes", 1.0),
    "MiBy": ("_bytes", 1_048_576.0),
    "By/s": ("_bytes_per_second", 1.0),
    "s": ("_seconds", 1.0),
    "ms": ("_seconds", 0.001),
    "%": ("_ratio", 0.01),
    "1": ("_ratio", 1.0),
}
"""UCUM → the end of the name, and what a value is multiplied by."""
_OF_ONE_CORE: Final = ("cpu_percent", "cpu_limit_percent")
"""Percentages that may be more than 100: a core and a half is 150."""
_ENDINGS: Final = (
    "_bytes_per_second", "_bytes_per_sec", "_bytes_per_s", "_per_second", "_per_sec", "_per_s", "_per_min",
    "_percent", "_ratio", "_bytes", "_seconds", "_mb", "_ms", "_s",
)  # fmt: skip
"""Ends of our names that say a unit, the longest first."""


class Metric(Struct, frozen=True):
    """One metric."""

    name: str
    factor: float
    """What a figure is multiplied by."""
    meaning: str


def metric_of(figure: Figure) -> Metric:
    """The metric of a figure that is no family."""
    ending, factor = _UNITS.get(figure.unit) or (_rate(figure.unit), 1.0)
    if figure.name.endswith(_OF_ONE_CORE):
        ending = "_cores"
    if figure.name in _KEPT:
        return Metric(figure.name, 1.0, figure.meaning)
    section = "" if figure.section in ("", CUSTOM) else f"{figure.section}_"
    stem = _WORDS.get(figure.name) or _stem(figure.name)
    prefix = "" if figure.name.startswith(OF_DATABASES) else "kgents_"
    name = f"{section}{stem}" if not prefix else f"{section}{stem}".removesuffix("_count")  # which histograms end with
    return Metric(f"{prefix}{name}{ending}", factor, figure.meaning)


def _rate(unit: str) -> str:
    if unit.endswith("/s"):
        return "_per_second"
    return "_per_minute" if unit.endswith("/min") else ""


def _stem(name: str) -> str:
    return next((name.removesuffix(ending) for ending in _ENDINGS if name.endswith(ending)), name)


def shown_as(figure: Figure) -> str:
    """As `figures` of a pulse names it: those of a section as `pool.active`."""
    return figure.name if figure.section in ("", CUSTOM) else f"{figure.section}.{figure.name}"


METRICS: Final = {shown_as(each): metric_of(each) for each in FIGURES if "{" not in each.name}
"""Figure, as `figures` names it → its metric."""
