"""What events say of how containers end: EngineEvent → End, which `mapping.status` judges. Pure.

An inspection holds the exit code and the OOM flag, but not whether the end was requested, and the flag is missing where
the engine reported an OOM kill after the end. Times, and not the order of events, say to which run of a container a
sign belongs: an engine repeats events after a reconnect.
"""

from collections import OrderedDict
from typing import Final

from msgspec import structs

from kgents_collector_docker.answers import NO_SIGN, End, EngineEvent

REMEMBERED_MAX: Final = 4096
"""Containers with signs. Those that are removed are forgotten; this bounds an engine whose removals were missed."""


class Ends:
    """The signs of all containers of one engine."""

    def __init__(self) -> None:
        self._ends: OrderedDict[str, End] = OrderedDict()

    @property
    def known(self) -> dict[str, End]:
        """Container id → its signs."""
        return dict(self._ends)

    def add(self, event: EngineEvent) -> None:
        """Take in one event; in any order, and any number of times."""
        if event.type != "container":
            return
        if event.action in ("destroy", "remove"):
            self._ends.pop(event.actor.id, None)
            return
        old = self._ends.get(event.actor.id, NO_SIGN)
        new = _with(old, event)
        if new != old:
            self._ends[event.actor.id] = new
            if len(self._ends) > REMEMBERED_MAX:
                self._ends.popitem(last=False)


def _with(end: End, event: EngineEvent) -> End:
    at = event.time_ns
    match event.action:
        case "die" | "died":
            return structs.replace(end, died_ns=max(end.died_ns, at))
        case "oom":
            return structs.replace(end, oom_ns=max(end.oom_ns, at))
        case "stop":
            return structs.replace(end, stopped_ns=max(end.stopped_ns, at))
        case "kill" if event.attributes.signal.isdecimal():
            number = int(event.attributes.signal)
            return structs.replace(end, signals=end.signals | {number: max(end.signals.get(number, 0), at)})
        case _:
            return end
