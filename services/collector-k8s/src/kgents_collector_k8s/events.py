"""Kubernetes Events: reflector → mapping.event → the event log, each once, also across a restart of this service."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog

from kgents_collector_k8s.config import Config
from kgents_collector_k8s.mapping import event
from kgents_collector_k8s.mapping.fragment import Fragment, Kind, Scope
from kgents_collector_k8s.objects.event import Event as ApiEvent
from kgents_collector_k8s.source import ApiClient, Key, Reflector
from kgents_shared.bus.consume import Position, follow
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.contract.errors import BusError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.runtime.collector import Collector
from kgents_shared.runtime.service import Context

KIND: Final = Kind("event", "Event", "events.k8s.io", "v1", "events", ApiEvent, lambda *_: Fragment(""))
REMEMBERED_MAX: Final = 200_000
"""Events whose report is remembered, also across a restart; a cluster keeps its Events for an hour."""
RETRY_S: Final = 1.0


_LOG: Final = NAME_BY_SIGNAL["event"]
_log = structlog.get_logger(__name__)


class _Reported(msgspec.Struct, frozen=True, gc=False):
    """The fields read from events that this collector published."""

    id: str


class Events:
    """Reports Events of one cluster. As a sink it keeps no objects: the deletion of an Event is not reported."""

    def __init__(
        self, context: Context[Config], client: ApiClient, collector: Collector, scope: Scope, changed: asyncio.Event
    ) -> None:
        """`changed` is set whenever `faults` changes."""
        self._context = context
        self._collector = collector
        self._scope = scope
        self._reported: OrderedDict[str, None] = OrderedDict()
        self._horizon = datetime.min.replace(tzinfo=UTC)  # older events are not among those read back
        self._reflectors = [
            Reflector(client, KIND, self, context.clock, namespace=namespace)
            for namespace in context.config.namespaces or [""]
        ]
        for each in self._reflectors:
            each.changed = changed

    @property
    def faults(self) -> list[str]:
        """Why Events cannot be read now; empty when they can."""
        return [each.fault for each in self._reflectors if each.fault]

    async def run(self) -> None:
        """Read what was reported, then report what is new. Never returns."""
        await self._remember()
        async with asyncio.TaskGroup() as tasks:
            for reflector in self._reflectors:
                tasks.create_task(reflector.run())

    async def _remember(self) -> None:
        """Read back what the log holds: Kubernetes lists the Events of the last hour again to every client."""
        patterns = self._context.service.written("event", [self._scope.cluster])
        start = await self._start()
        news = follow(self._context.bus, _LOG, patterns, position=start)
        async with aclosing(news):
            async for batch in news:
                if start.seq and batch.deliveries and not self._reported:
                    self._horizon = datetime.fromtimestamp(batch.deliveries[0].time_ns / 1e9, UTC)
                for each in batch.deliveries:
                    with suppress(msgspec.DecodeError):
                        self._note(msgspec.json.decode(each.payload, type=_Reported).id)
                if batch.caught_up:
                    return

    async def _start(self) -> Position:
        """The sequence in the log from which on events are remembered."""
        while True:
            try:
                info = await stream_info(await self._context.bus.session(), _LOG)
            except BusError as error:
                _log.warning("stream_unreadable", stream=_LOG, error=str(error), retry_in_s=RETRY_S)
                await self._context.clock.sleep(RETRY_S)
            else:
                seq = max(0, info.last_seq - REMEMBERED_MAX)
                return Position(stream_created=info.created, seq=seq, time_ns=info.now_ns)

    def known(self) -> Collection[Key]:
        return ()

    def put(self, key: Key, found: Any) -> None:
        happened = event.event(found, self._scope)
        if happened is None or happened.id in self._reported:
            return
        self._note(happened.id)
        if happened.last_at < self._horizon:
            return  # reported before what is remembered
        self._collector.publish_event(happened)

    def drop(self, key: Key, uid: str) -> None:
        """Kubernetes deletes an Event after an hour; nothing is reported."""

    async def complete(self, keys: Collection[Key]) -> None:
        """Nothing to do: a list does not remove events."""

    def wants_more(self) -> bool:
        return False

    def _note(self, id_: str) -> None:
        self._reported[id_] = None
        if len(self._reported) > REMEMBERED_MAX:
            self._reported.popitem(last=False)
