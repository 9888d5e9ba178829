"""collector-db at work: one watch for each database, all of them saying what they see through one `Publishing`."""

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from random import Random
from typing import Any, Final

from kgents_collector_db.backend import Backend, Owner
from kgents_collector_db.backends import Backends
from kgents_collector_db.config import Config, DiscoveryConfig
from kgents_collector_db.discovering import discovered, on_this_machine
from kgents_collector_db.mapping.facts import SOURCE
from kgents_collector_db.publishing import Publishing
from kgents_collector_db.watch import Watch
from kgents_shared.runtime.service import Context, Service

FAULTS_SHOWN: Final = 3
"""In the heartbeat; the entities and pulses tell of each database."""
SPREAD_S: Final = 10.0
"""Over which the first looks at many databases are spread."""


async def run(context: Context[Config]) -> None:
    """Watch for as long as this instance holds the lease."""
    publishing = Publishing(context)
    await publishing.load()
    backends = Backends(context.clock)
    configured = list(backends.configured(context.config))
    if context.config.local:
        taken = {backend.name for backend in configured}
        known = {name for namespace, name in publishing.owners if not namespace}
        configured += await on_this_machine(backends, taken, known)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(publishing.entities.run())
        watches = _Watches(context, publishing, tasks)
        if context.config.discovery is None:
            watches.replace(configured)
        else:
            tasks.create_task(_follow(context, context.config.discovery, backends, configured, watches))


async def _follow(
    context: Context[Config],
    config: DiscoveryConfig,
    backends: Backends,
    configured: list[Backend[Any]],
    watches: "_Watches",
) -> None:
    """Watch what is configured, and whatever is marked on the stream at the moment."""
    async with aclosing(discovered(context, config)) as news:
        async for marked in news:
            watches.replace([*(backends.discovered(each, config) for each in marked), *configured])


class _Watches:
    """Those that run now, and what they say of themselves together."""

    def __init__(self, context: Context[Config], publishing: Publishing, tasks: asyncio.TaskGroup) -> None:
        self._context = context
        self._publishing = publishing
        self._tasks = tasks
        self._random = Random()  # noqa: S311 - it only spreads work over time
        self._running: dict[Owner, tuple[Watch[Any], asyncio.Task[None]]] = {}

    def replace(self, backends: Iterable[Backend[Any]]) -> None:
        """Watch these and no others; of two with one name the later. What goes on unchanged is left alone."""
        wanted = {backend.owner: backend for backend in backends}
        for owner, (watch, task) in list(self._running.items()):
            if owner not in wanted or wanted[owner].target != watch.target:
                task.cancel()
                del self._running[owner]
        self._publishing.keep_only(wanted)
        fresh = [backend for owner, backend in wanted.items() if owner not in self._running]
        for number, backend in enumerate(fresh):
            watch = Watch(backend, self._context.cluster, self._context.clock, self._random)
            delay_s = min(SPREAD_S, watch.target.interval_s) * number / len(fresh)
            looks = watch.run(self._publishing, self._context.telemetry, self._tell_state, delay_s=delay_s)
            self._running[watch.owner] = (watch, self._tasks.create_task(looks))
        self._tell_state()

    def _tell_state(self) -> None:
        """A database that cannot be seen is told as such by its entity and pulse, and that is being in sync with it."""
        watches = [watch for watch, _ in self._running.values()]
        vouches = all(watch.vouches for watch in watches)
        faults = [watch.fault for watch in watches if watch.fault]
        reason = "; ".join(faults[:FAULTS_SHOWN]) if watches else "no database is configured"
        self._context.status.set("in_sync" if vouches else "degraded", reason)


SERVICE = Service(name="collector-db", config=Config, run=run, source=SOURCE)
