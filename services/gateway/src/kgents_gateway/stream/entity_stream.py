"""`GET …/topology/stream`: what a client knows → what it lacks → every change, over one HTTP response."""

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime
from functools import partial
from typing import Any

from kgents_gateway.access.identity import Identity, who
from kgents_gateway.asking import Asked
from kgents_gateway.mark import Mark
from kgents_gateway.questions.world import Now
from kgents_gateway.stream import frames
from kgents_gateway.stream.arguments import EntityStreamArguments
from kgents_gateway.stream.client import AHEAD_S, CATCH_UP, Client, Send
from kgents_gateway.stream.connections import Connections, Receive, Scope
from kgents_gateway.stream.event_stream import EventStream
from kgents_gateway.stream.group import Group, Snapshot
from kgents_gateway.stream.hub import Hub
from kgents_gateway.stream.incident_stream import IncidentStream, is_incident
from kgents_shared.view.selection import Selection


class EntityStream:
    """Serves the stream of entities."""

    def __init__(
        self,
        seen: Callable[[Selection], Asked],
        hub: Hub,
        connections: Connections,
        events: EventStream,
        incidents: IncidentStream,
    ) -> None:
        """`seen`: what a scope holds of the gateway."""
        self._seen = seen
        self._incidents = incidents
        self._events = events
        self._hub = hub
        self._connections = connections

    async def serve(
        self, arguments: EntityStreamArguments, known: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer one request, until the client leaves.

        Args:
            arguments: which entities, and what comes with them.
            known: the `id` of the last event that the client got; empty: it knows nothing.
            scope: of ASGI.
            receive: of ASGI.
            send: of ASGI.

        Raises:
            UnavailableError: not now.
        """
        selection = arguments.selection()
        seen = self._seen(who(scope).scope)
        current = seen.followed
        reading = _Reading(current, seen.now, self._connections, who(scope))
        async with self._connections.opened(scope, receive, send) as client:
            with self._hub.group(seen.scope, current, selection) as group:
                last = await reading.begin(group, client, known, send)
                with (
                    self._hub.joined(group, client),
                    self._events.beside(client, selection, arguments.events, current),
                    self._incidents.beside(client, selection, arguments.incidents, seen),
                ):
                    client.put(last)
                    await client.run(send, partial(self._state_of, group, client))

    def _state_of(self, group: Group, client: Client, keys: Collection[str]) -> bytes:
        """The frames of what a slow client has missed."""
        of_entities = [key for key in keys if not is_incident(key)]
        return group.state_of(of_entities) + self._incidents.state_of(client, keys)


class _Reading:
    """What one client lacks."""

    def __init__(self, current: Now, now: Callable[[], datetime], connections: Connections, client: Identity) -> None:
        self._current = current
        self._now = now
        self._connections = connections
        self._identity = client

    async def begin(self, group: Group, client: Client, known: str, send: Send) -> bytes:
        """Send what the client lacks; returns the last of it, up to now."""
        mark = await self._mark_of(known)
        snapshot = await group.snapshot() if mark is None else None
        mode = "snapshot" if snapshot is not None else "resume"
        greeting = self._connections.greeting(self._identity)
        hello = frames.hello(mode=mode, **_counted(snapshot), time=self._now(), **greeting)
        await client.send(send, hello + self._connections.standing)
        if snapshot is not None and known:
            await client.send(send, frames.reset("what you know is too old to be continued"))
        while True:
            if mark is None:
                snapshot = snapshot or await group.snapshot()
                for chunk in snapshot.chunks:
                    await client.send(send, chunk)
                mark = snapshot.mark
            now, keys = self._current.mark or mark, self._current.since(mark)
            if keys is None:  # more has changed than is remembered, while the client got its snapshot
                await client.send(send, frames.reset("more has changed meanwhile than is remembered"))
                mark = snapshot = None
            elif len(keys) <= CATCH_UP:
                return group.state_of(keys) + frames.ready(str(now), **_counted(snapshot))
            else:
                waiting = list(keys)
                for begin in range(0, len(waiting), CATCH_UP):
                    await client.send(send, group.state_of(waiting[begin : begin + CATCH_UP]))
                mark = now

    async def _mark_of(self, known: str) -> Mark | None:
        """The mark that the client is at, if this gateway can go on from there."""
        if (mark := Mark.parse(known)) is None:
            return None
        try:
            async with asyncio.timeout(AHEAD_S):
                await self._current.until(lambda: self._has_reached(mark))
        except TimeoutError:
            return None
        return mark if self._current.since(mark) is not None else None

    def _has_reached(self, mark: Mark) -> bool:
        now = self._current.mark
        return now is not None and not mark.is_ahead_of(now)


def _counted(snapshot: Snapshot | None) -> dict[str, Any]:
    """How many entities the snapshot has; of what is continued, the client itself knows that."""
    return {"entities": snapshot.entities} if snapshot is not None else {}
