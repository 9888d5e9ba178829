"""Following a state stream: snapshot, the mark that it is complete, then every change once and in order."""

import asyncio
from typing import Any

import msgspec
import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Position
from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.pull import HANDED_MAX, Pull
from kgents_shared.bus.state_table import StateTable
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract.codec import ENTITY, encode
from kgents_shared.contract.entity import Entity
from support.build import make_entity, make_removal, subject_of
from support.following import FILTERS, Follower
from support.nats_server import NatsServer
from support.running import running
from support.streams import provision_streams
from support.waiting import within


async def put(table: StateTable[Entity], *entities: Entity) -> None:
    for entity in entities:
        table.put(subject_of(entity), entity)
    async with within(20):
        await table.flush()


async def test_an_empty_stream_is_caught_up_at_once(bus: Bus) -> None:
    follower = Follower(bus)
    async with running(follower.run()):
        await follower.until_caught_up()

    assert follower.received == []


async def test_a_snapshot_holds_the_last_value_of_each_subject_and_changes_follow(
    bus: Bus, writer: StateTable[Entity]
) -> None:
    await put(writer, make_entity("a"), make_entity("b"))
    await put(writer, make_entity("a", status="failed"))

    follower = Follower(bus)
    async with running(follower.run()):
        await follower.until_caught_up()
        snapshot = list(follower.received)
        await put(writer, make_entity("b", status="pending"))
        writer.remove(subject_of(make_entity("a")), make_removal(make_entity("a")))
        await follower.until(lambda: len(follower.received) == 4)

    assert snapshot == [("b", "running"), ("a", "failed")]
    assert follower.received[2:] == [("b", "pending"), ("a", None)]
    assert list(follower.table.rows) == [subject_of(make_entity("b"))]


async def test_exactly_one_batch_is_the_mark(bus: Bus, writer: StateTable[Entity]) -> None:
    await put(writer, *(make_entity(f"p{number}") for number in range(1200)))
    follower = Follower(bus)
    async with running(follower.run()):
        await follower.until_caught_up()
        assert len(follower.received) == 1200
        await put(writer, make_entity("later"))
        await follower.until(lambda: len(follower.received) == 1201)

    assert sum(batch.caught_up for batch in follower.batches) == 1
    assert max(len(batch.changes) for batch in follower.batches) <= HANDED_MAX  # each is decoded at a stroke


async def test_resuming_gives_what_was_missed_and_nothing_twice(bus: Bus, writer: StateTable[Entity]) -> None:
    await put(writer, make_entity("a"), make_entity("b"))
    first = Follower(bus)
    async with running(first.run()):
        await first.until_caught_up()
    writer.remove(subject_of(make_entity("a")), make_removal(make_entity("a")))
    await put(writer, make_entity("c"))

    position = msgspec.json.decode(msgspec.json.encode(first.position), type=Position)
    second = Follower(bus, position)
    async with running(second.run()):
        await second.until_caught_up()

    assert sorted(second.received) == [("a", None), ("c", "running")]


async def test_a_position_older_than_removals_are_kept_gives_a_snapshot(bus: Bus, writer: StateTable[Entity]) -> None:
    await put(writer, make_entity("a"))
    first = Follower(bus)
    async with running(first.run()):
        await first.until_caught_up()
    await put(writer, make_entity("b"))
    await put(writer, make_entity("b", status="failed"))  # what is gone may as well have been a removal of `a`
    old = msgspec.structs.replace(first.position, time_ns=first.position.time_ns - 8 * 86_400 * 10**9)
    second = Follower(bus, old)
    async with running(second.run()):
        await second.until_caught_up()

    assert second.received == [("a", "running"), ("b", "failed")]


