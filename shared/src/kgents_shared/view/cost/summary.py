"""What pods, claims and nodes cost → sums by workload, namespace, node or cluster, with idle cost named. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.view.cost.costing import Costs, Idle, Item, total
from kgents_shared.view.cost.prices import HOURS_A_MONTH, PriceList
from kgents_shared.view.find import path_of

BY: Final = ("entity", "workload", "namespace", "node", "cluster")
"""`entity`: pods and claims, each for itself."""
IDLE: Final = "(idle)"


class Line(msgspec.Struct, frozen=True):
    """One group, or what is idle."""

    ref: Ref | None
    """The entity that it is of; None: what is idle in a cluster, and disks, which are on no node."""
    name: str
    cluster: str
    pods: int
    cpu: float | None
    """vCPUs that are charged; None: those of a pod are not known."""
    memory_gib: float | None
    disk_gib: float
    cpu_used: float | None
    """None: that of a pod is not known."""
    memory_used_gib: float | None
    cost: float | None
    """For an hour; None: that of a part is not known."""
    known: float
    """The sum of the parts whose cost is known."""
    unknown: int
    """How many parts have no known cost."""
    charged_by: list[str]
    """`request`, `usage`."""
    prices: list[str]
    """The prices that were used."""

    def record(self, prices: PriceList) -> dict[str, Any]:
        """As it is printed."""
        given = {name: getattr(self, name) for name in self.__struct_fields__ if name not in ("ref", "cost", "known")}
        return {
            **given, "cost_per_hour": self.cost, "known_cost_per_hour": self.known,
            "cost_per_month": self.cost * HOURS_A_MONTH if self.cost is not None else None,
            "currency": prices.currency, "price_list": prices.name,
        }  # fmt: skip


def lines(found: Costs, by: str) -> list[Line]:
    """The groups, the most expensive first, then what is idle in each cluster."""
    groups: dict[tuple[str, Ref | None], list[Item]] = {}
    for each in found.items:
        groups.setdefault((each.ref.cluster, _group(each, by)), []).append(each)
    summed = [_line(ref, cluster, items) for (cluster, ref), items in groups.items()]
    idle: dict[str, list[Idle]] = {}
    for node in found.nodes:
        idle.setdefault(node.node.cluster, []).append(node)
    summed.sort(key=lambda each: (-each.known, each.cluster, each.name))
    return [*summed, *(_idle(cluster, nodes) for cluster, nodes in sorted(idle.items()))]


def _group(item: Item, by: str) -> Ref | None:
    cluster, namespace = item.ref.cluster, item.ref.namespace
    return {
        "entity": item.ref, "workload": item.workload, "node": item.node,
        "namespace": Ref(cluster, kinds.NAMESPACE, namespace), "cluster": Ref(cluster, kinds.CLUSTER, cluster),
    }[by]  # fmt: skip


def _name(ref: Ref | None) -> str:
    if ref is None:
        return "(disks)"
    return ref.name if ref.kind in (kinds.NAMESPACE, kinds.CLUSTER) else path_of(ref)


def _line(ref: Ref | None, cluster: str, items: Sequence[Item]) -> Line:
    pods = [each for each in items if each.cpu is not None]
    cpus, memories = [each.cpu for each in pods if each.cpu], [each.memory for each in pods if each.memory]
    costs = [each.cost for each in items]
    return Line(
        ref,
        _name(ref),
        cluster,
        len(pods),
        total(each.charged for each in cpus) if pods else 0.0,
        total(each.charged for each in memories) if pods else 0.0,
        sum(each.disk_gib or 0.0 for each in items),
        total(each.used for each in cpus) if pods else 0.0,
        total(each.used for each in memories) if pods else 0.0,
        total(costs),
        sum(each for each in costs if each is not None),
        sum(each is None for each in costs),
        _distinct(each.by for each in (*cpus, *memories)),
        _distinct(each.price for each in items),
    )


def _idle(cluster: str, nodes: Sequence[Idle]) -> Line:
    costs = [each.idle for each in nodes]
    known = sum(each for each in costs if each is not None)
    unknown = sum(each is None for each in costs)
    price = _distinct(each.price for each in nodes)
    return Line(None, IDLE, cluster, 0, None, None, 0.0, None, None, total(costs), known, unknown, [], price)


def _distinct(words: Iterable[str]) -> list[str]:
    return sorted({each for each in words if each})


def cost_of(found: Costs) -> dict[Ref, float | None]:
    """Entity → what it costs in an hour: pods and claims, what owns them, and nodes. None: it is not known."""
    parts: dict[Ref, list[float | None]] = {}
    for each in found.items:
        for ref in {each.ref, each.workload}:
            parts.setdefault(ref, []).append(each.cost)
    sums = {ref: sum(each or 0.0 for each in costs_) if None not in costs_ else None for ref, costs_ in parts.items()}
    return sums | {each.node: each.cost for each in found.nodes}
