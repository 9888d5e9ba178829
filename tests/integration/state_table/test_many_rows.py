"""A table with very many rows: compressed, and filled no faster than the server takes it."""

import asyncio
import itertools

import pytest

from kgents_shared.bus import compression
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.bus.publish import WINDOW, Publisher
from kgents_shared.bus.state_table import BACKLOG_MAX, StateTable
from kgents_shared.contract import subjects
from kgents_shared.contract.entity import Entity
from support.build import make_entity, make_removal, subject_of
from support.nats_server import NatsServer
from support.running import running
from support.waiting import eventually, within

COUNT = 3_000
Table = StateTable[Entity]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some rows are kept as they are, and most are compressed."""
    monkeypatch.setattr(compression, "PLAIN_BYTES", 50_000)


def pod(number: int, reason: str = "") -> Entity:
    return make_entity(f"p{number}", reason=reason, labels={"app": f"shop-{number % 7}"})


async def fill(table: Table, reason: str = "") -> None:
    for number in range(COUNT):
        table.put(subject_of(pod(number)), pod(number, reason))
    async with within(30):
        await table.flush()


async def test_a_packed_table_says_the_same_and_publishes_no_more(table: Table, bus: Bus) -> None:
    table.compress_rows(lambda entity: entity.ref.kind)
    async with running(table.run()):
        await fill(table)
        await fill(table)
        assert await stored(bus) == COUNT
        assert {row.message.ref: row.message for row in table.rows.values()} == {
            pod(number).ref: pod(number) for number in range(COUNT)
        }
        await fill(table, reason="Evicted")
        assert await stored(bus) == 2 * COUNT


async def stored(bus: Bus) -> int:
    """Messages that the stream has taken: the publisher does not count those whose ack came late."""
    return (await stream_info(await bus.session(), "KGENTS_ENTITY")).last_seq


async def test_a_packed_table_that_was_loaded_publishes_nothing_that_is_published(table: Table, bus: Bus) -> None:
    async with running(table.run()):
        await fill(table)
    table.compress_rows(lambda entity: entity.ref.kind)
    await table.load()
    async with running(table.run()):
        await fill(table)
        table.remove(subject_of(pod(1)), make_removal(pod(1)))
        async with within(10):
            await table.flush()
    assert await stored(bus) == COUNT + 1
    assert subject_of(pod(1)) not in table.rows


async def test_there_is_no_room_while_nats_is_away(writer: Table, server: NatsServer, bus: Bus) -> None:
    server.kill()
    put = 0

    async def say_much() -> None:
        nonlocal put
        for put in range(COUNT):
            await writer.wait_for_capacity()
            writer.put(subject_of(pod(put)), pod(put))

    async with running(say_much()) as (task,):
        await asyncio.sleep(1)
        assert writer.backlog <= BACKLOG_MAX
        assert put < COUNT - 1
        await server.start()
        async with within(30):
            await task
            await writer.flush()
    assert len(writer.rows) == COUNT


async def test_a_lease_can_be_renewed_while_very_much_is_published(table: Table, publisher: Publisher) -> None:
    subject = subjects.build("meta", cluster="test", service="flood", instance="one")
    is_over = False

    async def say_much() -> None:
        for number in itertools.count():
            if is_over:
                return
            await table.wait_for_capacity()
            table.put(subject_of(pod(number)), pod(number))

    async with running(table.run(), say_much()):
        await eventually(lambda: table.backlog >= BACKLOG_MAX - 1)
        async with within(10):
            for _ in range(5):
                await publisher.send_one(subject, b"{}", {})
        assert table.backlog > WINDOW
        is_over = True
