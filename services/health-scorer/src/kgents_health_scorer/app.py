"""health-scorer at work: topology and pulse streams → Scorer → the state tables of health and alerts."""

import asyncio
from collections.abc import Iterator
from typing import TypeVar

from kgents_health_scorer.alerts import alert_same
from kgents_health_scorer.config import Config
from kgents_health_scorer.metrics import of_alerts, of_health
from kgents_health_scorer.reducer import Scorer
from kgents_health_scorer.same import health_same
from kgents_health_scorer.source import evidence_of, time_of
from kgents_shared.bus.state_table import StateTable
from kgents_shared.bus.state_view import Change
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract import subjects
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.codec import ALERT, HEALTH, PULSE, TOPOLOGY
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Health
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.runtime.follower import Follower, Sample
from kgents_shared.runtime.series import Sample as Measured
from kgents_shared.runtime.service import Access, Context, Service

M = TypeVar("M", Health, Alert)


async def run(context: Context[Config]) -> None:
    """Score one cluster for as long as this instance holds its lease."""
    scoring = _Scoring(context)
    await scoring.load()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(scoring.health.run())
        tasks.create_task(scoring.alerts.run())
        tasks.create_task(scoring.follow_topology())
        await scoring.topology.caught_up.wait()
        tasks.create_task(scoring.follow_pulses())
        await scoring.pulses.caught_up.wait()
        scoring.follower.begin()
        scoring.scorer.caught_up(time_of(scoring.follower.server_ns()))
        tasks.create_task(scoring.watch_losses())
        tasks.create_task(scoring.publish())
        with context.telemetry.showing(scoring.metrics):
            await scoring.watch_time()


class _Scoring:
    """The scorer with its two inputs and its two outputs."""

    def __init__(self, context: Context[Config]) -> None:
        self.context = context
        self.scorer = Scorer(
            context.config.checks(), calm_s=context.config.calm_s, sample_s=context.config.traffic_sample_s
        )
        self.health: StateTable[Health] = context.writer(
            HEALTH, [subjects.pattern("health", cluster=context.cluster)], same=health_same
        )
        self.alerts: StateTable[Alert] = context.writer(
            ALERT, [subjects.pattern("alert", cluster=context.cluster)], same=alert_same
        )
        self.follower = Follower(context, self.scorer, [self.health, self.alerts])
        self.topology = self.follower.state(TOPOLOGY)
        self.pulses = self.follower.log(PULSE)

    async def load(self) -> None:
        """Begin with what was published before this run."""
        await self.health.load()
        await self.alerts.load()
        time_slice = TimeSlice()
        for health in self.health.rows.values():
            self.scorer.restore_health(health.message)
            await time_slice.checkpoint()
        for alert in self.alerts.rows.values():
            self.scorer.restore_alert(alert.message)
            await time_slice.checkpoint()

    async def follow_topology(self) -> None:
        """Keep track of what exists."""
        async for change in self.topology.items():
            if change.new is None and change.removal is None and change.old is not None:
                self.scorer.lose(change.old.ref)
            else:
                self._on_topology(change)

    async def watch_losses(self) -> None:
        """Notice entities that were purged from the topology, with no builder to publish them again."""
        async for change in self.topology.losses():
            self._on_topology(change)

    def _on_topology(self, change: Change[TopologyEntity]) -> None:
        if (known := change.new or change.old or change.removal) is not None:
            evidence = f"KGENTS_TOPOLOGY:{change.seq}"
            self.scorer.on_topology(change.new, known.ref, now=time_of(change.time_ns), evidence=evidence)

    async def follow_pulses(self) -> None:
        """Take each sample."""
        await self.pulses.read(self._on_pulse, self.scorer.calms.take)

    def _on_pulse(self, sample: Sample[Pulse]) -> None:
        now, evidence = time_of(sample.time_ns), evidence_of(sample.seq)
        self.scorer.on_pulse(sample.message, now=now, evidence=evidence, delay_s=sample.delay_s)

    async def watch_time(self) -> None:
        """Notice samples that are missing and conditions that last too long."""
        async for now_ns in self.follower.ticks(self.context.config.tick_interval_s):
            time_slice = TimeSlice()
            while self.scorer.tick(time_of(now_ns)):
                await time_slice.checkpoint()

    def metrics(self) -> Iterator[Measured]:
        """Health and alerts as they are published; only while this instance judges the cluster."""
        cluster = self.context.cluster
        row = self.health.rows.get(Ref(cluster, kinds.CLUSTER, cluster).subject("health"))
        if row is not None and row.message.aggregate is not None:
            yield from of_health(cluster, row.message.aggregate)
            yield from of_alerts(cluster, (each.message for each in self.alerts.rows.values()))

    async def publish(self) -> None:
        """Publish what changed, and at first what changed since the last run."""
        async for message in self.follower.desired():
            if isinstance(message, Health):
                _put(self.health, message.ref.subject("health"), message)
            else:
                _put(self.alerts, message.ref.subject("alert", check=message.check), message)


def _put(table: StateTable[M], subject: str, message: M) -> None:
    if message.is_removal:
        table.remove(subject, message)
    else:
        table.put(subject, message)


SERVICE = Service(
    name="health-scorer",
    config=Config,
    run=run,
    access=Access(("health", "alert"), reads=("topology", "pulse"), keeps_time=True, watches=("topology",)),
    clusters=lambda config: config.clusters,
)
