"""Incidents beside the entities of a stream: those that there are, and every one that changes.

They have no ids: a client that continues gets them all again. One that is slow loses none: see `client`.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from kgents_gateway.asking import Asked
from kgents_gateway.incidents import Incidents
from kgents_gateway.questions.incidents import is_about, place_of, summary
from kgents_gateway.questions.world import Incidents as SeenIncidents
from kgents_gateway.stream import frames
from kgents_gateway.stream.client import Client
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.subjects import unescape
from kgents_shared.contract.wire import REMOVE
from kgents_shared.view.selection import Selection

TOKENS: Final = 2
"""Of a key of an incident; that of an entity has more."""


class IncidentStream:
    """Gives clients of a stream the incidents."""

    def __init__(self, incidents: Incidents) -> None:
        self._incidents = incidents
        self._readers: dict[Client, _Reader] = {}
        incidents.listeners.append(self._take)
        incidents.on_complete.append(self._begin_again)

    @contextmanager
    def beside(self, client: Client, selection: Selection, first: int, seen: Asked) -> Iterator[None]:
        """Give a client the first so many incidents and every one that changes; 0: none at all.

        `seen`: what the scope of the client holds of the gateway.
        """
        if not first:
            yield
            return
        reader = self._readers[client] = _Reader(selection, first, seen)
        try:
            if self._incidents.is_complete:
                client.put(reader.all())
            yield
        finally:
            del self._readers[client]

    def state_of(self, client: Client, keys: Collection[str]) -> bytes:
        """The frames that give the state of these incidents now; other keys are not ours."""
        reader = self._readers.get(client)
        own = [key for key in keys if is_incident(key)]
        return b"".join(reader.frame_of(key) for key in own) if reader is not None else b""

    def _begin_again(self) -> None:
        made: dict[tuple[Selection, Selection, int], bytes] = {}
        for client, reader in self._readers.items():
            key = (*reader.group, reader.first)
            client.put(made.get(key) or made.setdefault(key, reader.all()))

    def _take(self, key: str, before: Incident | None, after: Incident | None) -> None:
        made: dict[tuple[Selection, Selection], bytes] = {}  # once for all clients that see and want the same
        for client, reader in self._readers.items():
            if (frame := made.get(reader.group)) is None:
                is_wanted = reader.has_seen(before) or reader.has_seen(after)
                frame = made[reader.group] = reader.frame_of(key) if is_wanted else b""
            if frame:
                client.offer(frame, [key])


def is_incident(key: str) -> bool:
    """Whether a key is that of an incident."""
    return key.count(".") == TOKENS - 1


class _Reader:
    """What one client may see, and wants."""

    def __init__(self, selection: Selection, first: int, seen: Asked) -> None:
        self._selection = selection
        self.first: Final = first
        self.group: Final = (seen.scope, selection)
        """Equal for those who get the same."""
        self._world = seen

    @property
    def _seen(self) -> SeenIncidents:
        return self._world.incidents

    def has_seen(self, incident: Incident | None) -> bool:
        """Whether it is one of the client's."""
        shown = self._seen.shown(incident)
        return shown is not None and is_about(shown, self._selection)

    def all(self) -> bytes:
        """The frame with all of them, the most urgent first."""
        found = [each for each in self._seen.all() if is_about(each, self._selection)]
        listed = sorted(found, key=place_of)[: self.first]
        return frames.incidents([msgspec.json.encode(summary(each)) for each in listed], len(found))

    def frame_of(self, key: str) -> bytes:
        """The frame of one of them as it is now."""
        if (found := self._seen.with_key(key)) is not None and is_about(found, self._selection):
            return frames.incident(msgspec.json.encode(summary(found)))
        cluster, _, id_ = key.partition(".")
        return frames.incident(msgspec.json.encode({"id": unescape(id_), "cluster": unescape(cluster), "op": REMOVE}))
