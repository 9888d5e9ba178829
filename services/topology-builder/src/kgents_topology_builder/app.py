"""topology-builder at work: entity and meta streams → Reducer → the topology's state table."""

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Final

from kgents_shared.bus.jetstream import stream_info
from kgents_shared.bus.session import SessionLostError
from kgents_shared.bus.state_table import StateTable
from kgents_shared.bus.state_view import Change
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY, META, TOPOLOGY
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.meta import Heartbeat, Meta
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.runtime.clock import unix_ns
from kgents_shared.runtime.follower import Follower
from kgents_shared.runtime.service import Access, Context, Service
from kgents_topology_builder.config import Config
from kgents_topology_builder.difference import describe, same
from kgents_topology_builder.links import is_report
from kgents_topology_builder.reducer import Reducer
from kgents_topology_builder.removals import is_late, removal

TICK_S: Final = 1.0
"""How often expiry and staleness are checked: they count in tens of seconds."""
TRACE_HEADER: Final = "traceparent"


async def run(context: Context[Config]) -> None:
    """Build the topology of one cluster for as long as this instance holds its lease."""
    filters = [subjects.pattern("topology", cluster=context.cluster)]
    table: StateTable[TopologyEntity] = context.writer(TOPOLOGY, filters, same=same, render=describe)
    builder = _Builder(context, table, now_ns=await table.load())
    await builder.restore()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(builder.table.run())
        tasks.create_task(builder.follow_heartbeats())
        await builder.heartbeats.caught_up.wait()  # first: a source that is alive attests its entities from the start
        tasks.create_task(builder.follow_entities())
        await builder.entities.caught_up.wait()
        builder.follower.begin()
        await builder.let_time_pass(builder.follower.server_ns())  # what has expired meanwhile is not published again
        tasks.create_task(builder.watch_losses())
        tasks.create_task(builder.publish())
        tasks.create_task(builder.watch_time())


class _Builder:
    """The reducer with its two inputs and its output."""

    def __init__(self, context: Context[Config], table: StateTable[TopologyEntity], *, now_ns: int) -> None:
        """`now_ns`: the server's time when the table was loaded."""
        self.context = context
        self.table = table
        self.reducer = Reducer(context.config.source_priority, now_ns=now_ns)
        self.follower = Follower(context, self.reducer, [table])
        self.heartbeats = self.follower.state(META)
        self.entities = self.follower.state(ENTITY)

    async def restore(self) -> None:
        """Begin with what was published before this run."""
        made_at = await self._entities_made_at()
        time_slice = TimeSlice()
        for row in self.table.rows.values():
            self.reducer.restore(row.message, reported_since_ns=unix_ns(made_at))
            await time_slice.checkpoint()

    async def _entities_made_at(self) -> datetime:
        while True:
            with suppress(SessionLostError):
                return (await stream_info(await self.context.bus.session(), self.entities.stream)).created_at

    async def follow_heartbeats(self) -> None:
        """Keep track of which sources attest their entities."""
        async for change in self.heartbeats.items():
            reduce_heartbeat(self.reducer, change)

    async def follow_entities(self) -> None:
        """Keep track of what each source reports."""
        async for change in self.entities.items():
            # A snapshot's messages were traced when they were new; only what is new now goes on.
            if change.headers is not None and TRACE_HEADER in change.headers and self.entities.caught_up.is_set():
                with self.context.telemetry.span("topology-builder reduce", change.headers) as trace:
                    self._reduce_entity(change, trace)
            elif change.new is not None and self.table.has_capacity:
                self._upsert_at_once(change.new, change.time_ns)
            else:
                self._reduce_entity(change, {})

    async def watch_losses(self) -> None:
        """Notice entities that were purged from the stream without a removal."""
        async for change in self.entities.losses():
            self._reduce_entity(change, {})

    async def watch_time(self) -> None:
        """Notice reports that are missing and sources that are silent."""
        async for now_ns in self.follower.ticks(TICK_S):
            await self.let_time_pass(now_ns)

    def _upsert_at_once(self, entity: Entity, time_ns: int) -> None:
        merged = self.reducer.upsert_at_once(entity, time_ns=time_ns)
        if merged is not None:
            self.table.put(merged.ref.subject("topology"), merged)

    def _reduce_entity(self, change: Change[Entity], trace: dict[str, str]) -> None:
        published = self.table.desired(change.removal.ref.subject("topology")) if change.removal is not None else None
        reduce_entity(self.reducer, change, published, trace)

    async def let_time_pass(self, now_ns: int) -> None:
        """Take note of the server's time."""
        time_slice = TimeSlice()
        while self.reducer.tick(now_ns):
            await time_slice.checkpoint()

    async def publish(self) -> None:
        """Publish what changed, and at first what changed since the last run."""
        async for merged in self.follower.desired():
            subject = merged.ref.subject("topology")
            if merged.entity is not None:
                self.table.put(subject, merged.entity, trace=merged.trace)
            elif (gone := self.table.desired(subject)) is not None:
                self.table.remove(subject, removal(merged.ref, gone.uid, merged.reason), trace=merged.trace)


def reduce_heartbeat(reducer: Reducer, change: Change[Meta]) -> None:
    """Take over one change of the meta stream."""
    link = reducer.link
    old, new = (each if isinstance(each, Heartbeat) else None for each in (change.old, change.new))
    if old is None and new is None:  # a lease or a dead letter
        return
    subject = subjects.parse(change.subject)
    cluster, instance = subject.value("cluster"), subject.tokens["instance"]
    if is_report(old) or is_report(new):
        cut = link.report(instance, new.state if new is not None else "", change.time_ns)
        reducer.cut(is_cut=link.is_cut)
        if cut is not None:
            reducer.was_cut(cut.begin_ns, cut.end_ns)
            for held, beat, time_ns in link.release():
                reducer.heartbeat(cluster, held, beat, time_ns=time_ns)
        return
    if old is not None:
        link.drop(instance, old)
    if old is not None and old.source and (new is None or new.source != old.source):  # gone, or a standby by now
        reducer.silence(cluster, old.source, instance, time_ns=change.time_ns)
    if new is not None and not link.hold(instance, new, change.time_ns):
        reducer.heartbeat(cluster, instance, new, time_ns=change.time_ns)


def reduce_entity(
    reducer: Reducer, change: Change[Entity], published: TopologyEntity | None, trace: dict[str, str]
) -> None:
    """Take over one change of the entity stream; `published`: the entity as the topology has it."""
    known = change.old or published  # after a restart the stream does not hold what a removal has replaced
    if change.new is not None:
        reducer.upsert(change.new, time_ns=change.time_ns, trace=trace)
    elif change.fault or (change.removal is not None and is_late(change.removal, known)):
        reducer.contest(change.subject, change.old, time_ns=change.time_ns)
    elif change.removal is not None:
        reducer.remove(change.removal, time_ns=change.time_ns, trace=trace)
    elif change.old is not None and change.is_missing:
        reducer.miss(change.old)
    elif change.old is not None:
        reducer.forget(change.old.ref, change.old.source, time_ns=change.time_ns)


SERVICE = Service(
    name="topology-builder",
    config=Config,
    run=run,
    access=Access(("topology",), reads=("meta", "entity"), keeps_time=True, watches=("entity",)),
    clusters=lambda config: config.clusters,
)
