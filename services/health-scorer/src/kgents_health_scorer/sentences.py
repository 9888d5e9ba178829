"""The sentences of health messages: a value and its unit → words; a level and its reasons → `text`."""

from collections.abc import Sequence
from typing import Final

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Reason

_SPANS: Final = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))
_SIZES: Final = ((1024.0**4, "TiB"), (1024.0**3, "GiB"), (1024.0**2, "MiB"), (1024.0, "KiB"))


def shown(value: float, unit: str) -> str:
    """A value as people say it: `96.4 %`, `15 min`, `12,345`."""
    match unit:
        case "1":
            return f"{_plain(value * 100)} %"
        case "s":
            return _scaled(value, _SPANS, "s")
        case "By":
            return _scaled(value, _SIZES, "bytes")
        case _:
            return _plain(value)


def _scaled(value: float, steps: Sequence[tuple[float, str]], smallest: str) -> str:
    size, name = next((step for step in steps if value >= step[0]), (1.0, smallest))
    return f"{_plain(value / size)} {name}"


def _plain(value: float) -> str:
    return f"{value:,.1f}".removesuffix(".0")


def of_health(ref: Ref, level: str, reasons: Sequence[Reason], status: str) -> str:
    """The text of a Health message."""
    if not reasons:
        return f"{ref} is {level}" if status == "running" else f"{ref} is {level} ({status})"
    more = f" And {_counted(len(reasons) - 1, 'more reason')}." if len(reasons) > 1 else ""
    return f"{level.capitalize()}: {reasons[0].text}{more}"


def of_cluster(ref: Ref, status: str, breakdown: dict[str, int]) -> str:
    """The text of the Health message of a cluster."""
    healthy, total = breakdown["healthy"], sum(breakdown.values())
    others = [f"{number} {level}" for level, number in breakdown.items() if number and level != "healthy"]
    counts = [f"{healthy:,}/{total:,} {'entity' if total == 1 else 'entities'} healthy", *others]
    return f"{ref} is {status}: {', '.join(counts)}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