async def test_a_message_lost_on_its_way_is_read_again(
    bus: Bus, writer: StateTable[Entity], monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(writer, *(make_entity(f"p{number}") for number in range(1200)))
    arrived: list[str] = []
    take = Pull.take

    def lose_one(pull: Pull, subject: str, *message: Any) -> None:
        arrived.append(subject)
        if len(arrived) != 700:
            take(pull, subject, *message)

    monkeypatch.setattr(Pull, "take", lose_one)
    follower = Follower(bus)
    async with running(follower.run()):
        await follower.until_caught_up()

    assert [name for name, _ in follower.received] == [f"p{number}" for number in range(1200)]


async def test_a_recreated_stream_is_a_reset_and_what_is_gone_is_removed(
    bus: Bus, table: StateTable[Entity], publisher: Publisher
) -> None:
    async with running(table.run()):
        await put(table, make_entity("a"), make_entity("b"))
    follower = Follower(bus)
    async with running(follower.run()):
        await follower.until_caught_up()
        session = await bus.session()
        await session.api("STREAM.DELETE.KGENTS_ENTITY", None, msgspec.Raw)
        await provision_streams(bus)
        fresh = StateTable(bus, ENTITY, "KGENTS_ENTITY", FILTERS, publisher=publisher)
        await fresh.load()
        async with running(fresh.run()):
            await put(fresh, make_entity("b", status="failed"))
        await follower.until(lambda: {("a", None), ("b", "failed")} <= set(follower.received), within_s=30)

    assert list(follower.table.rows) == [subject_of(make_entity("b"))]
    assert sum(batch.caught_up for batch in follower.batches) == 2


async def test_kill_and_restart_of_the_server_lose_and_repeat_nothing(
    bus: Bus, writer: StateTable[Entity], server: NatsServer
) -> None:
    follower = Follower(bus)
    async with running(follower.run()):
        await follower.until_caught_up()
        for round_ in range(3):
            await put(writer, *(make_entity(f"p{number}", status=f"s{round_}") for number in range(300)))
            server.kill()
            for number in range(300, 400):
                writer.put(subject_of(make_entity(f"p{number}")), make_entity(f"p{number}", status=f"s{round_}"))
            await server.start()
        await put(writer, make_entity("last"))
        await follower.until(lambda: ("last", "running") in follower.received, within_s=30)

    assert {subject: row.message for subject, row in follower.table.rows.items()} == {
        subject: row.message for subject, row in writer.rows.items()
    }
    seqs = [change.seq for batch in follower.batches for change in batch.changes]
    assert seqs == sorted(set(seqs))


async def test_a_message_that_cannot_be_read_is_reported_and_the_rest_goes_on(
    bus: Bus,
) -> None:
    session = await bus.session()
    await session.request(subject_of(make_entity("a")), encode(make_entity("a")))
    await session.request("kgents.entity.test.k8s.pod.shop.poison", b'{"ref": 5, "password": "hunter2"}')
    await session.request(subject_of(make_entity("b")), encode(make_entity("b")))

    follower = Follower(bus)
    async with running(follower.run()):
        await follower.until_caught_up()

    ((delivery, reason),) = [each for batch in follower.batches for each in batch.malformed]
    assert follower.received == [("a", "running"), ("poison", None), ("b", "running")]
    assert delivery.subject.endswith(".poison")
    assert "hunter2" not in reason


async def test_a_message_that_cannot_be_read_leaves_no_row_as_for_a_reader_that_comes_later(bus: Bus) -> None:
    session = await bus.session()
    await session.request(subject_of(make_entity("a")), encode(make_entity("a")))
    early, late = Follower(bus), Follower(bus)
    async with running(early.run()):
        await early.until_caught_up()
        await session.request(subject_of(make_entity("a")), b"\xff")
        await early.until(lambda: bool(early.batches[-1].malformed))
    async with running(late.run()):
        await late.until_caught_up()

    assert early.table.rows == late.table.rows == {}
    (change,) = early.batches[-1].changes
    assert (change.old, change.new, change.removal) == (make_entity("a"), None, None)
    assert change.fault


async def test_a_reader_that_leaves_takes_its_consumer_with_it(bus: Bus, writer: StateTable[Entity]) -> None:
    await put(writer, make_entity("a"))
    table = StateView(bus, ENTITY, "KGENTS_ENTITY", FILTERS)
    for _ in range(3):
        await table.load()

    session = await bus.session()
    info = await session.api("CONSUMER.NAMES.KGENTS_ENTITY", None, dict)
    assert info["consumers"] in (None, [])


async def test_a_paused_server_is_noticed_and_nothing_is_lost(
    bus: Bus, writer: StateTable[Entity], server: NatsServer
) -> None:
    follower = Follower(bus)
    async with running(follower.run()):
        await follower.until_caught_up()
        server.pause()
        writer.put(subject_of(make_entity("a")), make_entity("a"))
        await asyncio.sleep(7)
        server.resume()
        await follower.until(lambda: ("a", "running") in follower.received, within_s=30)

    assert follower.received == [("a", "running")]
