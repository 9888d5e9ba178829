"""Every way a connection to NATS ends: the bus comes back by itself, and a table on it loses and repeats nothing."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from math import ceil
from pathlib import Path

import nats.errors
import pytest
from nats.aio.client import Client

from kgents_shared.bus import client, publish, pull
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig, Secret
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.state_table import StateTable
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY
from kgents_shared.contract.entity import Entity
from support.build import make_entity, subject_of
from support.nats_login import Operator, reload, replace
from support.nats_server import NatsServer
from support.proxy import Proxy
from support.running import running
from support.streams import provision_streams
from support.waiting import MACHINE, eventually, within

STREAM = "KGENTS_ENTITY"
FILTERS = [subjects.pattern("entity", cluster="test", source="k8s")]
PING_INTERVAL_S = 1.0
NOTICED_WITHIN_S = 2 * PING_INTERVAL_S + 0.5
LIVES_S = 3
"""A login that expires while a test runs, and not before it has begun."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that waits for a silent server waits a tenth of its usual time."""
    monkeypatch.setattr(client, "PING_INTERVAL_S", MACHINE.limit_s(PING_INTERVAL_S))
    monkeypatch.setattr(client, "BACKOFF_MAX_S", 0.5)
    monkeypatch.setattr(publish, "ACK_TIMEOUT_S", MACHINE.limit_s(1.0))
    monkeypatch.setattr(pull, "HEARTBEAT_S", MACHINE.limit_s(0.5))


