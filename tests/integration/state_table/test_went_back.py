"""Streams that went back: restored from an older copy, and then written again past the old sequence."""

import pytest

from kgents_shared.bus import losses, state_audit
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.consume import Position
from kgents_shared.bus.continuity import TAIL_MAX
from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.state_table import StateTable
from kgents_shared.contract.codec import ENTITY, encode
from kgents_shared.contract.entity import Entity
from support.build import make_entity, make_removal, subject_of
from support.following import FILTERS, Follower
from support.nats_server import NatsServer
from support.proxy import Proxy
from support.running import running
from support.waiting import eventually, within

pytestmark = pytest.mark.timeout(120)


async def write(bus: Bus, *entities: Entity) -> None:
    """Write as a collector that does not know what was there before."""
    session = await bus.session(timeout_s=20)
    for entity in entities:
        await session.request(subject_of(entity), encode(entity))


def held(follower: Follower) -> dict[str, str]:
    return {row.message.ref.name: row.message.status for row in follower.table.rows.values()}


@pytest.fixture
async def lost_since_copy(bus: Bus, server: NatsServer) -> list[Entity]:
    """What the stream holds at the copy, then ten messages that will be lost."""
    await write(bus, *(make_entity(f"old{number}") for number in range(10)))
    await server.copy_store()
    lost = [
        *(make_entity(f"old{number}", status="failed") for number in range(5)),
        make_removal(make_entity("old9")),
        *(make_entity(f"new{number}") for number in range(4)),
    ]
    await write(bus, *lost)
    return lost


@pytest.mark.parametrize("rewritten", [0, 1, 6, 10, 11, 30])
async def test_a_reader_that_stayed_reads_again_what_the_restored_stream_holds(
    bus: Bus, server: NatsServer, lost_since_copy: list[Entity], rewritten: int
) -> None:
    follower = Follower(bus)
    async with running(follower.run()):
        await follower.until_caught_up()
        assert held(follower)["old0"] == "failed"
        async with Bus(NatsConfig(url=server.url), name="writer") as other:
            await server.go_back()
            await write(other, *(make_entity(f"after{number % 3}") for number in range(rewritten)))
            await write(other, make_entity("last"))
        await follower.until(lambda: "last" in held(follower))
        expected = {
            **{f"old{number}": "running" for number in range(10)},
            **{f"after{number % 3}": "running" for number in range(rewritten)},
            "last": "running",
        }
        await eventually(lambda: held(follower) == expected)

    assert sum(batch.caught_up for batch in follower.batches) == 2


async def test_what_vanished_with_the_part_that_was_lost_is_reported_as_gone(
    bus: Bus, server: NatsServer, lost_since_copy: list[Entity]
) -> None:
    follower = Follower(bus)
    async with running(follower.run()):
        await follower.until_caught_up()
        await server.go_back()
        await write(bus, *(make_entity(f"after{number}") for number in range(20)))
        await follower.until(lambda: sum(batch.caught_up for batch in follower.batches) == 2)

    assert {("new0", None), ("new1", None), ("new2", None), ("new3", None)} <= set(follower.received)


@pytest.mark.parametrize("rewritten", [3, 12])
async def test_a_position_in_a_part_that_was_lost_gives_a_snapshot(
    bus: Bus, server: NatsServer, lost_since_copy: list[Entity], rewritten: int
) -> None:
    first = Follower(bus)
    async with running(first.run()):
        await first.until_caught_up()
    await server.go_back()
    await write(bus, *(make_entity(f"after{number}") for number in range(rewritten)))
    second = Follower(bus, first.position)
    async with running(second.run()):
        await second.until_caught_up()
        await eventually(lambda: held(second)["old0"] == "running")

    assert len(held(second)) == 10 + rewritten


async def test_a_restart_of_the_server_is_no_reset(bus: Bus, server: NatsServer) -> None:
    """Also where every message that was read has been replaced, or only some have."""
    await write(bus, *(make_entity(f"p{number}") for number in range(TAIL_MAX + 10)))
    follower = Follower(bus)
    async with running(follower.run()):
        await follower.until_caught_up()
        for changed in (1, 10, TAIL_MAX - 1):
            await server.stop()
            await server.start()
            await write(bus, *(make_entity(f"p{number}", status=f"s{changed}") for number in range(changed)))
            name, status = f"p{changed - 1}", f"s{changed}"
            await follower.until(lambda name=name, status=status: held(follower)[name] == status)  # type: ignore[misc]

    assert sum(batch.caught_up for batch in follower.batches) == 1
    assert len(follower.received) == TAIL_MAX + 10 + 1 + 10 + TAIL_MAX - 1


async def test_a_position_resumes_though_its_own_message_was_replaced(bus: Bus) -> None:
    await write(bus, make_entity("a"), make_entity("b"))
    first = Follower(bus)
    async with running(first.run()):
        await first.until_caught_up()
    await write(bus, make_entity("b", status="failed"), make_entity("a", status="failed"))
    second = Follower(bus, first.position)
    async with running(second.run()):
        await second.until_caught_up()

    assert second.received == [("b", "failed"), ("a", "failed")]


async def test_a_position_without_known_messages_resumes(bus: Bus) -> None:
    """As one of an earlier version of a position file."""
    await write(bus, make_entity("a"), make_entity("b"))
    first = Follower(bus)
    async with running(first.run()):
        await first.until_caught_up()
    known = first.position
    await write(bus, make_entity("c"))
    second = Follower(bus, Position(known.stream_created, known.seq, known.time_ns))
    async with running(second.run()):
        await second.until_caught_up()

    assert second.received == [("c", "running")]


async def test_a_writer_publishes_again_what_the_restored_stream_lacks(
    bus: Bus, server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another writer of the stream has counted on past all that was lost, before this one is back."""
    monkeypatch.setattr(losses, "INTERVAL_S", 0.1)
    monkeypatch.setattr(state_audit, "AUDIT_INTERVAL_S", 0.1)
    kept, changed = make_entity("kept"), make_entity("changed")
    failed, added = make_entity("changed", status="failed"), make_entity("added")
    async with Proxy(server.port) as proxy, Bus(NatsConfig(url=proxy.url), name="behind") as behind:
        publisher = Publisher(behind)
        table = StateTable(behind, ENTITY, "KGENTS_ENTITY", FILTERS, publisher=publisher)
        await table.load()
        async with running(publisher.run(), table.run()):
            await put(table, kept, changed)
            await server.copy_store()
            await put(table, failed, added)

            proxy.stall()
            await server.go_back()
            await write(bus, *(make_entity(f"other{number}", source="docker") for number in range(20)))
            proxy.cut()

            follower = Follower(bus)
            async with running(follower.run()):
                await follower.until_caught_up()
                assert held(follower)["changed"] == "running"
                proxy.flow()
                await eventually(lambda: held(follower).get("added") == "running")
                await eventually(lambda: held(follower)["changed"] == "failed")


async def put(table: StateTable[Entity], *entities: Entity) -> None:
    for entity in entities:
        table.put(subject_of(entity), entity)
    async with within(20):
        await table.flush()
