"""collector-docker at work: source → mapping → the entity state table, the pulse log, the event log."""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Final

from kgents_collector_docker.answers import EngineEvent
from kgents_collector_docker.config import Config, EngineConfig
from kgents_collector_docker.mapping import observe
from kgents_collector_docker.mapping.container import ref_of
from kgents_collector_docker.mapping.event import event
from kgents_collector_docker.mapping.pulse import Effort, Sample, measured, of_engine, pulses, samples
from kgents_collector_docker.mapping.scope import SOURCE, Scope, owner
from kgents_collector_docker.source import Client, Meter, Round, Watch
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.unread import Unread
from kgents_shared.runtime.collector import Collector
from kgents_shared.runtime.service import Context, Service

EARLY_MAX: Final = 1000
"""Events that may wait for the first poll of an engine, which takes a second at most."""


async def run(context: Context[Config]) -> None:
    """Watch for as long as this instance holds the lease."""
    names = [engine.name for engine in context.config.engines]
    collector = Collector(context, part_of=lambda entity: owner(entity, names))
    await collector.load()
    collector.collect_only(names)
    async with AsyncExitStack() as clients, asyncio.TaskGroup() as tasks:
        tasks.create_task(collector.run())
        for config in context.config.engines:
            client = await clients.enter_async_context(Client(config, timeout_s=context.config.request_timeout_s))
            engine = _Engine(context, collector, config, client)
            tasks.create_task(engine.watch.run())
            tasks.create_task(engine.measure())


class _Engine:
    """One engine: one part of the collector's source."""

    def __init__(self, context: Context[Config], collector: Collector, config: EngineConfig, client: Client) -> None:
        self.watch = Watch(
            client,
            context.clock,
            resync_interval_s=context.config.resync_interval_s,
            on_poll=self._on_poll,
            on_event=self._on_event,
        )
        self._collector = collector
        self._context = context
        self._config = config
        self._client = client
        self._meter = Meter(client)
        self._containers: dict[str, Ref] = {}
        self._early: deque[EngineEvent] = deque(maxlen=EARLY_MAX)

    async def measure(self) -> None:
        """Measure the containers every `poll_interval_s`, for as long as the engine is reachable."""
        interval_s = self._context.config.poll_interval_s
        before: dict[str, Sample] = {}
        last: tuple[float, Round] | None = None
        clock = self._context.clock
        while True:
            started_s = clock.monotonic_s()
            inventory = self.watch.inventory
            if inventory is not None and self.watch.is_seen:
                round_ = await self._meter.measure(measured(inventory))
                now = samples(round_.stats, inventory)
                took_s = clock.monotonic_s() - started_s  # on a large engine longer than the interval
                effort = _effort(last, (started_s, round_))
                self._publish_pulses(before, now, effort, interval_s=max(interval_s, took_s))
                before, last = now, (started_s, round_)
                self._on_poll()  # a crash loop ends by time alone, without an event
            await clock.sleep(max(0.0, interval_s - (clock.monotonic_s() - started_s)))

    def _publish_pulses(
        self, before: Mapping[str, Sample], now: Mapping[str, Sample], effort: Effort | None, *, interval_s: float
    ) -> None:
        inventory = self.watch.inventory
        if inventory is None:
            return
        scope = self._scope()
        found = pulses(before, now, inventory, scope, interval_s=interval_s)
        found.append(of_engine(found, inventory, effort, scope, interval_s=interval_s))
        for pulse in found:
            self._collector.publish_pulse(pulse)

    def _on_poll(self) -> None:
        inventory, part = self.watch.inventory, self._config.name
        if inventory is None or not self.watch.is_seen:
            self._collector.attest(part, [Unread(reason=self.watch.fault)])
            return
        published = self._collector.part(part).values()
        scope = self._scope()
        self._collector.publish(observe(inventory, scope, published), part)
        self._containers = {each.id: ref_of(each, scope) for each in inventory.containers.values()}
        while self._early:
            self._publish_event(self._early.popleft())

    def _on_event(self, found: EngineEvent) -> None:
        if self.watch.inventory is None:  # an unnamed engine's entities cannot be named yet
            self._early.append(found)
        else:
            self._publish_event(found)

    def _publish_event(self, found: EngineEvent) -> None:
        happened = event(found, self._scope(), self._containers)
        if happened is None:
            return
        if found.type == "container":  # network events name it next, by its id alone
            self._containers[found.actor.id] = happened.ref
        self._collector.publish_event(happened)

    def _scope(self) -> Scope:
        inventory, config = self.watch.inventory, self._context.config
        return Scope(
            cluster=self._context.cluster,
            engine=self._config.name,
            host=inventory.info.name if inventory is not None else "",
            at=self._context.clock.now() + self.watch.ahead,
            allowed_labels=tuple(config.labels),
            others=frozenset(each.name for each in config.engines) - {self._config.name},
            reached_at=self._client.host,
        )


def _effort(before: tuple[float, Round] | None, now: tuple[float, Round]) -> Effort | None:
    """The cost between two rounds; the counters only grow."""
    if before is None:
        return None
    (then_s, old), (now_s, new) = before, now
    is_same = old.engine_cpu_s is not None and new.engine_cpu_s is not None and new.engine_cpu_s >= old.engine_cpu_s
    return Effort(
        seconds=now_s - then_s,
        requests=new.requests - old.requests,
        bytes=new.bytes - old.bytes,
        busy_s=new.busy_s - old.busy_s,
        engine_cpu_s=(new.engine_cpu_s or 0.0) - (old.engine_cpu_s or 0.0) if is_same else None,
        failed=new.failed,
    )


SERVICE = Service(name="collector-docker", config=Config, run=run, source=SOURCE)