class Pair:
    """A writer and a follower of one table on one bus, and the names of all rows put: each row once."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.publisher = Publisher(bus)
        self.writer: StateTable[Entity] = StateTable(bus, ENTITY, STREAM, FILTERS, publisher=self.publisher)
        self.reader: StateView[Entity] = StateView(bus, ENTITY, STREAM, FILTERS)
        self.put_names: list[str] = []
        self.received: list[str] = []
        self.seqs: list[int] = []
        self.marks = 0

    def put(self, word: str, count: int = 50) -> None:
        """So many new rows, named after a word."""
        for number in range(count):
            entity = make_entity(f"{word}-{number}")
            self.writer.put(subject_of(entity), entity)
            self.put_names.append(entity.ref.name)

    async def settle(self, within_s: float = 20.0) -> None:
        """Everything is published and read."""
        async with within(within_s):
            await self.writer.flush()
        await eventually(lambda: set(self.received) >= set(self.put_names), within_s)

    async def follow(self) -> None:
        async with aclosing(self.reader.follow()) as news:
            async for changes in news:
                self.marks += changes.caught_up
                for change in changes.changes:
                    self.received.append(change.subject.rpartition(".")[2])
                    self.seqs.append(change.seq)

    async def check(self) -> None:
        """Nothing was lost, and nothing repeated: not to the follower, and not in the stream."""
        await self.settle()
        assert sorted(self.received) == sorted(self.put_names)
        assert self.seqs == sorted(set(self.seqs))
        assert self.marks == 1
        assert {subject: row.message for subject, row in self.reader.rows.items()} == {
            subject: row.message for subject, row in self.writer.rows.items()
        }
        info = await stream_info(await self.bus.session(timeout_s=MACHINE.limit_s(5)), STREAM)
        assert info.last_seq == len(self.put_names)


@asynccontextmanager
async def paired(config: NatsConfig) -> AsyncIterator[Pair]:
    """A pair that works, on a bus of its own; at the end it is checked."""
    async with Bus(config, name="test") as bus:
        await provision_streams(bus)
        pair = Pair(bus)
        async with running(pair.publisher.run(), pair.follow()):
            await pair.writer.load()
            async with running(pair.writer.run()):
                pair.put("before")
                await pair.settle()
                yield pair
                pair.put("after")
                await pair.check()


@pytest.fixture
async def pair(server: NatsServer, impatient: None) -> AsyncIterator[Pair]:
    async with paired(NatsConfig(url=server.url)) as pair:
        yield pair


@pytest.fixture
async def proxy(server: NatsServer) -> AsyncIterator[Proxy]:
    async with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
async def far_pair(proxy: Proxy, impatient: None) -> AsyncIterator[Pair]:
    """A pair with a network between it and the server."""
    async with paired(NatsConfig(url=proxy.url)) as pair:
        yield pair


async def until_lost(bus: Bus, within_s: float = NOTICED_WITHIN_S) -> None:
    """Wait for the end of the session."""
    await eventually(lambda: not bus.is_connected, within_s)


async def until_back(bus: Bus) -> None:
    await bus.session(timeout_s=MACHINE.limit_s(10))


async def until_failing(bus: Bus, words: str) -> None:
    await eventually(lambda: words in bus.last_error.lower(), within_s=10)


# The server goes


async def test_kill_and_restart(pair: Pair, server: NatsServer) -> None:
    pair.put("during")
    server.kill()
    pair.put("meanwhile")
    await until_lost(pair.bus)
    await server.start()
    await until_back(pair.bus)


async def test_an_orderly_stop_and_restart(pair: Pair, server: NatsServer) -> None:
    pair.put("during")
    await server.stop()
    pair.put("meanwhile")
    await until_lost(pair.bus)
    await server.start()
    await until_back(pair.bus)


async def test_a_lame_duck(tmp_path: Path, impatient: None) -> None:
    config = 'lame_duck_duration: "30s"\nlame_duck_grace_period: "1s"'
    async with NatsServer(tmp_path / "duck", config=config) as server, paired(NatsConfig(url=server.url)) as pair:
        os.kill(server.pid, signal.SIGUSR2)
        pair.put("during")
        await until_lost(pair.bus, within_s=10)
        pair.put("meanwhile")
        await server.stop()
        await server.start()
        await until_back(pair.bus)


async def test_a_slow_server_of_usual_patience(server: NatsServer) -> None:
    async with paired(NatsConfig(url=server.url)) as pair:
        pair.put("during")
        server.pause()
        pair.put("meanwhile")
        await asyncio.sleep(8)
        server.resume()
        await until_back(pair.bus)


async def test_no_row_is_lost_when_a_slow_server_is_dropped_and_connected_again(pair: Pair, server: NatsServer) -> None:
    server.pause()
    pair.put("during")
    await until_lost(pair.bus)
    await asyncio.sleep(5)
    server.resume()
    await until_back(pair.bus)


# The server does not want us


def users(*names: str) -> str:
    return (
        "authorization { users: [" + ", ".join(f'{{ user: {name}, password: "{name}-pw" }}' for name in names) + "] }"
    )


async def test_a_user_removed_and_restored(tmp_path: Path, impatient: None) -> None:
    async with (
        NatsServer(tmp_path / "users", config=users("kgents", "other")) as server,
        paired(NatsConfig(url=server.url, user="kgents", password=Secret("kgents-pw"))) as pair,
    ):
        await reload(server, users("other"))
        pair.put("during")
        await until_lost(pair.bus)
        await until_failing(pair.bus, "authorization violation")
        await reload(server, users("kgents", "other"))
        await until_back(pair.bus)


async def test_an_expired_login_is_replaced(tmp_path: Path, impatient: None) -> None:
    operator, creds = Operator(), tmp_path / "user.creds"
    async with NatsServer(tmp_path / "jwt", config=operator.server_config()) as server, AsyncExitStack() as stack:
        creds.write_text(operator.creds(lives_s=LIVES_S * ceil(MACHINE.slowness)))
        pair = await stack.enter_async_context(paired(NatsConfig(url=server.url, credentials_file=str(creds))))
        await until_lost(pair.bus, within_s=2 * LIVES_S)
        pair.put("during")
        await until_failing(pair.bus, "authorization violation")
        replace(creds, operator.creds())
        await until_back(pair.bus)


async def test_a_login_replaced_before_it_expires_is_one_short_gap(tmp_path: Path, impatient: None) -> None:
    operator, creds = Operator(), tmp_path / "user.creds"
    async with NatsServer(tmp_path / "jwt", config=operator.server_config()) as server, AsyncExitStack() as stack:
        creds.write_text(operator.creds(lives_s=LIVES_S * ceil(MACHINE.slowness)))
        pair = await stack.enter_async_context(paired(NatsConfig(url=server.url, credentials_file=str(creds))))
        replace(creds, operator.creds())
        await until_lost(pair.bus, within_s=2 * LIVES_S)
        pair.put("during")
        await pair.bus.session(timeout_s=MACHINE.limit_s(1.5))


async def test_too_many_connections_and_room_again(tmp_path: Path, impatient: None) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(NatsServer(tmp_path / "full", config="max_connections: 2"))
        proxy = await stack.enter_async_context(Proxy(server.port))
        pair = await stack.enter_async_context(paired(NatsConfig(url=proxy.url)))
        first = await occupy(server)
        stack.push_async_callback(first.close)
        proxy.refuse()
        pair.put("during")
        await until_lost(pair.bus)
        second = await occupy(server)
        stack.push_async_callback(second.close)
        proxy.flow()
        await until_failing(pair.bus, "maximum connections exceeded")
        await first.close()
        await until_back(pair.bus)
        await second.close()


async def occupy(server: NatsServer) -> Client:
    """Another client, which takes a place for itself as soon as there is one."""

    async def connected() -> Client | None:
        other = Client()
        try:
            await other.connect(server.url, allow_reconnect=False, error_cb=ignore)
        except (nats.errors.Error, OSError):
            await other.close()
            return None
        return other

    return await eventually(connected)


async def ignore(_: Exception) -> None:
    """What `occupy` expects."""


# The network


async def test_a_black_hole_is_noticed_and_left(far_pair: Pair, proxy: Proxy) -> None:
    proxy.stall()
    far_pair.put("during")
    await until_lost(far_pair.bus)
    far_pair.put("meanwhile")
    await asyncio.sleep(1)
    proxy.flow()  # what was sent into it arrives now, behind the back of the next connection
    await until_back(far_pair.bus)


async def test_a_black_hole_that_ends_before_it_is_noticed(far_pair: Pair, proxy: Proxy) -> None:
    proxy.stall()
    far_pair.put("during")
    await asyncio.sleep(0.7 * PING_INTERVAL_S)
    proxy.flow()


async def test_a_connection_cut_again_and_again(far_pair: Pair, proxy: Proxy) -> None:
    for round_ in range(5):
        far_pair.put(f"during-{round_}")
        await asyncio.sleep(0.02 * round_)
        proxy.cut()
        await asyncio.sleep(0.2)
    await until_back(far_pair.bus)


@pytest.mark.parametrize("words", [b"HPUB ", b'"seq":', b"\r\nMSG ", b"$JS.ACK", b"NATS/1.0"])
async def test_a_connection_that_ends_in_the_middle_of_a_message(far_pair: Pair, proxy: Proxy, words: bytes) -> None:
    broken = proxy.break_at(words)
    far_pair.put("during", 200)
    async with within(10):
        await broken.wait()
    await until_back(far_pair.bus)


@pytest.mark.parametrize("words", [b"INFO ", b"CONNECT ", b"PONG\r\n"])
async def test_a_connection_that_ends_while_it_is_made(far_pair: Pair, proxy: Proxy, words: bytes) -> None:
    proxy.refuse()
    await until_lost(far_pair.bus)
    broken = proxy.break_at(words)
    far_pair.put("during")
    proxy.flow()
    async with within(10):
        await broken.wait()
    await until_back(far_pair.bus)


# Our own client


@pytest.mark.parametrize("task", ["_reading_task", "_flusher_task"])
async def test_a_task_of_the_client_that_died_silently_is_noticed(pair: Pair, task: str) -> None:
    session = await pair.bus.session()
    getattr(session._client, task).cancel()
    pair.put("during")

    await until_lost(pair.bus)
    await until_back(pair.bus)
    assert await pair.bus.session() is not session


async def test_a_reader_that_stumbles_is_noticed(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    session = await pair.bus.session()

    async def stumble(*_: object) -> None:
        raise LookupError("the client's own fault")

    monkeypatch.setattr(session._client._ps, "parse", stumble)
    pair.put("during")

    await until_lost(pair.bus)
    await until_back(pair.bus)


async def test_a_bus_that_is_closed_while_the_server_is_away_ends_at_once(server: NatsServer) -> None:
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(Bus(NatsConfig(url=server.url), name="test"))
        await until_back(bus)
        server.kill()
        await until_lost(bus)
        async with within(2):
            await stack.aclose()


async def test_a_bus_that_is_closed_in_a_black_hole_ends_soon(proxy: Proxy) -> None:
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(Bus(NatsConfig(url=proxy.url), name="test"))
        await until_back(bus)
        proxy.stall()
        async with within(2):
            await stack.aclose()
