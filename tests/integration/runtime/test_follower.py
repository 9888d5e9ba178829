"""What services that follow streams share: a small one of them, on a real server."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.delivery import DELAYED, Delivery
from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.state_table import BACKLOG_MAX
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY, PULSE, TOPOLOGY, encode
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.pulse import Pulse, ResourcePulse
from kgents_shared.contract.section import Section
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.runtime import follower
from kgents_shared.runtime.follower import Follower
from kgents_shared.runtime.service import Access, Context, Service
from support.build import make_entity, make_ref, subject_of
from support.clock import ShiftedClock
from support.in_process import published, run_in_process
from support.nats_server import NatsServer
from support.running import running
from support.truth import dead_letters, last_seq
from support.waiting import MACHINE, eventually, pause, stays

SECOND_NS = 1_000_000_000

ACCESS = Access(("topology",), reads=("entity", "pulse"), keeps_time=True)


class Echo:
    """Publishes the status of each entity, and counts samples."""

    def __init__(self, *, publishes: bool = True) -> None:
        self.publishes = publishes
        self.dirty: dict[Ref, str] = {}
        self.samples: list[Pulse] = []
        self.asked: list[str] = []
        self.ticks_ns: list[int] = []
        self.of_each_tick: dict[Ref, str] = {}
        self.away_ns: list[tuple[int, int]] = []
        self.service = Service(name="shared", config=Section, run=self.run, access=ACCESS)

    @property
    def is_dirty(self) -> bool:
        return bool(self.dirty)

    def was_away(self, begin_ns: int, end_ns: int) -> None:
        self.away_ns.append((begin_ns, end_ns))

    def take(self) -> Iterator[TopologyEntity]:
        while self.dirty:
            ref, status = self.dirty.popitem()
            yield TopologyEntity(text="", ref=ref, status=status)

    async def run(self, context: Context[Any]) -> None:
        self.table = context.writer(TOPOLOGY, [subjects.pattern("topology")])
        await self.table.load()
        self.follower = Follower(context, self, [self.table])
        self.entities = self.follower.state(ENTITY)
        self.pulses = self.follower.log(PULSE)
        async with asyncio.TaskGroup() as tasks:
            if self.publishes:
                tasks.create_task(self.table.run())
            tasks.create_task(self.read_entities())
            tasks.create_task(self.read_pulses())
            await self.entities.caught_up.wait()
            tasks.create_task(self.publish())
            tasks.create_task(self.tick())

    async def read_entities(self) -> None:
        async for change in self.entities.items():
            if change.new is not None:
                self.dirty[change.new.ref] = change.new.status

    async def read_pulses(self) -> None:
        await self.pulses.read(lambda sample: self.samples.append(sample.message), self.passes)

    def passes(self, pulse: Pulse, delivery: Delivery) -> bool:
        self.asked.append(delivery.subject)
        return pulse.ref.name == "passes"

    async def publish(self) -> None:
        async for entity in self.follower.desired():
            self.table.put(entity.ref.subject("topology"), entity)

    async def tick(self) -> None:
        async for now_ns in self.follower.ticks(0.05):
            self.ticks_ns.append(now_ns)
            self.dirty.update(self.of_each_tick)


@asynccontextmanager
async def following(echo: Echo, bus: Bus, directory: Path) -> AsyncIterator[Context[Any]]:
    """It has read what was there at the start."""
    async with run_in_process(echo.service, None, bus, directory) as context:
        await eventually(lambda: hasattr(echo, "pulses"))
        await echo.entities.caught_up.wait()
        await echo.pulses.caught_up.wait()
        yield context


@pytest.fixture
async def publisher(bus: Bus) -> AsyncIterator[Publisher]:
    publisher = Publisher(bus)
    async with running(publisher.run()):
        yield publisher


async def report(publisher: Publisher, *entities: Entity) -> None:
    for entity in entities:
        await publisher.send(subject_of(entity), encode(entity), {}, lambda _: None)


async def sample(publisher: Publisher, name: str, *, on: str = "", headers: dict[str, str] | None = None) -> None:
    """One of an entity, on the subject of that one or of another."""
    pulse = ResourcePulse(ref=make_ref(name), source="k8s", timestamp=datetime.now(UTC), interval_s=5.0)
    await publisher.send_one(make_ref(on or name).subject("pulse", source="k8s"), encode(pulse), headers or {})


async def test_what_is_there_and_what_comes_is_published(bus: Bus, publisher: Publisher, tmp_path: Path) -> None:
    echo = Echo()
    await publisher.send_one(subject_of(make_entity("a")), encode(make_entity("a")), {})
    async with following(echo, bus, tmp_path) as context:
        await eventually(lambda: len(published(context, "topology")) == 1)
        await report(publisher, make_entity("b", status="failed"))
        await eventually(lambda: {row.status for row in published(context, "topology")} == {"running", "failed"})
        assert context.status.state == "in_sync"


async def test_a_cluster_that_is_not_followed_is_not_read(bus: Bus, publisher: Publisher, tmp_path: Path) -> None:
    echo = Echo()
    other = make_entity(ref=make_ref("x", cluster="other"))
    async with following(echo, bus, tmp_path) as context:
        await report(publisher, other, make_entity("a"))
        await eventually(lambda: bool(published(context, "topology")))
        assert [row.ref for row in published(context, "topology")] == [make_ref("a")]


async def test_what_cannot_be_read_is_counted_kept_and_passed_over(
    bus: Bus, publisher: Publisher, tmp_path: Path
) -> None:
    echo = Echo()
    await publisher.send_one(make_ref("bad").subject("entity", source="k8s"), b"{}", {})
    async with following(echo, bus, tmp_path) as context:
        await sample(publisher, "good")
        await publisher.send_one(make_ref("bad").subject("pulse", source="k8s"), b"\xff", {})
        await report(publisher, make_entity("good"))
        await eventually(lambda: len(echo.samples) == 1 and bool(published(context, "topology")))
        await eventually(lambda: context.dead_letters.count == 2)

        async def kept() -> bool:
            return len(await dead_letters(bus, "shared")) == 2

        await eventually(kept)


async def test_a_sample_that_passes_is_not_taken_and_one_that_waited_does_not(
    bus: Bus, publisher: Publisher, tmp_path: Path
) -> None:
    echo = Echo()
    async with following(echo, bus, tmp_path) as context:
        await sample(publisher, "passes")
        await sample(publisher, "passes", headers={DELAYED: "20.0"})
        await sample(publisher, "other", on="foreign")
        await sample(publisher, "last")
        await eventually(lambda: [each.ref.name for each in echo.samples] == ["passes", "last"])
        assert echo.asked == [make_ref(each).subject("pulse", source="k8s") for each in ("passes", "foreign", "last")]
        assert context.dead_letters.count == 1


async def test_the_watermark_is_what_was_read_once_it_is_published(
    bus: Bus, publisher: Publisher, tmp_path: Path
) -> None:
    echo = Echo(publishes=False)
    async with following(echo, bus, tmp_path) as context:
        await report(publisher, make_entity("a"))
        await eventually(lambda: echo.table.backlog == 1 and (context.status.lag_s or 0) > 0.2)
        assert "KGENTS_ENTITY" not in context.status.watermark
        async with running(echo.table.run()):
            seq = await last_seq(bus, "KGENTS_ENTITY")
            await eventually(lambda: context.status.watermark.get("KGENTS_ENTITY") == seq)
            assert context.status.lag_s == 0


async def test_what_each_tick_gives_to_do_is_no_lag(bus: Bus, publisher: Publisher, tmp_path: Path) -> None:
    """As with a workload that waits for its pods, which is judged again at every tick."""
    echo = Echo()
    echo.of_each_tick = {make_ref("a"): "waiting"}
    async with following(echo, bus, tmp_path) as context:
        await eventually(lambda: published(context, "topology"))
        ticks = len(echo.ticks_ns)
        await eventually(lambda: len(echo.ticks_ns) > ticks + 3)
        await eventually(lambda: context.status.lag_s == 0)


async def test_no_more_is_taken_than_the_tables_have_room_for(bus: Bus, publisher: Publisher, tmp_path: Path) -> None:
    echo = Echo(publishes=False)
    entities = [make_entity(f"p{number}") for number in range(2 * BACKLOG_MAX)]
    async with following(echo, bus, tmp_path) as context:
        await report(publisher, *entities)
        await eventually(lambda: echo.table.backlog + len(echo.dirty) == len(entities))
        await eventually(lambda: echo.table.backlog == BACKLOG_MAX)
        await stays(lambda: echo.table.backlog == BACKLOG_MAX, 0.2)
        async with running(echo.table.run()):
            await eventually(lambda: len(published(context, "topology")) == len(entities))


async def test_it_is_in_sync_only_when_everything_was_put(bus: Bus, publisher: Publisher, tmp_path: Path) -> None:
    echo = Echo(publishes=False)
    await report(publisher, *(make_entity(f"p{number}") for number in range(2 * BACKLOG_MAX)))
    await publisher.send_one(subject_of(make_entity("last")), encode(make_entity("last")), {})
    async with following(echo, bus, tmp_path) as context:
        await eventually(lambda: echo.table.backlog == BACKLOG_MAX)
        await stays(lambda: context.status.state != "in_sync", 0.2)
        async with running(echo.table.run()):
            await eventually(lambda: context.status.state == "in_sync")


async def test_an_outage_is_a_time_away_and_a_calm_stream_is_none(
    bus: Bus, server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "AWAY_NS", round(MACHINE.limit_s(4) * SECOND_NS))
    echo = Echo()
    async with following(echo, bus, tmp_path):
        await eventually(lambda: len(echo.ticks_ns) > 2)
        begun_ns = echo.ticks_ns[-1]
        await stays(lambda: not echo.away_ns, 5)
        server.kill()
        killed_ns = time.time_ns()
        await pause(6)
        await server.start()
        await eventually(lambda: bool(echo.away_ns))
        ((begin_ns, end_ns),) = echo.away_ns
        assert begun_ns < begin_ns <= killed_ns
        assert end_ns >= killed_ns + 6 * SECOND_NS


async def test_ticks_give_the_time_of_the_server_whatever_our_wall_clock_says(
    bus: Bus, publisher: Publisher, tmp_path: Path
) -> None:
    echo = Echo()
    async with following(echo, bus, tmp_path) as context:
        await sample(publisher, "a")
        await eventually(lambda: len(echo.samples) == 1)
        context.clock = ShiftedClock(set_s=3600)
        echo.ticks_ns.clear()
        await eventually(lambda: len(echo.ticks_ns) > 2)
        real_ns = context.now_ns() - 3600 * SECOND_NS
        assert all(abs(tick_ns - real_ns) < 60 * SECOND_NS for tick_ns in echo.ticks_ns)


async def test_what_was_read_until_in_sync_costs_no_full_collection(
    bus: Bus, publisher: Publisher, tmp_path: Path
) -> None:
    echo = Echo()
    gc.unfreeze()
    await report(publisher, *(make_entity(f"p{number}", aliases=["x"]) for number in range(1_000)))
    await publisher.send_one(subject_of(make_entity("last")), encode(make_entity("last")), {})
    async with following(echo, bus, tmp_path) as context:
        await eventually(lambda: context.status.state == "in_sync")
        assert gc.get_freeze_count() > 1_000
