"""A collector whose truth a test decides, and what the pipeline made of it: for tests of the guarantees."""

import asyncio
import contextlib
from datetime import UTC, datetime

from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.bus.publish import TTL, Publisher
from kgents_shared.bus.state_table import StateTable
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.codec import ALERT, ENTITY, HEALTH, META, TOPOLOGY, encode
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.errors import BusError
from kgents_shared.contract.health import Health
from kgents_shared.contract.meta import HEARTBEAT_TTL_S, DeadLetter, Heartbeat
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.unread import Unread
from kgents_shared.view.entity import EntityView
from kgents_shared.view.live import snapshot
from kgents_shared.view.selection import select
from support.build import NOW, make_removal, subject_of
from support.waiting import eventually, within


class Truth:
    """Publishes entities of source `k8s` in cluster `test` through a state table, and heartbeats while it attests."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.publisher = Publisher(bus)
        self.entities: dict[str, Entity] = {}
        self.attests = True
        self.unread: list[Unread] = []
        """What its heartbeats do not attest."""
        self.table = StateTable(
            bus,
            ENTITY,
            "KGENTS_ENTITY",
            [subjects.pattern("entity", cluster="test", source="k8s")],
            publisher=self.publisher,
        )
        self._loaded = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.publisher.run())
            await self.table.load()
            self._loaded.set()
            tasks.create_task(self.table.run())
            tasks.create_task(self._beat())

    async def say(self, *entities: Entity) -> None:
        """These entities are so now; returns when the stream holds it."""
        self.say_soon(*entities)
        await self.settle()

    def say_soon(self, *entities: Entity) -> None:
        for entity in entities:
            self.entities[subject_of(entity)] = entity
            self.table.put(subject_of(entity), entity)

    async def unsay(self, *entities: Entity) -> None:
        """These entities are gone now."""
        self.unsay_soon(*entities)
        await self.settle()

    def unsay_soon(self, *entities: Entity) -> None:
        for entity in entities:
            del self.entities[subject_of(entity)]
            self.table.remove(subject_of(entity), make_removal(entity))

    async def settle(self) -> None:
        await self._loaded.wait()
        async with within(30):
            await self.table.flush()

    async def pulse(self, entity: Entity, **figures: object) -> None:
        """One sample of an entity, now."""
        sample = ResourcePulse(
            ref=entity.ref,
            source="k8s",
            timestamp=datetime.now(UTC),
            interval_s=5.0,
            uid=entity.uid,
            **figures,  # type: ignore[arg-type]
        )
        await self.publisher.send_one(entity.ref.subject("pulse", source="k8s"), encode(sample), {})

    def heartbeat(self, state: str) -> Heartbeat:
        """What its heartbeat says in this state."""
        return Heartbeat(
            text="", service="collector-k8s", instance="truth", version="0", started_at=NOW, state=state, source="k8s",
            unread=self.unread,
        )  # fmt: skip

    async def beat(self, state: str = "in_sync") -> None:
        """One heartbeat."""
        subject = subjects.build("meta", cluster="test", service="collector-k8s", instance="truth")
        with contextlib.suppress(BusError):
            await self.publisher.send_one(subject, encode(self.heartbeat(state)), {TTL: f"{HEARTBEAT_TTL_S}s"})

    async def _beat(self) -> None:
        while True:
            if self.attests:
                await self.beat("degraded" if self.unread else "in_sync")
            await asyncio.sleep(2)


async def topology(bus: Bus) -> dict[Ref, TopologyEntity]:
    """What the topology stream says now."""
    table = StateView(bus, TOPOLOGY, "KGENTS_TOPOLOGY", [subjects.pattern("topology")])
    await table.load()
    return {row.message.ref: row.message for row in table.rows.values()}


async def health(bus: Bus) -> dict[Ref, Health]:
    """What the health stream says now."""
    table = StateView(bus, HEALTH, "KGENTS_HEALTH", [subjects.pattern("health")])
    await table.load()
    return {row.message.ref: row.message for row in table.rows.values()}


async def alerts(bus: Bus, check: str) -> dict[Ref, Alert]:
    """What the alert stream says of one check."""
    table = StateView(bus, ALERT, "KGENTS_ALERT", [subjects.pattern("alert", check=check)])
    await table.load()
    return {row.message.ref: row.message for row in table.rows.values()}


async def seen(bus: Bus) -> dict[Ref, EntityView]:
    """Every entity as a reader finds it: with health and alerts, stale where its source does not attest it."""
    fold = await snapshot(bus, select())
    return {view.ref: view for view in fold.entities()}


async def heartbeat(bus: Bus, service: str, instance: str = "one") -> Heartbeat | None:
    """What an instance says of itself now."""
    filter_ = subjects.pattern("meta", cluster="test", service=service, instance=instance)
    table = StateView(bus, META, "KGENTS_META", [filter_])
    await table.load()
    found = [row.message for row in table.rows.values() if isinstance(row.message, Heartbeat)]
    return found[0] if found else None


async def dead_letters(bus: Bus, service: str) -> list[DeadLetter]:
    """What a service could not read."""
    table = StateView(bus, META, "KGENTS_META", [subjects.pattern("meta", service=service)])
    await table.load()
    return [row.message for row in table.rows.values() if isinstance(row.message, DeadLetter)]


async def last_seq(bus: Bus, stream: str) -> int:
    """How many messages were ever stored in a stream."""
    return (await stream_info(await bus.session(), stream)).last_seq


async def in_sync(bus: Bus, service: str, instance: str = "one") -> None:
    """Wait until an instance says that it is in sync."""

    async def claim() -> bool:
        beat = await heartbeat(bus, service, instance)
        return beat is not None and beat.state == "in_sync"

    await eventually(claim)
