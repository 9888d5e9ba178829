"""topology-builder at work: entity and meta streams → Reducer → the topology's state table."""

import asyncio
from contextlib import aclosing
from typing import Final

import structlog

from kgents_shared.bus.consume import Position
from kgents_shared.bus.rows import Change, Changes
from kgents_shared.bus.state_table import StateTable
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY, META, TOPOLOGY
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.meta import Heartbeat, Meta
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.runtime.service import Context, Service, cluster_filters
from kgents_topology_builder.config import Config
from kgents_topology_builder.difference import describe, same
from kgents_topology_builder.reducer import News, Reducer, removal

TICK_S: Final = 1.0
"""How often the time is looked at: expiry and staleness count in tens of seconds."""
TRACE_HEADER: Final = "traceparent"

_log = structlog.get_logger(__name__)


async def run(context: Context[Config]) -> None:
    """Build the topology for as long as this instance holds the lease."""
    builder = _Builder(context)
    await builder.load()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(builder.table.run())
        tasks.create_task(builder.follow_heartbeats())
        await builder.heartbeats_known.wait()  # first: whoever is alive vouches for its entities from the start
        tasks.create_task(builder.follow_entities())
        await builder.entities_known.wait()
        tasks.create_task(builder.publish())
        tasks.create_task(builder.watch_time())


class _Builder:
    """The reducer with its two inputs and its output."""

    def __init__(self, context: Context[Config]) -> None:
        clusters = context.config.clusters
        self.context = context
        self.reducer = Reducer(context.config.source_priority, now_ns=context.now_ns())
        self.entities: StateTable[Entity] = context.reader(ENTITY, cluster_filters("entity", clusters))
        self.heartbeats: StateTable[Meta] = context.reader(META, cluster_filters("meta", clusters))
        self.table: StateTable[TopologyEntity] = context.writer(
            TOPOLOGY, cluster_filters("topology", clusters), same=same, render=describe
        )
        self.heartbeats_known = asyncio.Event()
        self.entities_known = asyncio.Event()
        self._changed = asyncio.Event()
        self._read: Position | None = None
        self._published_ns = context.now_ns()
        # Whatever counts here was stored by the server's clock, so that is the clock to compare with.
        self._server_ahead_ns = 0

    async def load(self) -> None:
        """Read what was published before this run."""
        await self.table.load(now_ns=self.context.now_ns())
        time_slice = TimeSlice()
        for row in self.table.rows.values():
            self.reducer.restore(row.message)
            await time_slice.checkpoint()

    async def follow_entities(self) -> None:
        """Keep track of what the sources report of their entities."""
        async with aclosing(self.entities.follow(now_ns=self.context.now_ns())) as news:
            async for changes in news:
                self._reduce(changes)
                await self._set_aside(changes)
                if changes.caught_up:
                    self.entities_known.set()
                self._read = changes.position or self._read
                self._changed.set()

    async def follow_heartbeats(self) -> None:
        """Keep track of which collectors vouch for their entities."""
        async with aclosing(self.heartbeats.follow(now_ns=self.context.now_ns())) as news:
            async for changes in news:
                for change in changes.changes:
                    self._reduce_heartbeat(change)
                if changes.changes and self.heartbeats_known.is_set():
                    self._server_ahead_ns = changes.changes[-1].time_ns - self.context.now_ns()
                if changes.caught_up:
                    self.heartbeats_known.set()
                self._changed.set()

    def _reduce_heartbeat(self, change: Change[Meta]) -> None:
        try:
            subject = subjects.parse(change.subject)
            cluster, instance = subject.value("cluster"), subject.tokens["instance"]
        except MalformedMessageError as error:  # the stream takes whatever has the right number of tokens
            _log.warning("passed over a heartbeat", why=str(error))
            return
        vouched_for = change.old.source if isinstance(change.old, Heartbeat) else ""
        vouches_for = change.new.source if isinstance(change.new, Heartbeat) else ""
        if vouched_for and vouched_for != vouches_for:  # it is gone, or stands by now
            self.reducer.silence(cluster, vouched_for, instance, time_ns=change.time_ns)
        if isinstance(change.new, Heartbeat):
            self.reducer.heartbeat(cluster, instance, change.new, time_ns=change.time_ns)

    async def watch_time(self) -> None:
        """Let the reducer notice what is missing."""
        time_slice = TimeSlice()
        while True:
            await self.context.clock.sleep(TICK_S)
            while self.reducer.tick(self.context.now_ns() + self._server_ahead_ns):
                await time_slice.checkpoint()
            self._changed.set()
            self._note_published()

    async def publish(self) -> None:
        """Publish what changed, and at first what changed since the last run, as fast as the server takes it.

        One change may touch every entity, and a first start publishes all of them: others have their turn in between.
        """
        time_slice = TimeSlice()
        while True:
            for news in self.reducer.take():
                self._put(news)
                await self.table.room()
                await time_slice.checkpoint()
            self.context.status.set("in_sync")
            await self._changed.wait()
            self._changed.clear()

    def _reduce(self, changes: Changes[Entity]) -> None:
        for change in changes.changes:
            # A snapshot's messages were traced when they were news; only what is news now goes on.
            if change.headers is not None and TRACE_HEADER in change.headers and self.entities_known.is_set():
                with self.context.telemetry.span("topology-builder reduce", change.headers) as trace:
                    self._reduce_one(change, trace)
            else:
                self._reduce_one(change, {})

    def _reduce_one(self, change: Change[Entity], trace: dict[str, str]) -> None:
        if change.new is not None:
            self.reducer.upsert(change.new, time_ns=change.time_ns, trace=trace)
        elif change.removal is not None:
            self.reducer.remove(change.removal, time_ns=change.time_ns, trace=trace)
        elif change.old is not None:
            self.reducer.forget(change.old.ref, change.old.source, time_ns=change.time_ns)

    def _put(self, news: News) -> None:
        subject = news.ref.subject("topology")
        if news.entity is not None:
            self.table.put(subject, news.entity, trace=news.trace)
        elif (gone := self.table.wanted(subject)) is not None:
            self.table.remove(subject, removal(news.ref, gone.uid, news.reason), trace=news.trace)

    async def _set_aside(self, changes: Changes[Entity]) -> None:
        for delivery, reason in changes.malformed:
            await self.context.dead_letters.set_aside(delivery, reason)

    def _note_published(self) -> None:
        """What was read is published once nothing waits any more; until then the lag grows."""
        status, now_ns = self.context.status, self.context.now_ns()
        if self.table.backlog == 0 and not self.reducer.is_dirty:
            self._published_ns = now_ns
            if self._read is not None:
                status.watermark["KGENTS_ENTITY"] = self._read.seq
        status.lag_s = (now_ns - self._published_ns) / 1e9


SERVICE = Service(name="topology-builder", config=Config, run=run)
