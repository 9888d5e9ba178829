"""Consuming work that must not be lost: handled in order, acknowledged behind the handling, resumed at the last ack."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.consume import DurableConsumer, consume
from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.pull import BATCH, Delivery
from kgents_shared.contract.errors import MalformedMessageError
from support.nats_server import NatsServer
from support.proxy import Proxy
from support.running import eventually, running

SUBJECT = "kgents.pulse.test.k8s.pod.shop.cart"
DURABLE = DurableConsumer(stream="KGENTS_PULSE", name="worker", filters=("kgents.pulse.test.>",))

Handle = Callable[[Delivery], Awaitable[None]]


class Worker:
    """Notes what it handles; `before` may block, fail, or look around at each message."""

    def __init__(self, before: Callable[[int], Awaitable[None]] | None = None) -> None:
        self.handled: list[int] = []
        self.aside: list[tuple[int, str]] = []
        self._before = before

    async def handle(self, each: Delivery) -> None:
        number = int(each.payload)
        if self._before is not None:
            await self._before(number)
        self.handled.append(number)

    async def set_aside(self, each: Delivery, reason: str) -> None:
        self.aside.append((int(each.payload), reason))

    async def run(self, bus: Bus, durable: DurableConsumer = DURABLE) -> None:
        await consume(bus, durable, self.handle, set_aside=self.set_aside)


async def publish(bus: Bus, first: int, last: int) -> None:
    """Messages of these numbers; on a new server each number is its sequence in the stream."""
    publisher = Publisher(bus)
    stored = 0

    def count(_: object) -> None:
        nonlocal stored
        stored += 1

    async with running(publisher.run()):
        for number in range(first, last + 1):
            await publisher.send(SUBJECT, str(number).encode(), {}, count)
        await eventually(lambda: stored == last + 1 - first)


async def state(bus: Bus) -> dict[str, Any]:
    """What the server says of the consumer."""
    session = await bus.session(timeout_s=10)
    return await session.api(f"CONSUMER.INFO.{DURABLE.stream}.{DURABLE.name}", None, dict)


async def acked(bus: Bus) -> int:
    """The sequence up to which everything is acknowledged."""
    floor: int = (await state(bus))["ack_floor"]["stream_seq"]
    return floor


async def until_acked(bus: Bus, seq: int) -> None:
    async with asyncio.timeout(10):
        while await acked(bus) < seq:
            await asyncio.sleep(0.02)


def numbers(first: int, last: int) -> list[int]:
    return list(range(first, last + 1))


def assert_only_repeats_from_further_back(handled: list[int], last: int) -> None:
    """Nothing is missing, and wherever the order is broken, it goes on from an earlier message without a hole."""
    assert sorted(set(handled)) == numbers(1, last)
    highest = 0
    for previous, number in zip([0, *handled], handled, strict=False):
        assert number == previous + 1 or number <= previous, f"{number} came after {previous}"
        assert number <= highest + 1
        highest = max(highest, number)


@asynccontextmanager
async def blocked_at(bus: Bus, number: int) -> AsyncIterator[Worker]:
    """A worker that handles what lies before this message and never returns from it."""
    reached = asyncio.Event()

    async def block(found: int) -> None:
        if found == number:
            reached.set()
            await asyncio.Event().wait()

    worker = Worker(block)
    async with running(worker.run(bus)):
        async with asyncio.timeout(10):
            await reached.wait()
        yield worker


async def test_every_message_is_handled_once_and_in_order(provisioned: Bus) -> None:
    await publish(provisioned, 1, 1_200)
    worker = Worker()
    async with running(worker.run(provisioned)):
        await eventually(lambda: len(worker.handled) >= 1_200)
        await publish(provisioned, 1_201, 1_300)
        await eventually(lambda: len(worker.handled) >= 1_300)
        await until_acked(provisioned, 1_300)

    assert worker.handled == numbers(1, 1_300)


async def test_a_message_is_not_acknowledged_before_it_is_handled(provisioned: Bus) -> None:
    await publish(provisioned, 1, 1_200)
    async with blocked_at(provisioned, 700) as worker:
        await asyncio.sleep(0.2)
        floor = await acked(provisioned)

    assert worker.handled == numbers(1, 699)
    assert floor < 700


async def test_a_handler_that_crashes_gets_its_message_again_at_the_next_start(provisioned: Bus) -> None:
    await publish(provisioned, 1, 1_200)

    async def crash(number: int) -> None:
        if number == 700:
            raise RuntimeError("out of order")

    first = Worker(crash)
    with pytest.raises(RuntimeError, match="out of order"):
        async with asyncio.timeout(10):
            await first.run(provisioned)
    second = Worker()
    async with running(second.run(provisioned)):
        await eventually(lambda: 1_200 in second.handled)

    assert first.handled == numbers(1, 699)
    assert second.handled == numbers(second.handled[0], 1_200)
    assert second.handled[0] <= 700


async def test_a_restart_begins_behind_the_last_ack_and_not_with_what_is_newer(provisioned: Bus) -> None:
    await publish(provisioned, 1, 1_200)
    async with blocked_at(provisioned, 700):
        await asyncio.sleep(0.2)
        floor = await acked(provisioned)
    await publish(provisioned, 1_201, 1_300)
    worker = Worker()
    async with running(worker.run(provisioned)):
        await eventually(lambda: 1_300 in worker.handled)

    assert worker.handled == numbers(floor + 1, 1_300)


async def test_an_orderly_restart_repeats_nothing(provisioned: Bus) -> None:
    await publish(provisioned, 1, 100)
    first, second = Worker(), Worker()
    async with running(first.run(provisioned)):
        await eventually(lambda: 100 in first.handled)
        await until_acked(provisioned, 100)
    await publish(provisioned, 101, 200)
    async with running(second.run(provisioned)):
        await eventually(lambda: 200 in second.handled)

    assert second.handled == numbers(101, 200)


async def test_a_malformed_message_is_set_aside_and_passed_over(provisioned: Bus) -> None:
    await publish(provisioned, 1, 20)

    async def refuse(number: int) -> None:
        if number in (7, 20):
            raise MalformedMessageError(f"number {number} is not to my taste")

    worker, after = Worker(refuse), Worker()
    async with running(worker.run(provisioned)):
        await until_acked_eventually(provisioned, 20)
    await publish(provisioned, 21, 21)
    async with running(after.run(provisioned)):
        await eventually(lambda: 21 in after.handled)

    assert worker.handled == [number for number in numbers(1, 19) if number != 7]
    assert worker.aside == [(7, "number 7 is not to my taste"), (20, "number 20 is not to my taste")]
    assert (after.handled, after.aside) == ([21], [])


async def until_acked_eventually(bus: Bus, seq: int) -> None:
    """As `until_acked`, for a consumer that may not have been made yet."""
    await asyncio.sleep(0.3)
    await until_acked(bus, seq)


async def test_a_message_that_cannot_be_set_aside_is_not_passed_over(provisioned: Bus) -> None:
    await publish(provisioned, 1, 5)

    async def refuse(_: Delivery) -> None:
        raise MalformedMessageError("unreadable")

    async def broken(_: Delivery, reason: str) -> None:
        raise RuntimeError(f"nowhere to put it: {reason}")

    with pytest.raises(RuntimeError, match="nowhere to put it"):
        async with asyncio.timeout(10):
            await consume(provisioned, DURABLE, refuse, set_aside=broken)

    assert await acked(provisioned) == 0


async def test_killing_the_server_midway_loses_nothing_and_keeps_the_order(provisioned: Bus, nats: NatsServer) -> None:
    await publish(provisioned, 1, 2_000)

    async def linger(number: int) -> None:
        if number % 10 == 0:
            await asyncio.sleep(0.002)

    worker = Worker(linger)
    async with running(worker.run(provisioned)):
        for wanted in (600, 1_300):
            await eventually(lambda wanted=wanted: worker.handled[-1:] >= [wanted])  # type: ignore[misc]
            nats.kill()
            await nats.start()
        await eventually(lambda: 2_000 in worker.handled, within_s=20)

    assert_only_repeats_from_further_back(worker.handled, 2_000)
    assert len(worker.handled) <= 2_000 + 2 * 3 * BATCH  # what was on its way or not yet acknowledged


async def test_a_connection_lost_while_the_consumer_is_made_anew_does_not_begin_at_the_first_message(
    provisioned: Bus, nats: NatsServer
) -> None:
    await publish(provisioned, 1, 100)
    first, second = Worker(), Worker()
    async with running(first.run(provisioned)):
        await eventually(lambda: 100 in first.handled)
        await until_acked(provisioned, 100)
    await publish(provisioned, 101, 110)

    async with Proxy(nats.port) as proxy, Bus(NatsConfig(url=proxy.url), name="worker") as bus:
        broken = proxy.break_at(b"CONSUMER.CREATE")
        async with running(second.run(bus)):
            async with asyncio.timeout(10):
                await broken.wait()
            await eventually(lambda: 110 in second.handled)

    assert second.handled == numbers(101, 110)


async def test_a_slow_handler_holds_no_more_than_three_batches(provisioned: Bus) -> None:
    await publish(provisioned, 1, 6 * BATCH)
    ahead: list[int] = []

    async def look(number: int) -> None:
        if number % 50 == 0:
            await asyncio.sleep(0.02)
            ahead.append((await state(provisioned))["delivered"]["stream_seq"] - number)

    worker = Worker(look)
    async with running(worker.run(provisioned)):
        await eventually(lambda: len(worker.handled) == 6 * BATCH, within_s=20)

    assert BATCH / 2 < max(ahead) <= 3 * BATCH  # at most 1.5 in hand, and 1.5 asked for


async def test_a_handler_slower_than_the_ack_wait_is_given_nothing_twice(provisioned: Bus) -> None:
    await publish(provisioned, 1, 40)
    impatient = DurableConsumer(stream=DURABLE.stream, name=DURABLE.name, filters=DURABLE.filters, ack_wait_s=1.0)

    async def linger(_: int) -> None:
        await asyncio.sleep(0.08)

    worker = Worker(linger)
    async with running(worker.run(provisioned, impatient)):
        await eventually(lambda: 40 in worker.handled)
        await until_acked(provisioned, 40)
        await asyncio.sleep(1.0)

    assert worker.handled == numbers(1, 40)


async def test_a_consumer_that_is_deleted_under_its_reader_is_made_again_behind_the_last_ack(provisioned: Bus) -> None:
    await publish(provisioned, 1, 100)
    worker = Worker()
    async with running(worker.run(provisioned)):
        await eventually(lambda: 100 in worker.handled)
        await until_acked(provisioned, 100)
        session = await provisioned.session()
        await session.api(f"CONSUMER.DELETE.{DURABLE.stream}.{DURABLE.name}", None, dict)
        await publish(provisioned, 101, 110)
        await eventually(lambda: 110 in worker.handled)

    assert worker.handled == numbers(1, 110)
