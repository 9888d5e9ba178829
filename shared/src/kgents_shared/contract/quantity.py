"""A number and its UCUM unit → text for people: `87 %`, `12×`, `48.1 MB`, `1 deadlock`, `15 min`.

Bytes are decimal (1 MB is 1,000,000 bytes), as in `nats` and on disks.
"""

import math
from collections.abc import Sequence
from typing import Final

_SPANS: Final = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"))
_SIZES: Final = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_SCALED: Final = {
    "s": (1.0, _SPANS, "s"),
    "ms": (1e-3, _SPANS, "s"),
    "By": (1.0, _SIZES, "B"),
    "MBy": (1e6, _SIZES, "B"),
    "MiBy": (1024.0**2, _SIZES, "B"),
}
"""Unit → how many of the smallest it is, the steps, the smallest."""
ANSWER: Final = "{answer}"
"""The unit of a yes (1) or no (0)."""
CELSIUS: Final = "Cel"
_RATIOS: Final = {"1": 1.0, "%": 0.01}
SHARE_MAX: Final = 2.0
"""Up to this a ratio is shown as a share, `87 %`; beyond it as a multiple, `12×`."""

EXACT_MAX: Final = 1e15
"""From here on a number is written as `1e+15`: no one reads hundreds of digits."""


def worded(value: float, unit: str) -> str:
    """The value with its unit.

    Args:
        value: any number; one that is not finite is "unknown".
        unit: UCUM: `1` for a ratio, `{answer}` for a yes or no, `%`, `s`, `ms`, `By`, `MBy`, `MiBy`, `Cel`,
            `{message}`, each also as a rate (`By/s`).
            The noun of an annotation agrees in number, and may have several words: `{slow_consumer}/min`.
    """
    if not math.isfinite(value):
        return "unknown"
    amount, slash, per = unit.partition("/")
    return f"{_amount(value, amount)}{slash}{per}"


def _amount(value: float, unit: str) -> str:
    if unit == ANSWER:
        return "yes" if value else "no"
    if unit in _RATIOS:
        return _ratio(value * _RATIOS[unit])
    if unit == CELSIUS:
        return f"{number(value)} °C"
    if unit in _SCALED:
        smallest_in_unit, steps, smallest = _SCALED[unit]
        return _scaled(value * smallest_in_unit, steps, smallest)
    return counted(value, unit.strip("{}").replace("_", " ")) if unit else number(value)


def _ratio(value: float) -> str:
    return f"{number(value * 100)} %" if abs(value) <= SHARE_MAX else f"{number(value)}×"


def _scaled(value: float, steps: Sequence[tuple[float, str]], smallest: str) -> str:
    size, name = next((step for step in steps if abs(value) >= step[0]), (1.0, smallest))
    return f"{number(value / size)} {name}"


def counted(value: float, noun: str) -> str:
    """`1 deadlock`, `3 deadlocks`, `0.5 messages`."""
    shown = number(value)
    return f"{shown} {noun if shown == '1' else _plural(noun)}"


def number(value: float) -> str:
    """At most one decimal, and two significant digits below a tenth: `12,345`, `3.1`, `0.02`."""
    if 0 < abs(value) < 0.1:
        return f"{value:.2f}".rstrip("0").rstrip(".")
    if abs(value) >= EXACT_MAX:
        return f"{value:.3g}"
    return f"{value:,.1f}".removesuffix(".0")


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"
