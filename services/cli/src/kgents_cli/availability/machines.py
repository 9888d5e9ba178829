"""Topology when a maintenance of a machine began → what ran there and nowhere else: that was planned, too. Pure.

As alert-notifier judges alerts: only what a check declares that a machine may explain, so a container out of memory
meanwhile is an outage.
"""

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Final

from kgents_alert_notifier.grouping.covering import MACHINES
from kgents_alert_notifier.grouping.graph import Graph, key_of, ref_of
from kgents_cli.availability.spans import Window, union
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Health
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary.explanations import BACKEND, HOST, explanation_of

_EVER: Final = 2**62
_HOPS: Final = 3
"""A database in a container, in a pod, on a node."""
_CRITICAL: Final = 0.5


class Placement:
    """What ran where in one cluster when a maintenance began."""

    def __init__(self, cluster: str, of: Window, entities: Iterable[TopologyEntity]) -> None:
        self.of: Final = of
        self.cluster: Final = cluster
        self._graph = Graph()
        self._labels: dict[Ref, dict[str, str]] = {}
        for each in entities:
            self._graph.put(key_of(each.ref.subject("topology")), each)
            if each.ref.kind in MACHINES:
                self._labels[each.ref] = each.labels

    @property
    def machines(self) -> dict[Ref, dict[str, str]]:
        """Those that there were, with their labels."""
        return self._labels

    def machines_of(self, ref: Ref) -> frozenset[Ref]:
        """The machines that an entity needs; none if something of it ran on none."""
        key = key_of(ref.subject("topology"))
        if found := self._hosts((key,)):
            return found
        backends = self._graph.related(key, BACKEND)
        return self._hosts(backends) if backends else frozenset()

    def _hosts(self, keys: Sequence[str]) -> frozenset[Ref]:
        found: set[Ref] = set()
        for _ in range(_HOPS):
            onward: list[str] = []
            for key in keys:
                if not (hosts := self._graph.related(key, HOST)):
                    return frozenset()
                onward += hosts
            refs = {key: ref_of(self.cluster, key) for key in dict.fromkeys(onward)}
            found |= {ref for ref in refs.values() if ref is not None and ref.kind in MACHINES}
            keys = [key for key, ref in refs.items() if ref is None or ref.kind not in MACHINES]
            if not keys:
                return frozenset(found)
        return frozenset()


def within(windows: Iterable[Window], others: Iterable[Window]) -> list[Window]:
    """The time that both cover."""
    parts = (each.common(other) for each in windows for other in others)
    return union(part for part in parts if part is not None)


def without(windows: Iterable[Window], others: Iterable[Window]) -> list[Window]:
    """The time that the first cover and the others do not."""
    found = union(windows)
    for other in others:
        sides = (Window(-_EVER, other.start), Window(other.end, _EVER))
        found = within(found, sides)
    return found


def common(of: Window, each: Iterable[list[Window]]) -> list[Window]:
    """The part of a window that all of them cover."""
    return reduce(within, each, [of])


def own_faults(versions: Sequence[tuple[int, Health | None]]) -> list[Window]:
    """When an entity was critical for a reason that no machine explains."""
    found = []
    for place, (at, health) in enumerate(versions):
        until = versions[place + 1][0] if place + 1 < len(versions) else _EVER
        reasons = [each for each in health.reasons if each.severity >= _CRITICAL] if health is not None else []
        if not all(_is_hosted(each.check) for each in reasons):
            found.append(Window(at, until))
    return union(found)


def _is_hosted(check: str) -> bool:
    return not {HOST, BACKEND}.isdisjoint(explanation_of(check).explained_by)
