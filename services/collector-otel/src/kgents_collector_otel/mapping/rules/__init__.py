"""Which metrics become which figures, as data: `*.toml` beside this module, by OpenTelemetry's semantic conventions.

A metric without a rule is accepted and not used. A rule reads the attributes that it names and no others: what is not
named here cannot be published.
"""

from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

Attributes = Mapping[str, Any]
"""Attribute → its value, as it was sent."""


Place = Literal["app", "process", "pod", "container", "node", "host"]
"""`process`: the pod that the process runs in; its app, where that is not known."""


class Condition(Struct, frozen=True, forbid_unknown_fields=True):
    """What an attribute must be. Values are compared as text: some senders write numbers so."""

    attribute: list[str]
    """Its names, the newest first; the first that is there counts."""
    values: list[str] = []
    """One of these. Without values and bound: the attribute is there, and not empty."""
    at_least: float | None = None

    def holds(self, attributes: Attributes) -> bool:
        found = next((attributes[name] for name in self.attribute if name in attributes), "")
        if found == "":
            return False
        if self.at_least is not None:
            number = _number(found)
            return number is not None and number >= self.at_least
        return str(found) in self.values if self.values else True


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """How one figure is made, or the figures of one distribution."""

    metrics: list[str]
    """The newest name first. Of several names that one process sends at once only the first counts."""

    of: Place
    """Whose figure it is."""

    take: Literal["rate", "value", "distribution"]
    """What was added a second, the value now, or a distribution of values."""

    unit: str
    """Of the figure. The metric's unit must be convertible into it, or the metric is not used."""

    sent_unit: str = ""
    """The metric's own unit, for a source that does not state it: Prometheus."""

    figure: str = ""
    """For `rate` and `value`. Of several rules for one figure of one entity the first with data counts."""

    join: Literal["sum", "max", "mean"] = "sum"
    """What to make of several series."""

    where: list[Condition] = []
    """All of these hold, or the series is not used."""

    unless: list[Condition] = []
    """None of these holds, or the series is not used."""

    count: str = ""
    """For `distribution`: the figure of values a second. Rules with the same one add up."""

    errors: str = ""
    """For `distribution`: the figure of the share of values of which a condition in `error` holds."""

    error: list[Condition] = []

    busy: str = ""
    """For `distribution`: the figure of the sum of all values a second; of durations, the share of time."""

    percentiles: dict[str, float] = {}
    """For `distribution`: figure → rank, 0..1."""

    def applies(self, attributes: Attributes) -> bool:
        """Whether a series of these attributes is used."""
        return all(each.holds(attributes) for each in self.where) and not any(
            each.holds(attributes) for each in self.unless
        )

    def is_error(self, attributes: Attributes) -> bool:
        return any(each.holds(attributes) for each in self.error)

    @property
    def reads(self) -> frozenset[str]:
        """The attributes that it reads."""
        conditions = [*self.where, *self.unless, *self.error]
        return frozenset(name for each in conditions for name in each.attribute)

    @property
    def figures(self) -> Iterable[str]:
        """Every figure that it makes."""
        return [name for name in (self.figure, self.count, self.errors, self.busy, *self.percentiles) if name]


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    rule: list[Rule]


_FACTORS: Final[Mapping[str, Mapping[str, float]]] = {
    "ms": {"s": 1e3, "ms": 1.0, "us": 1e-3, "ns": 1e-6},
    "s": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9},
    "By": {"By": 1.0, "KiBy": 1024.0, "MiBy": 1024.0**2, "kBy": 1e3, "MBy": 1e6},
    "%": {"s": 100.0, "{cpu}": 100.0, "{cpus}": 100.0, "{core}": 100.0},
    "1": {"1": 1.0, "": 1.0, "%": 0.01, "s": 1.0},
}
"""Unit of a figure → units of a metric → factor. Of a rate, the unit of what is added: CPU seconds a second are 1."""


def factor(rule: Rule, unit: str) -> float | None:
    """What to multiply a metric of this unit with; None: it cannot be converted. The name of a metric says nothing."""
    known = _FACTORS.get(rule.unit)
    if known is not None:
        return known.get(unit)
    return 1.0 if unit == rule.unit or _is_count(unit) else None


def _is_count(unit: str) -> bool:
    """`{request}`: an annotation, which says what is counted and has no dimension."""
    return unit in ("", "1") or (unit.startswith("{") and unit.endswith("}"))


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def decode(text: str) -> list[Rule]:
    """The rules of one file.

    Raises:
        msgspec.ValidationError: it is not a file of rules.
    """
    return msgspec.toml.decode(text, type=_File).rule


def _load() -> tuple[Rule, ...]:
    found = sorted((each for each in files(__name__).iterdir() if each.name.endswith(".toml")), key=lambda f: f.name)
    return tuple(rule for each in found for rule in decode(each.read_text(encoding="utf-8")))


RULES: Final = _load()
"""Ours, by the names of their files."""
