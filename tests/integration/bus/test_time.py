"""The time that a reader keeps: the server's, and never ahead of what was read."""

from contextlib import aclosing

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.consume import Batch, follow
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import encode
from support.build import make_entity, subject_of
from support.nats_server import NatsServer
from support.proxy import Proxy
from support.running import running
from support.streams import keep_all, stored
from support.waiting import eventually, pause, stays

STREAM = "KGENTS_ENTITY"
FILTERS = [subjects.pattern("entity")]
SECOND_NS = 1_000_000_000


class Reader:
    """Reads in the background, and keeps each batch."""

    def __init__(self, bus: Bus) -> None:
        self.batches: list[Batch] = []
        self._bus = bus

    async def run(self) -> None:
        async with aclosing(follow(self._bus, STREAM, FILTERS, keeps_time=True)) as batches:
            async for batch in batches:
                self.batches.append(batch)

    @property
    def now_ns(self) -> int:
        return self.batches[-1].now_ns if self.batches else 0


async def write(bus: Bus, *numbers: int) -> None:
    session = await bus.session(timeout_s=10)
    for number in numbers:
        await session.request(subject_of(make_entity("a")), encode(make_entity("a", status=f"s{number}")))


async def server_ns(bus: Bus) -> int:
    return (await stream_info(await bus.session(timeout_s=10), STREAM)).now_ns


async def test_time_goes_on_while_nothing_is_stored(provisioned: Bus) -> None:
    reader = Reader(provisioned)
    async with running(reader.run()):
        await eventually(lambda: reader.now_ns)
        begun_ns = await server_ns(provisioned)
        await eventually(lambda: reader.now_ns > begun_ns + 2 * SECOND_NS)
        assert reader.now_ns <= await server_ns(provisioned)


async def test_time_stands_still_while_nothing_comes_through(provisioned: Bus, nats: NatsServer) -> None:
    async with Proxy(nats.port) as proxy, Bus(NatsConfig(url=proxy.url), name="behind") as behind:
        reader = Reader(behind)
        async with running(reader.run()):
            await eventually(lambda: reader.now_ns)
            proxy.stall()
            await write(provisioned, 0)
            stored_ns = (await stored(provisioned, STREAM))[0].time_ns
            await stays(lambda: reader.now_ns <= stored_ns, for_s=8)
            proxy.flow()
            await eventually(lambda: reader.now_ns >= stored_ns + 8 * SECOND_NS)


@pytest.mark.timeout(120)
async def test_what_was_stored_before_a_time_is_read_before_it(provisioned: Bus, nats: NatsServer) -> None:
    """Whatever the connection does."""
    await keep_all(provisioned, STREAM)
    async with Proxy(nats.port) as proxy, Bus(NatsConfig(url=proxy.url), name="behind") as behind:
        reader = Reader(behind)
        async with running(reader.run()):
            await eventually(lambda: reader.now_ns)
            for round_ in range(4):
                await write(provisioned, *range(100 * round_, 100 * round_ + 50))
                proxy.stall()
                await write(provisioned, *range(100 * round_ + 50, 100 * round_ + 100))
                await pause(2.5)
                if round_ % 2:
                    proxy.cut()
                proxy.flow()
                await pause(1)
            begun_ns = await server_ns(provisioned)
            await eventually(lambda: reader.now_ns > begun_ns)
        everything = await stored(provisioned, STREAM)

    read = 0
    for batch in reader.batches:
        read += len(batch.deliveries)
        assert sum(each.time_ns <= batch.now_ns for each in everything) <= read
    assert read == len(everything) == 400
