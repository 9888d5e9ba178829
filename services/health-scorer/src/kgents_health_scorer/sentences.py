"""The sentences of health messages: a level and its reasons → `text`."""

from collections.abc import Sequence

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Reason
from kgents_shared.contract.quantity import counted


def of_health(ref: Ref, level: str, reasons: Sequence[Reason], status: str) -> str:
    """The text of a Health message."""
    if not reasons:
        return f"{ref} is {level}" if status == "running" else f"{ref} is {level} ({status})"
    more = f" And {counted(len(reasons) - 1, 'more reason')}." if len(reasons) > 1 else ""
    return f"{level.capitalize()}: {reasons[0].text}{more}"


def of_cluster(ref: Ref, status: str, breakdown: dict[str, int]) -> str:
    """The text of the Health message of a cluster."""
    healthy, total = breakdown["healthy"], sum(breakdown.values())
    others = [f"{number} {level}" for level, number in breakdown.items() if number and level != "healthy"]
    counts = [f"{healthy:,}/{total:,} {'entity' if total == 1 else 'entities'} healthy", *others]
    return f"{ref} is {status}: {', '.join(counts)}"
