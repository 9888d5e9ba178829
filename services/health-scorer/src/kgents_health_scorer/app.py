"""health-scorer at work: topology and pulse streams → Scorer → the state tables of health and alerts."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Final

from kgents_health_scorer.alerts import alert_same
from kgents_health_scorer.config import Config
from kgents_health_scorer.reducer import Scorer, health_same
from kgents_shared.bus.consume import Position, follow
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.state_table import StateTable
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.codec import ALERT, HEALTH, PULSE, TOPOLOGY
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.health import Health
from kgents_shared.contract.streams import DAY_S
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.runtime.service import Context, Service, cluster_filters

RESOLVED_TTL_S: Final = DAY_S
"""How long a resolved alert stays readable before it is forgotten."""


async def run(context: Context[Config]) -> None:
    """Judge for as long as this instance holds the lease."""
    scoring = _Scoring(context)
    await scoring.load()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(scoring.health.run())
        tasks.create_task(scoring.alerts.run())
        tasks.create_task(scoring.follow_topology())
        await scoring.topology_known.wait()
        # Pulses are samples: the last one of each thing, and every later one, are all that counts. So their log is
        # read like a state stream, and nothing has to be acknowledged or remembered between two runs.
        tasks.create_task(scoring.follow_pulses())
        await scoring.pulses_known.wait()
        scoring.begin()
        tasks.create_task(scoring.publish())
        tasks.create_task(scoring.watch_time())


class _Scoring:
    """The scorer with its two inputs and its two outputs."""

    def __init__(self, context: Context[Config]) -> None:
        clusters = context.config.clusters
        self.context = context
        self.scorer = Scorer(context.config.checks())
        self.topology: StateTable[TopologyEntity] = context.reader(TOPOLOGY, cluster_filters("topology", clusters))
        context.status.reads("KGENTS_PULSE")
        self.health: StateTable[Health] = context.writer(HEALTH, cluster_filters("health", clusters), same=health_same)
        self.alerts: StateTable[Alert] = context.writer(ALERT, cluster_filters("alert", clusters), same=alert_same)
        self.topology_known = asyncio.Event()
        self.pulses_known = asyncio.Event()
        self._changed = asyncio.Event()
        self._is_live = False
        self._is_behind = False
        self._read: dict[str, int] = {}  # stream → sequence
        # Samples are missing or not by the clock of the server that stored them.
        self._server_ahead = timedelta()

    async def load(self) -> None:
        """Read what was published before this run."""
        await self.health.load(now_ns=self.context.now_ns())
        await self.alerts.load(now_ns=self.context.now_ns())
        time_slice = TimeSlice()
        for health in self.health.rows.values():
            self.scorer.restore_health(health.message)
            await time_slice.checkpoint()
        for alert in self.alerts.rows.values():
            self.scorer.restore_alert(alert.message)
            await time_slice.checkpoint()

    async def follow_topology(self) -> None:
        """Feed the scorer what changes in the topology."""
        async with aclosing(self.topology.follow(now_ns=self.context.now_ns())) as news:
            async for changes in news:
                for change in changes.changes:
                    known = change.new or change.old or change.removal
                    if known is not None:
                        self.scorer.on_topology(
                            change.new, known.ref, now=_time(change.time_ns), evidence=f"KGENTS_TOPOLOGY:{change.seq}"
                        )
                for delivery, reason in changes.malformed:
                    await self.context.dead_letters.set_aside(delivery, reason)
                self._after(
                    self.topology_known, "KGENTS_TOPOLOGY", caught_up=changes.caught_up, position=changes.position
                )

    async def follow_pulses(self) -> None:
        """Feed the scorer samples. No table of them is kept: a log never says that one of its subjects is gone."""
        filters = cluster_filters("pulse", self.context.config.clusters)
        batches = follow(self.context.bus, "KGENTS_PULSE", filters, now_ns=self.context.now_ns())
        async with aclosing(batches):
            async for batch in batches:
                for each in batch.deliveries:
                    try:
                        pulse = PULSE.decode(each.payload)
                    except MalformedMessageError as error:
                        await self.context.dead_letters.set_aside(each, str(error))
                        continue
                    self.scorer.on_pulse(pulse, now=_time(each.time_ns), evidence=f"KGENTS_PULSE:{each.seq}")
                if batch.deliveries:
                    self._note_clock(batch.deliveries[-1])
                self._after(self.pulses_known, "KGENTS_PULSE", caught_up=batch.caught_up, position=batch.position)

    def begin(self) -> None:
        """Everything that was there is known: judge it, and from now on publish what changes."""
        self.scorer.caught_up(self.context.clock.now() + self._server_ahead)
        self._is_live = True

    async def watch_time(self) -> None:
        """Let the scorer notice what is missing."""
        while True:
            await self.context.clock.sleep(self.context.config.tick_interval_s)
            if not self._is_behind:  # samples that wait to be read are not missing
                self.scorer.tick(self.context.clock.now() + self._server_ahead)
                self._changed.set()
            self._note_published()

    def _note_clock(self, last: Delivery) -> None:
        self._is_behind = last.pending > 0
        if self._is_live and not self._is_behind:
            self._server_ahead = _time(last.time_ns) - self.context.clock.now()

    def _after(self, known: asyncio.Event, stream: str, *, caught_up: bool, position: Position | None) -> None:
        """A batch has been taken in."""
        if caught_up:
            known.set()
        if position is not None:
            self._read[stream] = position.seq
        self._changed.set()

    async def publish(self) -> None:
        """Publish what is judged, and at first everything, as fast as the server takes it.

        Everything may have to be judged at once, at the start or when a source falls silent: others have their turn in
        between.
        """
        time_slice = TimeSlice()
        while True:
            while self.scorer.is_dirty:
                for message in self.scorer.take():
                    await self._put(message)
                    await time_slice.checkpoint()
            self.context.status.set("in_sync")
            await self._changed.wait()
            self._changed.clear()

    async def _put(self, message: Health | Alert) -> None:
        if isinstance(message, Health):
            subject = message.ref.subject("health")
            if message.is_removal:
                self.health.remove(subject, message)
            else:
                self.health.put(subject, message)
            await self.health.room()
        else:
            subject = message.ref.subject("alert", check=message.check)
            if message.is_removal:
                self.alerts.remove(subject, message)
            else:
                self.alerts.put(subject, message, ttl_s=RESOLVED_TTL_S if message.state == "resolved" else 0)
            await self.alerts.room()

    def _note_published(self) -> None:
        """What was read is published once nothing waits any more."""
        if not self.scorer.is_dirty and self.health.backlog == 0 and self.alerts.backlog == 0:
            self.context.status.watermark.update(self._read)


def _time(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns / 1e9, UTC)


SERVICE = Service(name="health-scorer", config=Config, run=run)
