"""`GET …/events/stream`: the events that a client missed, or the last ones → every new one, over one HTTP response."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kgents_gateway.access.identity import who
from kgents_gateway.asking import Asked
from kgents_gateway.events import EventId, Events, Logged
from kgents_gateway.questions.arguments import checked
from kgents_gateway.questions.past import is_about
from kgents_gateway.questions.world import Now
from kgents_gateway.stream import frames
from kgents_gateway.stream.arguments import EventStreamArguments
from kgents_gateway.stream.client import AHEAD_S, Client, Send
from kgents_gateway.stream.connections import Connections, Receive, Scope
from kgents_shared.contract.event import SEVERITIES
from kgents_shared.view.selection import Selection


class EventStream:
    """Serves the stream of events."""

    def __init__(self, events: Events, seen: Callable[[Selection], Asked], connections: Connections) -> None:
        """`seen`: what a scope holds of the gateway."""
        self._events = events
        self._seen = seen
        self._connections = connections
        self._readers: dict[Client, _Reader] = {}
        events.listeners.append(self._take)

    async def serve(
        self, arguments: EventStreamArguments, known: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer one request, until the client leaves.

        Raises:
            BadArgumentError: an argument is not valid.
            UnavailableError: not now.
        """
        checked("severities", arguments.severities, SEVERITIES)
        current = self._seen(who(scope).scope).followed
        reader = _Reader(arguments.selection(), arguments.severities, current, has_ids=True)
        async with self._connections.opened(scope, receive, send) as client:
            first, events = await self._begin(arguments, known, self._connections.greeting(who(scope)))
            client.put(first + self._connections.standing)
            with self._joined(client, reader, events):
                await client.run(send, lambda _: b"")

    @contextmanager
    def beside(self, client: Client, selection: Selection, last: int, current: Now) -> Iterator[None]:
        """Give a client of another stream the last so many events and every new one; 0: none at all.

        They have no ids: those of that stream are of another sort.
        """
        if not last:
            yield
            return
        reader = _Reader(selection, (), current, has_ids=False)
        with self._joined(client, reader, self._events.last(last)):
            yield

    @contextmanager
    def _joined(self, client: Client, reader: "_Reader", first: Iterable[Logged]) -> Iterator[None]:
        reader.give(client, first)
        self._readers[client] = reader
        try:
            yield
        finally:
            del self._readers[client]

    async def _begin(
        self, arguments: EventStreamArguments, known: str, greeting: dict[str, Any]
    ) -> tuple[bytes, list[Logged]]:
        """What the client gets first, and which events behind it."""
        missed = await self._missed(known)
        last = list(self._events.last(arguments.last))
        if missed is not None:
            return frames.hello(known.strip(), mode="resume", **greeting), missed
        hello = frames.hello(self._events.last_id, mode="live", **greeting)
        if not known:
            return hello, last
        reset = frames.reset("events in between are not remembered; ask for them at /api/v1/events")
        return hello + reset, last

    async def _missed(self, known: str) -> list[Logged] | None:
        """What came behind the event that the client knows; None if that is not known."""
        if (id_ := EventId.parse(known)) is None:
            return None
        with suppress(TimeoutError):
            async with asyncio.timeout(AHEAD_S):
                await self._events.reached(id_)
        return self._events.since(id_)

    def _take(self, logged: Logged) -> None:
        for client, reader in self._readers.items():
            reader.give(client, [logged])


class _Reader:
    """What one client wants, and how much it missed because it was slow."""

    def __init__(self, selection: Selection, severities: Iterable[str], current: Now, *, has_ids: bool) -> None:
        self._selection = selection
        self._severities = frozenset(severities)
        self._current = current
        self._has_ids = has_ids
        self._skipped = 0

    def give(self, client: Client, events: Iterable[Logged]) -> None:
        """Hand over those events that are wanted."""
        for each in events:
            if not self._is_wanted(each) or (payload := self._current.shown_event(each.event, each.payload)) is None:
                continue
            frame = frames.frame("event", payload, str(each.id) if self._has_ids else "")
            head = frames.lagged(self._skipped) if self._skipped else b""
            if client.offer(head + frame):
                self._skipped = 0
            else:
                self._skipped += 1

    def _is_wanted(self, each: Logged) -> bool:
        if self._severities and each.event.severity not in self._severities:
            return False
        return is_about(self._current, self._selection, each.event)
