import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import ALL
from kgents_shared.bus.log import QUEUE_MESSAGES, LogPublisher
from kgents_shared.bus.outbox import Outbox
from kgents_shared.bus.provision import apply, plan
from kgents_shared.bus.publish import WINDOW, Publisher
from kgents_shared.bus.pull import replay
from kgents_shared.contract.streams import StreamsConfig, streams
from support.nats_server import NatsServer
from support.running import running
from support.waiting import eventually, pause, within

SUBJECT = "kgents.pulse.test.k8s.pod.shop.cart"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    with Outbox(path) as outbox:
        yield outbox


@asynccontextmanager
async def publishing(
    bus: Bus, outbox: Outbox, *, now_s: Callable[[], float] = lambda: 0.001
) -> AsyncIterator[LogPublisher]:
    publisher = Publisher(bus)
    log = LogPublisher(bus, publisher, outbox, prefix="test.k8s.0", now_ns=lambda: round(now_s() * 1e9))
    async with running(publisher.run(), log.run()):
        yield log


def publish(log: LogPublisher, first: int, last: int) -> None:
    for n in range(first, last + 1):
        log.publish(SUBJECT, str(n).encode())


async def stored(bus: Bus) -> list[Delivery]:
    """Everything the pulse stream holds."""
    batches = replay(await bus.session(), "KGENTS_PULSE", ["kgents.pulse.>"], ALL)
    return [each async for batch in batches for each in batch]


async def numbers(bus: Bus) -> list[int]:
    return [int(each.payload) for each in await stored(bus)]


async def test_messages_arrive_in_order_without_touching_the_disk(provisioned: Bus, outbox: Outbox) -> None:
    async with publishing(provisioned, outbox) as log:
        await provisioned.session()
        publish(log, 1, 2_000)
        log.publish(SUBJECT, b"2001", trace={"traceparent": "00-1-2-01"})
        await eventually(lambda: log.published == 2_001)
    found = await stored(provisioned)
    assert [int(each.payload) for each in found] == list(range(1, 2_002))
    assert found[0].headers == {"Nats-Msg-Id": "test.k8s.0:1:1"}
    assert found[-1].headers == {"Nats-Msg-Id": "test.k8s.0:1:2001", "traceparent": "00-1-2-01"}
    assert (outbox.last_id, log.duplicates, log.refused, log.evicted) == (0, 0, 0, 0)


async def test_what_was_published_while_the_server_was_down_arrives_once_and_in_order(
    provisioned: Bus, nats: NatsServer, outbox: Outbox
) -> None:
    async with publishing(provisioned, outbox) as log:
        publish(log, 1, 1_000)
        await asyncio.sleep(0.01)  # some are stored, some on their way, some have not been sent
        nats.kill()
        publish(log, 1_001, 6_000)
        await eventually(lambda: not provisioned.is_connected)
        await eventually(lambda: log.spilled + log.published >= 6_000)
        await nats.start()
        await eventually(lambda: log.published == 6_000)
        publish(log, 6_001, 6_010)
        await eventually(lambda: log.published == 6_010)
        assert log.spilled == 0
    assert await numbers(provisioned) == list(range(1, 6_011))


async def test_a_server_killed_again_and_again_gets_each_message_once(
    provisioned: Bus, nats: NatsServer, outbox: Outbox
) -> None:
    async with publishing(provisioned, outbox) as log:
        for n in range(1, 6_001):
            publish(log, n, n)
            if n % 20 == 0:
                await asyncio.sleep(0.001)
            if n % 2_000 == 500:
                nats.kill()
            if n % 2_000 == 1_000:
                await nats.start()
        await eventually(lambda: log.published == 6_000, within_s=30)
    assert await numbers(provisioned) == list(range(1, 6_001))


async def test_nothing_overtakes_what_was_lost(provisioned: Bus, nats: NatsServer, outbox: Outbox) -> None:
    publisher = Publisher(provisioned)
    log = LogPublisher(provisioned, publisher, outbox, prefix="test.k8s.0", now_ns=time.time_ns)
    async with running(publisher.run(), log.run()):
        await publisher.ready()
        nats.pause()
        for _ in range(WINDOW - 10):  # so that a batch stops after ten messages, waiting for room
            await publisher.send("kgents.event.test.k8s.pod.shop.cart", b"{}", {}, lambda _: None)
        publish(log, 1, 100)
        await asyncio.sleep(0.1)
        nats.kill()  # these ten are lost
        await nats.start()
        await eventually(lambda: log.published == 100)
    assert await numbers(provisioned) == list(range(1, 101))


