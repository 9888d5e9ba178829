"""Heartbeats that crossed the link of an edge: held back until all is here that the edge held. Pure.

Each stream is copied by itself, so a heartbeat may be here before the entities that it attests: believed at once, it
would make an entity fresh that has long been gone at the edge.
"""

from collections.abc import Iterator

import msgspec

from kgents_shared.contract.meta import EDGE_SYNC, Heartbeat

Held = tuple[str, Heartbeat, int]
"""An instance, its last heartbeat, and when that was stored."""


class Cut(msgspec.Struct, frozen=True):
    """A time in which not all was here."""

    begin_ns: int
    end_ns: int


class Link:
    """The link of one cluster, as edge-sync reports it. Without edge-sync there is none, and nothing is held back."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}  # instance of edge-sync → its state
        self._cut_ns: int | None = None
        self._held: dict[str, Held] = {}  # by service and instance

    @property
    def is_cut(self) -> bool:
        """Whether something that the edge holds may not be here."""
        return self._cut_ns is not None

    def report(self, instance: str, state: str, time_ns: int) -> Cut | None:
        """An instance of edge-sync reports (empty: its heartbeat expired); returns the cut that ends by this."""
        self._states.pop(instance, None)
        if state in ("in_sync", "syncing", "degraded"):  # a standby does not know, and neither does one that starts
            self._states[instance] = state
        is_cut = bool(self._states) and "in_sync" not in self._states.values()
        if is_cut and self._cut_ns is None:
            self._cut_ns = time_ns
        elif not is_cut and self._cut_ns is not None:
            cut = Cut(self._cut_ns, time_ns)
            self._cut_ns = None
            return cut
        return None

    def hold(self, instance: str, beat: Heartbeat, time_ns: int) -> bool:
        """Keep a heartbeat of a collector while the link is cut; returns whether it is kept."""
        if self._cut_ns is None or not beat.source:
            return False
        self._held[f"{beat.service}.{instance}"] = (instance, beat, time_ns)
        return True

    def drop(self, instance: str, beat: Heartbeat) -> None:
        """A heartbeat has expired."""
        self._held.pop(f"{beat.service}.{instance}", None)

    def release(self) -> Iterator[Held]:
        """What was held back."""
        held, self._held = self._held, {}
        yield from held.values()


def is_report(beat: Heartbeat | None) -> bool:
    """Whether a heartbeat is about the link."""
    return beat is not None and beat.service == EDGE_SYNC
