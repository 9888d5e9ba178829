"""collector-nats at work: source → mapping → the entity state table, the pulse log, the event log."""

import asyncio
from contextlib import aclosing
from typing import Final

import structlog

from kgents_collector_nats.config import Config
from kgents_collector_nats.mapping import Facts, advisory, observe
from kgents_collector_nats.mapping.scope import Scope
from kgents_collector_nats.sample import Sample, remember
from kgents_collector_nats.source import Advisories, Source, open_source
from kgents_shared.bus.state_table import StateTable
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY, META, encode
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.event import Event
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.wire import REMOVE
from kgents_shared.runtime.service import Context, Service

SOURCE: Final = "nats"
TRAFFIC_WINDOW_S: Final = 60.0
"""What a connection's traffic is averaged over. From one poll to the next it jumps with every burst, and each jump
would be news to every subscriber; the figures of each poll are in the pulses."""

_log = structlog.get_logger(__name__)


async def run(context: Context[Config]) -> None:
    """Watch for as long as this instance holds the lease."""
    collector = _Collector(context)
    await collector.entities.load(now_ns=context.now_ns())
    name = f"{context.service.name}/{context.common.instance}"
    async with open_source(context.config, context.clock, connection_name=name) as source, asyncio.TaskGroup() as tasks:
        tasks.create_task(collector.entities.run())
        tasks.create_task(collector.follow_heartbeats())
        tasks.create_task(collector.advisories.run())
        tasks.create_task(collector.forward_advisories())
        await collector.heartbeats_known.wait()
        tasks.create_task(collector.poll(source))


class _Collector:
    """One observed NATS system."""

    def __init__(self, context: Context[Config]) -> None:
        self.context = context
        self.entities: StateTable[Entity] = context.writer(
            ENTITY, [subjects.pattern("entity", cluster=context.cluster, source=SOURCE)]
        )
        context.status.writes_log(
            [subjects.pattern(signal, cluster=context.cluster, source=SOURCE) for signal in ("pulse", "event")]
        )
        self.advisories = Advisories(context.bus)
        self.heartbeats: dict[str, Heartbeat] = {}  # by connection name
        self.heartbeats_known = asyncio.Event()

    async def poll(self, source: Source) -> None:
        """Look, tell, and wait for the next time."""
        interval_s = self.context.config.poll_interval_s
        previous: Sample | None = None
        window: Sample | None = None  # where the window of the connections' traffic begins
        # Before the first look, what the stream holds is what was last said; afterwards the stream may lag behind us.
        said = [row.message for row in self.entities.rows.values()]
        while True:
            started_s = self.context.clock.monotonic_s()
            with self.context.telemetry.span("collector-nats poll") as trace:
                current = remember(previous, await source.read())
                is_over = window is not None and (current.at - window.at).total_seconds() >= TRAFFIC_WINDOW_S
                facts = observe(
                    previous,
                    current,
                    cluster=self.context.cluster,
                    interval_s=interval_s,
                    caps=self.context.config.caps,
                    heartbeats=self.heartbeats,
                    published={entity.ref: entity for entity in said},
                    traffic_since=window if is_over else None,
                )
                self._publish(facts, trace)
            self._tell_state(current)
            window = current if is_over or window is None else window
            previous, said = current, facts.entities
            elapsed_s = self.context.clock.monotonic_s() - started_s
            await self.context.clock.sleep(max(0.0, interval_s - elapsed_s))

    async def follow_heartbeats(self) -> None:
        """Keep what our own services say of themselves: NATS does not tell who publishes what."""
        table = self.context.reader(META, [subjects.pattern("meta", cluster=self.context.cluster)])
        async with aclosing(table.follow(now_ns=self.context.now_ns())) as news:
            async for changes in news:
                for change in changes.changes:
                    if isinstance(change.new, Heartbeat):
                        self.heartbeats[f"{change.new.service}/{change.new.instance}"] = change.new
                    elif isinstance(change.old, Heartbeat) and change.new is None:
                        self.heartbeats.pop(f"{change.old.service}/{change.old.instance}", None)
                if changes.caught_up:
                    self.heartbeats_known.set()

    async def forward_advisories(self) -> None:
        """Publish what JetStream says of itself."""
        while True:
            news = await self.advisories.next()
            scope = Scope(self.context.cluster, self.context.config.poll_interval_s, self.context.clock.now(), {})
            try:
                event = advisory.event(news, scope)
            except MalformedMessageError as error:  # anybody may publish there, and it is not stored anywhere
                _log.warning("passed over an advisory", why=str(error))
                continue
            if event is not None:
                self._publish_event(event)

    def _publish(self, facts: Facts, trace: dict[str, str]) -> None:
        wanted = {entity.ref.subject("entity", source=SOURCE): entity for entity in facts.entities}
        self.entities.replace_all(wanted, _removal, trace=trace)
        for pulse in facts.pulses:
            self.context.log.publish(pulse.ref.subject("pulse", source=SOURCE), encode(pulse), trace=trace)
        for event in facts.events:
            self._publish_event(event)

    def _publish_event(self, event: Event) -> None:
        self.context.log.publish(event.ref.subject("event", source=SOURCE), encode(event))

    def _tell_state(self, sample: Sample) -> None:
        """Only a complete look vouches for what is published."""
        if sample.faults:
            self.context.status.set("degraded", "; ".join(fault.text for fault in sample.faults[:3]))
        else:
            self.context.status.set("in_sync")


def _removal(entity: Entity) -> Entity:
    return Entity(ref=entity.ref, source=SOURCE, op=REMOVE, uid=entity.uid, reason="deleted")


SERVICE = Service(name="collector-nats", config=Config, run=run, source=SOURCE)
