"""Pods that are evicted on purpose → what they serve may lose its pods for a while, as planned. Pure.

Planned is an eviction through the API, as `kubectl drain`, autoscalers and deschedulers do it, and a deletion from a
cordoned node. Pods that the cluster itself gives up are not: their node is lost, or others need their place.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Eviction
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes as attribute

PLANNED_S: Final = 300.0
"""For how long no ready pod is part of a planned eviction: as long as a new pod may take to start (KG-004)."""
AROUND: Final = timedelta(seconds=30)
"""How far apart the messages of a pod and of what it serves may be: they are read by separate watches."""
_BY_API: Final = "EvictionByEvictionAPI"
_GRACE_S: Final = 30
_GRACE_MAX_S: Final = 3_600

Find = Callable[[Ref], TopologyEntity | None]


def eviction_of(pod: TopologyEntity, at: datetime, find: Find) -> Eviction | None:
    """The eviction of a pod, if it is planned.

    Args:
        pod: any entity; what is no pod is not evicted.
        at: when this was stored.
        find: the entity of a ref.
    """
    if pod.ref.kind != kinds.POD:
        return None
    grace_s = pod.attributes.get(attribute.DELETION_GRACE_PERIOD)
    reason = pod.attributes.get(attribute.POD_DISRUPTION_REASON)
    if reason != _BY_API and (reason or grace_s is None or not _is_cordoned(pod, find)):
        return None
    seconds = min(grace_s, _GRACE_MAX_S) if isinstance(grace_s, int) else _GRACE_S
    return Eviction(at - AROUND, at + timedelta(seconds=seconds) + AROUND)


def _is_cordoned(pod: TopologyEntity, find: Find) -> bool:
    nodes = (find(each.peer) for each in pod.connections if each.kind == edges.RUNS_ON)
    return any(node is not None and node.attributes.get(attribute.NODE_UNSCHEDULABLE) is True for node in nodes)


def served_by(pod: TopologyEntity) -> Iterator[Ref]:
    """The workload and the Services of a pod."""
    return (each.peer for each in pod.connections if each.direction == "in" and each.kind in (edges.OWNS, edges.ROUTES))


def joined(before: Eviction | None, after: Eviction | None) -> Eviction | None:
    """Two evictions as one if one follows the other, as in a drain; otherwise the later one."""
    if before is None or after is None:
        return before or after
    first, second = sorted((before, after), key=lambda each: each.since)
    return Eviction(first.since, max(first.until, second.until)) if second.since <= first.until else second
