"""A report → rows of tables, for the terminal and for HTML. Pure."""

from collections.abc import Sequence
from typing import Final

from kgents_cli.availability.objectives import Budget
from kgents_cli.availability.report import Counted, Group
from kgents_cli.availability.spans import US_PER_S

NOT_KNOWN: Final = "-"
GROUPS: Final = (
    "ENTITIES", "AVAILABLE", "WORST", "ANY CRITICAL", "CRITICAL", "WARNING", "UNKNOWN", "PLANNED", "OBSERVED",
    "INCIDENTS", "MTTR",
)  # fmt: skip
"""Behind the name of the group."""
OBJECTIVES: Final = ("OBJECTIVE", "TARGET", "ACHIEVED", "BUDGET SPENT", "LEFT", "OF")
COUNTED_MAX: Final = 10
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def group_row(each: Group) -> tuple[str, ...]:
    """The cells of one group."""
    times = each.times
    return (
        each.name, f"{each.entities:,}", share(times.available), share(each.worst),
        lasting(each.any_critical / US_PER_S), *(
            lasting(value / US_PER_S) for value in (times.critical, times.warning, times.unknown, times.planned)
        ), share(each.observed), str(each.incidents), NOT_KNOWN if each.mttr_s is None else lasting(each.mttr_s),
    )  # fmt: skip


def budget_row(each: Budget) -> tuple[str, ...]:
    """The cells of one objective."""
    left = NOT_KNOWN
    if each.left is not None:
        amount = lasting(abs(each.left)) if each.of == "time" else f"{abs(each.left):,.0f} requests"
        left = amount if each.left >= 0 else f"{amount} too many"
    unit = "entities" if each.of == "time" else "connections"
    spent = NOT_KNOWN if each.spent is None else share(each.spent)
    basis = f"{each.of} of {each.matched:,} {unit}"
    if each.unknown:
        basis += f", {lasting(each.unknown) if each.of == 'time' else f'{each.unknown:,.0f}'} unknown"
    return each.name, share(each.target), share(each.ratio), spent, left, basis


def counted_rows(found: Sequence[Counted]) -> list[tuple[str, str]]:
    """The most frequent ones."""
    return [
        (each.name, f"at least {each.count:,}" if each.is_at_least else f"{each.count:,}")
        for each in found[:COUNTED_MAX]
    ]


def share(ratio: float | None) -> str:
    """A share with as many digits as it takes to differ from 100 %; never 100 % if something is missing from it."""
    if ratio is None:
        return NOT_KNOWN
    for digits in (2, 3, 4, 5, 6):
        text = f"{ratio * 100:.{digits}f}"
        if ratio >= 1 or float(text) < 100:
            return f"{text.rstrip('0').rstrip('.')} %"
    return "99.999999 %"


def lasting(seconds: float) -> str:
    """A duration in its two largest units: `3d 4h`, `12m 5s`, `0s`."""
    left, parts = round(seconds), list[str]()
    for size, unit in _UNITS:
        if left >= size:
            parts.append(f"{left // size}{unit}")
            left %= size
    return " ".join(parts[:2]) or ("under 1s" if seconds > 0 else "0s")
