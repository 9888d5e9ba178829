"""The service collector-db: one watch per database; each database is one part of what the collector publishes."""

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from random import Random
from typing import Any, Final

from kgents_collector_db.backend import Backend, part, part_of
from kgents_collector_db.backends import Backends
from kgents_collector_db.config import Config, DiscoveryConfig
from kgents_collector_db.discovering import discovered, on_this_machine
from kgents_collector_db.mapping.facts import SOURCE
from kgents_collector_db.watch import Watch
from kgents_shared.contract.unread import Unread
from kgents_shared.runtime.collector import Collector
from kgents_shared.runtime.service import COLLECTED, Access, Context, Service

SPREAD_S: Final = 10.0
"""The first polls of many databases are spread over at most this time."""


async def run(context: Context[Config]) -> None:
    """Poll all databases while this instance holds the lease."""
    collector = Collector(context, part_of=part_of)
    await collector.load()
    backends = Backends(context.clock)
    configured = list(backends.configured(context.config))
    if context.config.local:
        taken = {backend.name for backend in configured}
        known = {each.removeprefix(part("", "")) for each in collector.parts if each.startswith(part("", ""))}
        configured += await on_this_machine(backends, taken, known)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(collector.run())
        watches = _Watches(context, collector, tasks)
        if context.config.discovery is None:
            await watches.replace(configured)
        else:
            tasks.create_task(_follow(context, context.config.discovery, backends, configured, watches))


async def _follow(
    context: Context[Config],
    config: DiscoveryConfig,
    backends: Backends,
    configured: list[Backend[Any]],
    watches: "_Watches",
) -> None:
    """Watch the configured databases and those that are marked on the stream now."""
    async with aclosing(discovered(context, config)) as news:
        async for marked in news:
            await watches.replace([*(backends.discovered(each, config) for each in marked), *configured])


class _Watches:
    """The running watches."""

    def __init__(self, context: Context[Config], collector: Collector, tasks: asyncio.TaskGroup) -> None:
        self._context = context
        self._collector = collector
        self._tasks = tasks
        self._random = Random()  # noqa: S311 - it only spreads work over time
        self._running: dict[str, tuple[Watch[Any], asyncio.Task[None]]] = {}

    async def replace(self, backends: Iterable[Backend[Any]]) -> None:
        """Watch exactly these; of two with one name, the later one. Watches with an unchanged target keep running."""
        desired = {backend.part: backend for backend in backends}
        for each, (watch, task) in list(self._running.items()):
            if each not in desired or desired[each].target != watch.target:
                task.cancel()
                del self._running[each]
        await self._collector.collect_only(
            list(desired), reason="not watched any more", if_none="no database is configured"
        )
        fresh = [backend for each, backend in desired.items() if each not in self._running]
        for number, backend in enumerate(fresh):
            self._collector.attest(backend.part, [Unread(reason=f"{backend.name}: not polled yet")])
            watch = Watch(backend, self._context.cluster, self._context.clock, self._random)
            delay_s = min(SPREAD_S, watch.target.interval_s) * number / len(fresh)
            polls = watch.run(self._collector, self._context.telemetry, delay_s=delay_s)
            self._running[backend.part] = (watch, self._tasks.create_task(polls))


SERVICE = Service(
    name="collector-db", config=Config, run=run, source=SOURCE, access=Access(COLLECTED, reads=("entity",))
)
