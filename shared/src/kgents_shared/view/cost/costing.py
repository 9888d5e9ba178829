"""Pods, nodes, claims, their usage and a price list → what each costs in an hour now. Pure.

A pod costs what it keeps from others: the larger of what it requests and what it uses. What is not known is None and
never 0, and so is each sum that it is part of.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import Pulse, ResourcePulse
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes, otel
from kgents_shared.view.cost.prices import GIB, PriceList, Rates, disk_price, rates
from kgents_shared.view.entity import EntityView
from kgents_shared.view.paths import Graph

_ENDED: Final = frozenset({"succeeded", "failed"})
_NO_RATES: Final = Rates(None, None, "")
_MISSED: Final = 3
"""After so many intervals without a pulse, what it said is no longer what is used now."""


class Used(msgspec.Struct, frozen=True):
    """What a pod uses now; None: not known."""

    cores: float | None = None
    memory_bytes: float | None = None


def used(pulse: Pulse, now: datetime) -> Used:
    """What a pod uses, by its last pulse; nothing is known by one that is too old."""
    is_old = now - pulse.timestamp > timedelta(seconds=_MISSED * pulse.interval_s)
    if is_old or not isinstance(pulse, ResourcePulse):
        return Used()
    cores = pulse.cpu_percent / 100 if pulse.cpu_percent is not None else None
    return Used(cores, float(pulse.memory_bytes) if pulse.memory_bytes is not None else None)


class Amount(msgspec.Struct, frozen=True):
    """So much of one resource: vCPUs, or GiB of memory."""

    requested: float | None
    """None: it requests nothing in particular."""
    used: float | None
    """None: not known."""

    @property
    def charged(self) -> float | None:
        """The larger of both; None: it requests nothing, and what it uses is not known."""
        return max((each for each in (self.requested, self.used) if each is not None), default=None)

    @property
    def by(self) -> str:
        """What is charged: `request`, `usage`, or nothing."""
        if self.charged is None:
            return ""
        return "request" if self.charged == self.requested else "usage"


class Item(msgspec.Struct, frozen=True):
    """What one pod, or one claim of a disk, costs in an hour, and why."""

    ref: Ref
    workload: Ref
    """Its topmost owner; itself, if it has none."""
    node: Ref | None
    cpu: Amount | None
    memory: Amount | None
    """In GiB."""
    disk_gib: float | None
    cost: float | None
    price: str
    """Which price it is by; empty: none."""


class Idle(msgspec.Struct, frozen=True):
    """What a node costs in an hour, and how much of that no pod is charged for."""

    node: Ref
    cost: float | None
    idle: float | None
    """None: the node's cost or that of one of its pods is not known. Negative: its pods use more than it has."""
    price: str


class Costs(msgspec.Struct, frozen=True):
    """Everything that costs something."""

    items: list[Item]
    nodes: list[Idle]


def costs(views: Iterable[EntityView], usage: Mapping[Ref, Used], prices: PriceList) -> Costs:
    """What pods, claims and nodes cost in an hour."""
    listed = [each for each in views if each.topology is not None]
    graph = Graph(listed)
    nodes = {each.ref: each for each in listed if each.ref.kind == kinds.NODE}
    by_node = {ref: _rates(each, prices) for ref, each in nodes.items()}
    items = [_pod(each, graph, by_node, usage.get(each.ref, Used()), prices) for each in listed if _is_running(each)]
    items += [_claim(each, graph, prices) for each in listed if _is_claim(each)]
    return Costs(items, [_idle(each, by_node[ref], items) for ref, each in nodes.items()])


def total(values: Iterable[float | None]) -> float | None:
    """The sum; None if one of them is not known, or there is none."""
    found = list(values)
    known = [each for each in found if each is not None]
    return sum(known) if found and len(known) == len(found) else None


def _is_running(view: EntityView) -> bool:
    return view.ref.kind == kinds.POD and view.status not in _ENDED and _node(view) is not None


def _is_claim(view: EntityView) -> bool:
    return view.ref.kind == kinds.VOLUME and bool(view.ref.namespace) and _claimed(view) is not None


def _claimed(view: EntityView) -> float | None:
    found = _number(view, otel.K8S_PERSISTENTVOLUMECLAIM_STORAGE_CAPACITY)
    return found if found is not None else _number(view, otel.K8S_PERSISTENTVOLUMECLAIM_STORAGE_REQUEST)


def _pod(view: EntityView, graph: Graph, by_node: Mapping[Ref, Rates], used: Used, prices: PriceList) -> Item:
    node = _node(view)
    rate = by_node.get(node, rates(prices, "", None, None)) if node is not None else _NO_RATES
    memory = _number(view, kubernetes.POD_RESOURCE.named(resource="memory", bound="request"))
    cpu_amount = Amount(_number(view, kubernetes.POD_RESOURCE.named(resource="cpu", bound="request")), used.cores)
    memory_amount = Amount(
        memory / GIB if memory is not None else None,
        used.memory_bytes / GIB if used.memory_bytes is not None else None,
    )
    # Whether it still runs is not known while no source attests it.
    cost = rate.of(cpu_amount.charged, memory_amount.charged) if not view.stale else None
    return Item(view.ref, _workload(view.ref, graph), node, cpu_amount, memory_amount, None, cost, rate.price)


def _claim(view: EntityView, graph: Graph, prices: PriceList) -> Item:
    size = _claimed(view)
    gib = size / GIB if size is not None else None
    storage_class = view.topology.attributes.get(otel.K8S_STORAGECLASS_NAME) if view.topology is not None else None
    price, name = disk_price(prices, str(storage_class or ""))
    cost = gib * price if gib is not None and price is not None and not view.stale else None
    users = {
        _workload(each.source, graph)
        for each in graph.edges(view.ref)
        if each.kind == edges.VOLUME and each.target == view.ref
    }
    # A disk that several workloads mount belongs to none of them.
    workload = next(iter(users)) if len(users) == 1 else view.ref
    return Item(view.ref, workload, None, None, None, gib, cost, name)


def _rates(view: EntityView, prices: PriceList) -> Rates:
    cores, gib = _capacity(view)
    node_type = view.topology.attributes.get(otel.HOST_TYPE) if view.topology is not None else None
    return rates(prices, str(node_type or ""), cores, gib)


def _capacity(view: EntityView) -> tuple[float | None, float | None]:
    memory = _number(view, kubernetes.NODE_CAPACITY.named(resource="memory"))
    return _number(view, kubernetes.NODE_CAPACITY.named(resource="cpu")), memory / GIB if memory is not None else None


def _idle(view: EntityView, rate: Rates, items: Iterable[Item]) -> Idle:
    cost = rate.of(*_capacity(view)) if not view.stale else None
    own = [each.cost for each in items if each.node == view.ref]
    charged = total(own) if own else 0.0
    return Idle(view.ref, cost, cost - charged if cost is not None and charged is not None else None, rate.price)


def _node(view: EntityView) -> Ref | None:
    connections = view.topology.connections if view.topology is not None else ()
    return next((each.peer for each in connections if (each.kind, each.direction) == (edges.RUNS_ON, "out")), None)


def _workload(ref: Ref, graph: Graph) -> Ref:
    owners = graph.owners(ref)
    return owners[-1] if owners else ref


def _number(view: EntityView, name: str) -> float | None:
    entity: TopologyEntity | None = view.topology
    value = entity.attributes.get(name) if entity is not None else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