async def test_the_buffer_outlives_its_process(provisioned: Bus, nats: NatsServer, path: Path) -> None:
    nats.kill()
    await eventually(lambda: not provisioned.is_connected)
    with Outbox(path) as outbox:
        async with publishing(provisioned, outbox) as log:
            publish(log, 1, 300)
            await log.close(deadline_s=5)
        assert len(outbox) == 300
    with Outbox(path) as outbox:
        async with publishing(provisioned, outbox, now_s=lambda: 0.002) as log:
            assert log.spilled == 300
            publish(log, 301, 400)
            await nats.start()
            await eventually(lambda: log.published == 400)
            assert log.spilled == 0
    found = await stored(provisioned)
    assert [int(each.payload) for each in found] == list(range(1, 401))
    assert found[299].headers == {"Nats-Msg-Id": "test.k8s.0:1:300"}
    assert found[300].headers == {"Nats-Msg-Id": "test.k8s.0:2:301"}


async def test_the_oldest_are_evicted_when_the_disk_is_full(provisioned: Bus, nats: NatsServer, path: Path) -> None:
    nats.kill()
    await eventually(lambda: not provisioned.is_connected)
    with Outbox(path, max_bytes=50_000) as outbox:
        async with publishing(provisioned, outbox) as log:
            publish(log, 1, 3_000)
            await eventually(lambda: log.spilled + log.evicted == 3_000)
            assert outbox.bytes <= 50_000
            evicted = log.evicted
            assert 0 < evicted < 3_000
            await nats.start()
            await eventually(lambda: log.published == 3_000 - evicted)
    assert await numbers(provisioned) == list(range(evicted + 1, 3_001))


async def test_a_burst_beyond_memory_goes_by_way_of_the_disk(provisioned: Bus, outbox: Outbox) -> None:
    count = QUEUE_MESSAGES + 2_000
    async with publishing(provisioned, outbox) as log:
        await provisioned.session()
        publish(log, 1, count)
        assert log.spilled > 0
        await eventually(lambda: log.published == count, within_s=20)
        assert outbox.last_id == count
        assert log.spilled == 0
    assert await numbers(provisioned) == list(range(1, count + 1))


@pytest.mark.parametrize("over", [1, -20])  # without its headers, the second would fit
async def test_what_is_too_large_is_dropped_and_the_rest_passes(provisioned: Bus, outbox: Outbox, over: int) -> None:
    max_payload = (await provisioned.session()).max_payload_bytes
    async with publishing(provisioned, outbox) as log:
        publish(log, 1, 1)
        log.publish(SUBJECT, b"x" * (max_payload + over))
        publish(log, 2, 2)
        await eventually(lambda: log.published == 2)
        assert log.refused == 1
    assert await numbers(provisioned) == [1, 2]
    assert provisioned.reconnects == 0


async def test_a_missing_stream_is_waited_for(bus: Bus, outbox: Outbox) -> None:
    session = await bus.session()
    async with publishing(bus, outbox) as log:
        publish(log, 1, 50)
        await eventually(lambda: log.refused > 0)
        assert log.published == 0
        await apply(session, await plan(session, streams(StreamsConfig())))
        await eventually(lambda: log.published == 50)
    assert await numbers(bus) == list(range(1, 51))


async def test_closing_waits_for_acks(provisioned: Bus, outbox: Outbox) -> None:
    async with publishing(provisioned, outbox) as log:
        await provisioned.session()
        publish(log, 1, 1_000)
        await log.close(deadline_s=10)
        assert (log.published, log.spilled) == (1_000, 0)


