"""Kubernetes Events: reflector → mapping.event → the event log, each happening once, also over a restart of ours."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final

import msgspec

from kgents_collector_k8s.config import Config
from kgents_collector_k8s.mapping import event
from kgents_collector_k8s.mapping.fragment import SOURCE, Fragment, Kind, Scope
from kgents_collector_k8s.objects.event import Event as ApiEvent
from kgents_collector_k8s.source import ApiClient, Key, Reflector
from kgents_shared.bus.consume import follow
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import EVENT, encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.runtime.service import Context

KIND: Final = Kind("event", "Event", "events.k8s.io", "v1", "events", ApiEvent, lambda *_: Fragment(""))
REMEMBERED_MAX: Final = 200_000
"""Happenings whose report is remembered; a cluster keeps its Events for an hour."""


class Happenings:
    """Reports Events of one cluster. As a sink it knows nothing: that an Event is gone is no news."""

    def __init__(self, context: Context[Config], client: ApiClient, scope: Scope) -> None:
        self._context = context
        self._scope = scope
        self._reported: OrderedDict[str, None] = OrderedDict()
        self._newest: dict[Ref, datetime] = {}  # what the log's last report on a thing was about, at our start
        self._reflectors = [
            Reflector(client, KIND, self, context.clock, namespace=namespace)
            for namespace in context.config.namespaces or [""]
        ]

    async def run(self) -> None:
        """Read what was reported, then report what is new. Never returns."""
        await self._remember()
        async with asyncio.TaskGroup() as tasks:
            for reflector in self._reflectors:
                tasks.create_task(reflector.run())

    async def _remember(self) -> None:
        """The last report on each thing: an Event that is not newer has been reported."""
        filter_ = subjects.pattern("event", cluster=self._scope.cluster, source=SOURCE)
        news = follow(self._context.bus, NAME_BY_SIGNAL["event"], [filter_], now_ns=self._context.now_ns())
        async with aclosing(news):
            async for batch in news:
                for each in batch.deliveries:
                    try:
                        last = EVENT.decode(each.payload, subject=each.subject)
                    except (MalformedMessageError, msgspec.DecodeError):
                        continue
                    self._note(last.id)
                    self._newest[last.ref] = last.last_at
                if batch.caught_up:
                    return

    def known(self) -> Collection[Key]:
        return ()

    def put(self, key: Key, found: Any) -> None:
        happened = event.event(found, self._scope)
        if happened is None or happened.id in self._reported:
            return
        self._note(happened.id)
        newest = self._newest.get(happened.ref)
        if newest is not None and happened.last_at <= newest:
            return  # reported before our start
        self._context.log.publish(happened.ref.subject("event", source=SOURCE), encode(happened))

    def drop(self, key: Key, uid: str) -> None:
        """Its hour is over."""

    def complete(self, keys: Collection[Key]) -> None:
        """Nothing follows from it."""

    def _note(self, id_: str) -> None:
        self._reported[id_] = None
        if len(self._reported) > REMEMBERED_MAX:
            self._reported.popitem(last=False)
