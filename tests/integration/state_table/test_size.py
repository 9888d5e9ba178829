"""What a server cannot take whole is published in part, with its state; once, and whole as soon as it can be."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.jetstream import last_message
from kgents_shared.bus.log import LogPublisher
from kgents_shared.bus.outbox import Outbox
from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.state_table import StateTable
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY, EVENT, PULSE, TOPOLOGY, encode
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.event import Event
from kgents_shared.contract.pulse import ALL, ResourcePulse
from kgents_shared.contract.topology import TopologyEntity
from kgents_topology_builder.difference import describe, same
from kgents_topology_builder.merge import merge
from support.build import NOW, NOW_NS, make_entity, make_ref, subject_of
from support.nats_server import NatsServer
from support.running import running
from support.streams import provision_streams
from support.waiting import eventually, within

SMALL = 65_536
Serve = Callable[[int], AbstractAsyncContextManager[tuple[NatsServer, Bus, Publisher]]]


@pytest.fixture
def serving(tmp_path: Path) -> Serve:
    @asynccontextmanager
    async def serve(max_payload: int) -> AsyncIterator[tuple[NatsServer, Bus, Publisher]]:
        async with (
            NatsServer(tmp_path, config=f"max_payload: {max_payload}") as server,
            Bus(NatsConfig(url=server.url), name="test") as bus,
        ):
            await provision_streams(bus)
            publisher = Publisher(bus)
            async with running(publisher.run()):
                yield server, bus, publisher

    return serve


def entity_table(bus: Bus, publisher: Publisher) -> StateTable[Entity]:
    filters = [subjects.pattern("entity", cluster="test", source="k8s")]
    return StateTable(bus, ENTITY, "KGENTS_ENTITY", filters, publisher=publisher)


async def flushed(table: StateTable[Entity] | StateTable[TopologyEntity]) -> None:
    async with within(20):
        await table.flush()


@pytest.mark.parametrize("max_payload", [SMALL, 1_048_576])
async def test_a_change_of_the_largest_entity_is_published_with_its_state(serving: Serve, max_payload: int) -> None:
    """The topology's message would repeat both values: three times what the source was allowed to send."""
    async with serving(max_payload) as (_, bus, publisher):
        table = StateTable(
            bus, TOPOLOGY, "KGENTS_TOPOLOGY", [subjects.pattern("topology")], publisher=publisher, same=same,
            render=describe,
        )  # fmt: skip
        await table.load()
        async with running(table.run()):
            for status, letter in (("running", "x"), ("failed", "y")):
                entity = make_entity(status=status, annotations={"big": letter * (max_payload - 20_000)})
                merged = merge(entity.ref, [entity], lambda *_: None, time_ns=NOW_NS)
                table.put(entity.ref.subject("topology"), merged)
                await flushed(table)

        row = table.rows[make_ref().subject("topology")].message
        assert row.status == "failed"
        assert row.annotations == {"big": "y" * (max_payload - 20_000)}
        big = next(each for each in row.changed if each.field == "annotations.big")
        assert big.is_cut
        assert str(big.new).startswith("yyy")
        assert table.failures == {}


@pytest.mark.parametrize("max_payload", [SMALL, 1_048_576])
async def test_an_entity_that_never_fits_is_published_in_part_and_once(serving: Serve, max_payload: int) -> None:
    async with serving(max_payload) as (_, bus, publisher):
        table = entity_table(bus, publisher)
        await table.load()
        async with running(table.run()):
            whole = make_entity(status="failed", labels={"app": "cart"}, annotations={"big": "x" * max_payload})
            for _ in range(3):
                table.put(subject_of(whole), whole)
                await flushed(table)

            assert publisher.stored == 1
            assert list(table.cut) == [subject_of(whole)]
            found = table.rows[subject_of(whole)].message
            assert (found.status, found.labels, found.cut) == ("failed", {"app": "cart"}, ["annotations.big"])

        again = entity_table(bus, publisher)
        await again.load()
        async with running(again.run()):
            again.put(subject_of(whole), whole)
            await flushed(again)
            assert publisher.stored == 1
            assert list(again.cut) == [subject_of(whole)]

            again.put(subject_of(whole), make_entity(annotations={"small": "x"}))
            await flushed(again)
            assert list(again.cut) == []


async def test_what_only_its_source_has_cut_is_published_once_however_little_room_it_leaves(serving: Serve) -> None:
    async with serving(SMALL) as (_, bus, publisher):
        table = entity_table(bus, publisher)
        await table.load()
        async with running(table.run()):
            large = make_entity(annotations={"big": "x" * (SMALL - 6_000)}, cut=["annotations.other"])
            for _ in range(3):
                table.put(subject_of(large), large)
                await flushed(table)

        assert publisher.stored == 1
        assert list(table.cut) == []


async def test_a_server_that_takes_more_gets_the_whole(serving: Serve) -> None:
    async with serving(SMALL) as (server, bus, publisher):
        table = entity_table(bus, publisher)
        await table.load()
        async with running(table.run()):
            whole = make_entity(annotations={"big": "x" * SMALL})
            table.put(subject_of(whole), whole)
            await flushed(table)
            assert table.rows[subject_of(whole)].message.cut

            server.kill()
            server.reconfigure("max_payload: 1048576")
            await server.start()

            await eventually(lambda: table.rows[subject_of(whole)].message == whole)
            assert list(table.cut) == []


async def test_a_sample_and_an_event_that_never_fit_are_published_in_part(serving: Serve, tmp_path: Path) -> None:
    async with serving(SMALL) as (_, bus, publisher):
        with Outbox(tmp_path / "outbox") as outbox:
            log = LogPublisher(bus, publisher, outbox, prefix="t", now_ns=time.time_ns)
            figures: dict[str, float | None] = {f"figure_{number}": 1.0 for number in range(9_000)}
            pulse = ResourcePulse(ref=make_ref(), source="k8s", timestamp=NOW, interval_s=5, custom=figures)
            event = Event("e", "1", make_ref(), "k8s", "Warning", "BackOff", "error", NOW, NOW, message="x" * SMALL)
            async with running(log.run()):
                log.publish(make_ref().subject("pulse", source="k8s"), encode(pulse))
                log.publish(make_ref().subject("event", source="k8s"), encode(event))
                await eventually(lambda: log.published == 2)

        session = await bus.session()
        pulses = await last_message(session, "KGENTS_PULSE", make_ref().subject("pulse", source="k8s"))
        events = await last_message(session, "KGENTS_EVENT", make_ref().subject("event", source="k8s"))
        assert pulses is not None
        assert events is not None
        sample, happened = PULSE.decode(pulses.payload), EVENT.decode(events.payload)
        assert sample.unread == [ALL]
        assert sample.cut
        assert (happened.reason, happened.cut) == ("BackOff", ["message"])
        assert log.refused == 0
