"""Numbers → what people read: `48 MB`, `1.2 k`, `12.3 %`. Pure."""

import re
from typing import Final

from kgents_shared.contract.quantity import EXACT_MAX, worded
from kgents_shared.contract.vocabulary.figures.unit import unit_of

_DECIMAL: Final = ("", "k", "M", "G", "T", "P")
NOT_KNOWN: Final = "-"


def scaled(value: float | None, unit: str = "") -> str:
    """A number with at most three digits before its unit: `48.1 MB`, `950 B/s`; `-` if it is not known."""
    if value is None:
        return NOT_KNOWN
    if abs(value) >= 1000 * 1000 ** (len(_DECIMAL) - 1):
        return f"{value:.3g} {unit}".rstrip()
    step = 0
    while abs(value) >= 999.5 and step < len(_DECIMAL) - 1:
        value /= 1000
        step += 1
    digits = f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
    return f"{digits} {_DECIMAL[step]}{unit}".rstrip()


def size(value: float | None) -> str:
    """Bytes."""
    return scaled(value, "B")


def percent(value: float | None) -> str:
    """A number of percent."""
    return NOT_KNOWN if value is None else f"{value:.3g} %" if not 100 <= abs(value) < EXACT_MAX else f"{value:.0f} %"


def share(value: float | None) -> str:
    """A ratio of 0 to 1 as percent."""
    return percent(100 * value if value is not None else None)


def plain(value: object) -> str:
    """An attribute's value; `-` if there is none."""
    match value:
        case None | "" | []:
            return NOT_KNOWN
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case list():
            return ",".join(map(str, value))
        case _:
            return str(value)


def figure(name: str, value: float | None) -> str:
    """A figure in its declared unit, or in the one that its name ends with."""
    if value is None:
        return NOT_KNOWN
    section, _, own_name = name.rpartition(".")
    match unit := unit_of(own_name, section):
        case "{answer}":
            return worded(value, unit)
        case "1" | "%":
            return share(value) if unit == "1" else percent(value)
        case "MBy" | "MiBy":
            return size(value * (1e6 if unit == "MBy" else 2**20))
        case "s" | "ms" | "min" | "d":
            return f"{value:.3g} {unit}"
        case _:
            return scaled(value, re.sub(r"\{.*?\}", "", unit).replace("By", "B"))
