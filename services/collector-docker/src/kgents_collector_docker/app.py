"""collector-docker at work: source → mapping → the entity state table, the pulse log, the event log."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

import structlog
from msgspec import structs

from kgents_collector_docker.answers import EngineEvent
from kgents_collector_docker.config import Config, EngineConfig
from kgents_collector_docker.mapping import observe
from kgents_collector_docker.mapping.container import ref_of
from kgents_collector_docker.mapping.event import event
from kgents_collector_docker.mapping.pulse import (
    Effort,
    Sample,
    measured,
    of_container,
    of_engine,
    sample,
    without_figures,
)
from kgents_collector_docker.mapping.scope import SOURCE, Scope, owner, part_name
from kgents_collector_docker.source import Client, Meter, Round, Watch
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.unread import Unread
from kgents_shared.runtime.collector import Collector
from kgents_shared.runtime.service import Context, Service

EARLY_MAX: Final = 1000
"""Events that may wait for the first poll of an engine, which takes a second at most."""


_log = structlog.get_logger(__name__)


async def run(context: Context[Config]) -> None:
    """Watch for as long as this instance holds the lease."""
    names = [engine.name for engine in context.config.engines]
    is_alone = len(names) == 1
    collector = Collector(context, part_of=lambda entity: part_name(owner(entity, names), is_alone=is_alone))
    await collector.load()
    await collector.collect_only([part_name(name, is_alone=is_alone) for name in names])
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
        self._part = part_name(config.name, is_alone=len(context.config.engines) == 1)
        self._samples: dict[str, Sample] = {}
        self._newest: dict[str, ResourcePulse] = {}
        self._silent: dict[str, str] = {}
        self._without_figures = 0
        self._unread: dict[str, str] = {}
        self._containers: dict[str, Ref] = {}
        self._early: deque[EngineEvent] = deque(maxlen=EARLY_MAX)
        self._publishing = asyncio.Lock()

    async def measure(self) -> None:
        """Measure the containers every `poll_interval_s`, for as long as the engine is reachable."""
        interval_s = self._context.config.poll_interval_s
        last: tuple[float, Round] | None = None
        clock = self._context.clock
        async with asyncio.TaskGroup() as tasks:
            meter = Meter(self._client, tasks)
            while True:
                started_s = clock.monotonic_s()
                inventory = self.watch.inventory
                if inventory is not None and self.watch.is_seen:
                    round_ = await meter.measure(measured(inventory), within_s=interval_s)
                    self._silent, self._without_figures = dict(meter.silent), meter.without_figures
                    self._publish_pulses(round_, _effort(last, (started_s, round_)), interval_s)
                    last = started_s, round_
                    await self._on_poll()  # a crash loop ends by time alone, without an event
                await clock.sleep(max(0.0, interval_s - (clock.monotonic_s() - started_s)))

    def _publish_pulses(self, round_: Round, effort: Effort | None, interval_s: float) -> None:
        inventory, scope = self.watch.inventory, self._scope()
        if inventory is None:
            return
        running = measured(inventory)
        self._samples = {id_: self._samples[id_] for id_ in running if id_ in self._samples}
        self._newest = {id_: self._newest[id_] for id_ in running if id_ in self._newest}
        for id_, answer in round_.answers.items():
            container = inventory.containers.get(id_)
            now = sample(answer.stats, answer.took_s, container) if container is not None else None
            if container is not None and now is not None:
                before = self._samples.get(id_)
                pulse = of_container(before, now, container, inventory.info, scope, interval_s=interval_s)
                self._samples[id_], self._newest[id_] = now, pulse
                self._collector.publish_pulse(pulse)
        for id_ in round_.failed:
            self._newest.pop(id_, None)
            if id_ in running:
                without = without_figures(inventory.containers[id_], scope, interval_s=interval_s)
                self._collector.publish_pulse(without)
        newest = [self._newest.get(id_) for id_ in running]
        self._collector.publish_pulse(of_engine(newest, inventory, effort, scope, interval_s=interval_s))

    async def _on_poll(self) -> None:
        async with self._publishing:  # a later poll is published later
            await self._publish_state()

    async def _publish_state(self) -> None:
        inventory, part = self.watch.inventory, self._part
        if inventory is None or not self.watch.is_seen:
            self._collector.attest(part, [Unread(reason=self.watch.fault)])
            return
        silent = {id_: why for id_, why in self._silent.items() if id_ in inventory.containers}
        inventory = structs.replace(inventory, unknown=silent | inventory.unknown)
        scope = self._scope()
        facts = observe(inventory, scope, self._collector.part(part).values())
        self._containers = {each.id: ref_of(each, scope) for each in inventory.containers.values()}
        while self._early:
            self._publish_event(self._early.popleft())
        count = self._without_figures
        faults = [f"{self._client.where} gives no statistics of {count} of its containers"] if count else []
        await self._collector.publish(facts, part, faults=faults)
        self._log_unread(facts.unread)

    def _log_unread(self, unread: Sequence[Unread]) -> None:
        """One line when a scope can no longer be read, and one when it can again."""
        now = {str(each): each.reason for each in unread}
        for scope in now.keys() - self._unread.keys():
            _log.warning("scope_unread", engine=self._client.where, unread=scope, reason=now[scope])
        for scope in self._unread.keys() - now.keys():
            _log.info("scope_read_again", engine=self._client.where, unread=scope)
        self._unread = now

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
        inventory, config, now = self.watch.inventory, self._context.config, self._context.clock.now()
        return Scope(
            cluster=self._context.cluster,
            engine=self._config.name,
            host=inventory.info.name if inventory is not None else "",
            at=now + self.watch.ahead,
            sampled_at=now,
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
        failed=len(new.failed),
    )


SERVICE = Service(name="collector-docker", config=Config, run=run, source=SOURCE)
