"""collector-nats at work: source → mapping → the entity state table, the pulse log, the event log."""

import asyncio
from contextlib import aclosing
from typing import Final

import structlog
from msgspec import structs

from kgents_collector_nats.config import Config
from kgents_collector_nats.mapping import advisory, observe
from kgents_collector_nats.mapping.scope import SOURCE, Scope
from kgents_collector_nats.remember import remember
from kgents_collector_nats.sample import Sample
from kgents_collector_nats.source import Advisories, Source, open_source
from kgents_collector_nats.source.advisories import OWN_ACCOUNT
from kgents_collector_nats.source.advisories import SUBJECTS as ADVISORIES
from kgents_collector_nats.source.here import here
from kgents_collector_nats.source.listening import Listening
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import META
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.runtime.collector import Collector
from kgents_shared.runtime.service import COLLECTED, Access, Context, Service

TRAFFIC_WINDOW_S: Final = 60.0
"""Seconds over which a connection's traffic is averaged. Between two polls it jumps with every burst, and each jump
would be published to every subscriber; the figures of each poll are in the pulses."""

_log = structlog.get_logger(__name__)


async def run(context: Context[Config]) -> None:
    """Watch for as long as this instance holds the lease."""
    collector = Collector(context, part_of=lambda _: "")
    await collector.load()
    system = _System(context, collector)
    name = f"{context.service.name}/{context.common.instance}"
    async with open_source(context.config, context.clock, connection_name=name) as source, asyncio.TaskGroup() as tasks:
        tasks.create_task(collector.run())
        tasks.create_task(system.follow_heartbeats())
        tasks.create_task(system.advisories.run())
        tasks.create_task(system.forward_advisories())
        if context.config.subjects.include:
            tasks.create_task(system.listening.run())
        await system.heartbeats_known.wait()
        tasks.create_task(system.poll(source))


class _System:
    """One observed NATS system."""

    def __init__(self, context: Context[Config], collector: Collector) -> None:
        self.context = context
        self.collector = collector
        self.advisories = Advisories(context.bus)
        self.listening = Listening(context.bus, context.config.subjects, context.clock)
        self.heartbeats: dict[str, Heartbeat] = {}  # by connection name
        self.heartbeats_known = asyncio.Event()

    async def poll(self, source: Source) -> None:
        """Poll all servers, publish, and wait for the next poll."""
        interval_s = self.context.config.poll_interval_s
        previous: Sample | None = None
        window: Sample | None = None  # where the window of the connections' traffic begins
        while True:
            started_s = self.context.clock.monotonic_s()
            with self.context.telemetry.span("collector-nats poll") as trace:
                own_end = self.context.bus.local_address
                read = structs.replace(await source.read(), heard=self.listening.take(), here=here(own_end))
                current = remember(previous, read)
                is_over = window is not None and (current.at - window.at).total_seconds() >= TRAFFIC_WINDOW_S
                facts = observe(
                    previous,
                    current,
                    cluster=self.context.cluster,
                    interval_s=interval_s,
                    caps=self.context.config.caps,
                    heartbeats=self.heartbeats,
                    published=self.collector.part(),
                    traffic_since=window if is_over else None,
                )
                await self.collector.publish(facts, trace=trace)
            window = current if is_over or window is None else window
            previous = current
            elapsed_s = self.context.clock.monotonic_s() - started_s
            await self.context.clock.sleep(max(0.0, interval_s - elapsed_s))

    async def follow_heartbeats(self) -> None:
        """Keep the heartbeats of our own services: NATS does not know who publishes what."""
        table = self.context.reader(META, [subjects.pattern("meta", cluster=self.context.cluster)])
        async with aclosing(table.follow()) as news:
            async for changes in news:
                for change in changes.changes:
                    if isinstance(change.new, Heartbeat):
                        self.heartbeats[f"{change.new.service}/{change.new.instance}"] = change.new
                    elif isinstance(change.old, Heartbeat) and change.new is None:
                        self.heartbeats.pop(f"{change.old.service}/{change.old.instance}", None)
                if changes.caught_up:
                    self.heartbeats_known.set()

    async def forward_advisories(self) -> None:
        """Publish JetStream's advisories as events."""
        while True:
            news = await self.advisories.next()
            scope = Scope(self.context.cluster, self.context.config.poll_interval_s, self.context.clock.now(), {})
            try:
                event = advisory.event(news, scope)
            except MalformedMessageError as error:  # any client may publish there, and no stream stores it
                _log.warning("malformed_advisory", reason=str(error))
                continue
            if event is not None:
                self.collector.publish_event(event)


SERVICE = Service(
    name="collector-nats",
    config=Config,
    run=run,
    source=SOURCE,
    access=Access(
        COLLECTED,
        reads=("meta",),
        requests=(OWN_ACCOUNT,),
        subscribes=ADVISORIES,
        listens=lambda config: config.subjects.include,
    ),
)