async def test_closing_puts_on_disk_what_is_not_acked_in_time(
    provisioned: Bus, nats: NatsServer, outbox: Outbox
) -> None:
    async with publishing(provisioned, outbox) as log:
        await provisioned.session()
        publish(log, 1, 10)
        await eventually(lambda: log.published == 10)
        nats.pause()
        publish(log, 11, 1_000)
        await log.close(deadline_s=0.2)
        assert log.spilled == 990
        publish(log, 1_001, 1_001)
        await eventually(lambda: log.spilled == 991)
    nats.resume()
    async with publishing(provisioned, outbox, now_s=lambda: 0.002) as log:
        await eventually(lambda: log.published == 991)
        assert log.duplicates > 0  # those on their way were stored when the server went on
    assert await numbers(provisioned) == list(range(1, 1_002))


async def test_what_waited_says_for_how_long(provisioned: Bus, nats: NatsServer, path: Path) -> None:
    nats.kill()
    await eventually(lambda: not provisioned.is_connected)
    with Outbox(path) as outbox:
        async with publishing(provisioned, outbox, now_s=lambda: 1_000) as log:
            publish(log, 1, 2)
            await log.close(deadline_s=5)
    with Outbox(path) as outbox:
        async with publishing(provisioned, outbox, now_s=lambda: 1_600) as log:
            publish(log, 3, 3)
            await nats.start()
            await eventually(lambda: log.published == 3)
    assert [each.delay_s for each in await stored(provisioned)] == [600, 600, 0]


async def test_what_was_stored_without_an_ack_is_not_stored_again_however_long_ago(
    provisioned: Bus, nats: NatsServer, path: Path
) -> None:
    await forget_ids(provisioned, after_ns=200_000_000)
    with Outbox(path) as outbox:
        async with publishing(provisioned, outbox) as log:
            publish(log, 1, 10)
            await eventually(lambda: log.published == 10)
            nats.pause()
            publish(log, 11, 100)
            await log.close(deadline_s=0.2)
            assert log.spilled == 90
    nats.resume()

    async def are_stored() -> bool:
        return len(await numbers(provisioned)) > 10  # all that was on its way when the server was paused

    await eventually(are_stored)
    await pause(1)  # by now the server does not know their ids
    with Outbox(path) as outbox:
        async with publishing(provisioned, outbox, now_s=lambda: 0.002) as log:
            await eventually(lambda: log.published == 90)
            assert log.duplicates > 0
    assert await numbers(provisioned) == list(range(1, 101))


async def test_without_a_disk_memory_keeps_the_newest(provisioned: Bus, nats: NatsServer, outbox: Outbox) -> None:
    nats.kill()
    await eventually(lambda: not provisioned.is_connected)
    outbox.close()
    async with publishing(provisioned, outbox) as log:
        publish(log, 1, QUEUE_MESSAGES + 5)
        assert (log.spilled, log.evicted) == (0, 5)
        assert "closed" in log.fault
        await nats.start()
        await eventually(lambda: log.published == QUEUE_MESSAGES)
        await eventually(lambda: not log.fault)  # the file can be opened again
        publish(log, QUEUE_MESSAGES + 6, QUEUE_MESSAGES + 6)
        await eventually(lambda: log.published == QUEUE_MESSAGES + 1)
    assert await numbers(provisioned) == list(range(6, QUEUE_MESSAGES + 7))


async def test_a_backlog_leaves_room_in_the_window_for_state(
    provisioned: Bus, nats: NatsServer, outbox: Outbox
) -> None:
    publisher = Publisher(provisioned)
    log = LogPublisher(provisioned, publisher, outbox, prefix="test.k8s.0", now_ns=time.time_ns)
    nats.kill()
    await eventually(lambda: not provisioned.is_connected)
    publish(log, 1, 2 * WINDOW)
    await log.close(deadline_s=0)
    await nats.start()
    async with running(publisher.run()):
        await publisher.ready()
        nats.pause()
        async with running(log.run()):
            await pause(0.2)
            state = publisher.send("kgents.event.test.k8s.pod.shop.cart", b"{}", {}, lambda _: None)
            async with within(5):
                await state
    nats.resume()


async def forget_ids(bus: Bus, *, after_ns: int) -> None:
    """Let the server remember message ids for so long only: what it is after an outage that lasts longer."""
    session = await bus.session()
    config = (await session.api("STREAM.INFO.KGENTS_PULSE", {}, dict))["config"]
    await session.api("STREAM.UPDATE.KGENTS_PULSE", config | {"duplicate_window": after_ns}, dict)
