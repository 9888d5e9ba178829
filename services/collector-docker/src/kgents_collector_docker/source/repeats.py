"""Filters repeated events: an engine reports some twice, and those from before a reconnect once more."""

from collections import OrderedDict
from typing import Final

from kgents_collector_docker.answers import EngineEvent, Inventory

REMEMBERED_MAX: Final = 4096
"""Events, and objects with their last event, that are remembered; an engine repeats 256 events at most."""

_STATES: Final = {
    ("network", "connect"), ("network", "disconnect"),
    ("volume", "create"), ("volume", "destroy"), ("volume", "remove"),
}  # fmt: skip
"""Events that cannot happen again before their opposite. Yet engines report a volume's creation with every container
that uses it, and a disconnection once more when its network is read next."""
_HEALTH: Final = "health_status: "
"""The same holds for a container's health, which Podman reports after each check; but a start resets it."""


class Repeats:
    """The events that have been reported."""

    def __init__(self) -> None:
        self._reported: OrderedDict[str, None] = OrderedDict()
        self._states: OrderedDict[tuple[str, str, str], str] = OrderedDict()

    def is_news(self, event: EngineEvent, inventory: Inventory | None) -> bool:
        """Whether this event has not been reported yet; it counts as reported from now on."""
        if event.key in self._reported:
            return False
        self._reported[event.key] = None
        _bound(self._reported)
        # In a container's event `container` would be a label of that name.
        key = (event.type, event.about, event.attributes.container if event.type == "network" else "")
        if (event.type, event.action) == ("container", "start"):
            self._states.pop(key, None)
        if (event.type, event.action) not in _STATES and not event.action.startswith(_HEALTH):
            return True
        before = self._states.pop(key, None)
        if before is None and event.type == "volume" and inventory is not None:
            is_there = event.about in inventory.volumes
            before = "create" if is_there else "destroy"
        self._states[key] = event.action
        _bound(self._states)
        return before != event.action


def _bound(known: "OrderedDict[str, None] | OrderedDict[tuple[str, str, str], str]") -> None:
    if len(known) > REMEMBERED_MAX:
        known.popitem(last=False)
