"""The sentences of health messages: a level and its reasons → `text`."""

from collections.abc import Sequence

from kgents_health_scorer.checks.workloads import readiness
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Reason, Root
from kgents_shared.contract.quantity import counted
from kgents_shared.contract.topology import TopologyEntity


def of_health(entity: TopologyEntity, level: str, reasons: Sequence[Reason], learning: Sequence[str] = ()) -> str:
    """The text of a Health message; `learning`: checks that do not know yet what is usual."""
    ref = entity.ref
    if reasons:
        more = f" And {counted(len(reasons) - 1, 'more reason')}." if len(reasons) > 1 else ""
        return f"{level.capitalize()}: {reasons[0].text}{more}"
    ready = f", {shown}" if (shown := readiness(entity)) else ""
    ready += f", learning what is usual ({', '.join(learning)})" if learning else ""
    if entity.status == "running":
        return f"{ref} is {level}{ready}"
    past = ", which does not count now" if entity.status == "failed" else ""
    return f"{ref} is {level} ({entity.status}{past}){ready}"


def of_cluster(ref: Ref, status: str, breakdown: dict[str, int], roots: Sequence[Root] = ()) -> str:
    """The text of the Health message of a cluster; of roots the first one, if it explains anything."""
    healthy, total = breakdown["healthy"], sum(breakdown.values())
    others = [f"{number} {level}" for level, number in breakdown.items() if number and level != "healthy"]
    counts = [f"{healthy:,}/{total:,} {'entity' if total == 1 else 'entities'} healthy", *others]
    origin = f"; {roots[0].text.removesuffix('.')}" if roots and roots[0].explained else ""
    return f"{ref} is {status}: {', '.join(counts)}{origin}"
