"""Several urls: a server that is dead, or worse, never keeps a program from one that answers, and is not passed over
in silence."""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from kgents_shared.bus import client
from kgents_shared.bus.client import HASTE_S, Bus
from kgents_shared.bus.config import NatsConfig, TlsConfig
from kgents_shared.contract.codec import META
from kgents_shared.contract.errors import BusTimeoutError, NoServerError
from kgents_shared.contract.meta import Heartbeat
from support.certificates import Certificates
from support.nats_server import NatsServer
from support.ports import free_port
from support.proxy import Proxy
from support.service_process import ServiceProcess
from support.streams import provision_streams
from support.waiting import MACHINE, eventually, is_in_time

FAILOVER_S = 3.0
CONNECT_TIMEOUT_S = 1.0
SLACK_S = 1.5
"""For what follows upon the timeout: the next connection, on a busy machine."""

INFO = b'INFO {"server_id":"X","server_name":"mute","version":"2.15.1","proto":1,"max_payload":1048576}\r\n'


def dead() -> str:
    return f"nats://127.0.0.1:{free_port()}"


@asynccontextmanager
async def mute(greeting: bytes = b"", context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Accepts every connection, and says no more than this; yields host and port."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        with suppress(OSError):
            while await reader.read(1024):
                pass
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def dropping() -> AsyncIterator[str]:
    """Drops every SYN, as a host that is switched off: its queue of connections is full; yields host and port."""
    with ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            client = sockets.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield f"127.0.0.1:{listener.getsockname()[1]}"


async def seconds_to(bus: Bus, server: str) -> float:
    """How long a bus takes until it is connected to the server of this name."""
    started = asyncio.get_running_loop().time()
    session = await bus.session(timeout_s=MACHINE.limit_s(20))
    assert session.server_name == server
    return asyncio.get_running_loop().time() - started


def failures(caplog: pytest.LogCaptureFixture, url: str = "") -> list[logging.LogRecord]:
    """The log's lines on attempts that failed, of one url or of all."""
    lines = [record for record in caplog.records if record.message == "nats_connection_failed"]
    return [record for record in lines if not url or vars(record)["url"] == url]


async def test_a_refused_url_is_left_for_the_next_at_once(server: NatsServer, caplog: pytest.LogCaptureFixture) -> None:
    first, second = dead(), dead()
    async with Bus(NatsConfig(url=f"{first},{second},{server.url}"), name="test") as bus:
        assert is_in_time(await seconds_to(bus, "test"), FAILOVER_S)
        assert bus.last_error == ""
    assert [vars(line)["url"] for line in failures(caplog)] == [first, second]
    assert "no program listens there" in vars(failures(caplog)[0])["error"]


Mute = Callable[[Certificates], AbstractAsyncContextManager[str]]
SILENCES: dict[str, tuple[str, Mute, str]] = {
    "accepts_only": ("nats", lambda _: mute(), "expected the first line of a NATS server within 1 s"),
    "greets_only": ("nats", lambda _: mute(INFO), "found a server that stopped answering"),
    "no_handshake": ("tls", lambda _: mute(INFO.replace(b"}", b',"tls_required":true}')), "stopped answering"),
    "no_websocket": ("ws", lambda _: mute(), "within 1 s"),
}


@pytest.mark.filterwarnings("ignore:parameter 'timeout' of type 'float':DeprecationWarning")  # nats-py, on ws://
@pytest.mark.parametrize("kind", SILENCES)
async def test_a_server_that_falls_silent_is_left_after_one_timeout(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    certificates = Certificates(tmp_path)
    scheme, silent, words = SILENCES[kind]
    tls = TlsConfig(ca_file=str(certificates.ca)) if scheme == "tls" else None
    config = certificates.server_config() if tls else ""
    async with NatsServer(tmp_path / "nats", config=config) as server, silent(certificates) as address:
        url = f"{scheme}://{address}"
        nats = NatsConfig(url=f"{url},{server.url}", tls=tls, connect_timeout_s=CONNECT_TIMEOUT_S)
        async with Bus(nats, name="test") as bus:
            took_s = await seconds_to(bus, "test")
            assert took_s >= CONNECT_TIMEOUT_S
            assert is_in_time(took_s, CONNECT_TIMEOUT_S + SLACK_S)
    assert words in vars(failures(caplog, url)[0])["error"]


@pytest.mark.parametrize("silent", [mute, dropping])
@pytest.mark.parametrize("count", [1, 3, 7])
async def test_silent_hosts_are_left_for_the_next_url_in_haste(
    server: NatsServer, silent: Callable[[], AbstractAsyncContextManager[str]], count: int
) -> None:
    async with silent() as address:
        urls = [*(f"nats://{address}/{number}" for number in range(count)), server.url]
        async with Bus(NatsConfig(url=",".join(urls)), name="test") as bus:
            assert is_in_time(await seconds_to(bus, "test"), FAILOVER_S)
            assert bus.passed_over.count(f"nats://{address}: ") == count


async def test_a_server_that_is_only_slow_is_waited_for_in_the_next_round(server: NatsServer) -> None:
    async with Proxy(server.port) as slow, mute() as address:
        slow.delay_s = HASTE_S + 0.5
        nats = NatsConfig(url=f"{slow.url},nats://{address}", connect_timeout_s=4 * HASTE_S)
        async with Bus(nats, name="test") as bus:
            await eventually(lambda: f"{slow.url}: expected the first line" in bus.last_error)
            assert (await bus.session(timeout_s=40)).server_name == "test"


async def test_a_url_that_was_passed_over_is_named_until_it_lets_us_in(
    tmp_path: Path, server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "RETRIED_S", 0.2)
    closed = 'authorization { token: "right" }'
    async with NatsServer(tmp_path / "closed", config=closed) as other:
        urls = f"{dead()},{other.url}/?token=wrong,{server.url}"
        async with Bus(NatsConfig(url=urls), name="test") as bus:
            session = await bus.session(timeout_s=10)
            first, second = bus.passed_over.split("; ", maxsplit=1)
            assert "no program listens there" in first
            assert second.startswith(f"{other.url}: the server")
            assert "wrong" not in second
            await other.stop()
            await eventually(lambda: bus.passed_over.count("no program listens there") == 2)
            other.reconfigure("")
            await other.start()
            await eventually(lambda: other.url not in bus.passed_over)
            assert first in bus.passed_over
            assert await bus.session() is session


async def test_a_silence_after_the_tls_handshake_is_left_after_one_timeout(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    tls = TlsConfig(ca_file=str(certificates.ca), handshake_first=True)
    config = certificates.server_config("handshake_first: true")
    async with (
        NatsServer(tmp_path / "nats", config=config) as server,
        mute(INFO, certificates.server_context()) as address,
    ):
        nats = NatsConfig(url=f"tls://{address},{server.url}", tls=tls, connect_timeout_s=CONNECT_TIMEOUT_S)
        async with Bus(nats, name="test") as bus:
            took_s = await seconds_to(bus, "test")
            assert took_s >= CONNECT_TIMEOUT_S
            assert is_in_time(took_s, CONNECT_TIMEOUT_S + SLACK_S)


async def test_the_error_names_the_cause_of_each_url(tmp_path: Path) -> None:
    first = dead()
    async with (
        NatsServer(tmp_path / "nats", config='authorization { token: "right" }') as closed,
        mute() as address,
    ):
        url = f"{first},{closed.url},nats://{address}"
        async with Bus(NatsConfig(url=url, connect_timeout_s=CONNECT_TIMEOUT_S), name="test") as bus:
            await eventually(lambda: set(bus._failures) == {first, closed.url, f"nats://{address}"})
            with pytest.raises(BusTimeoutError) as caught:
                await bus.session(timeout_s=0.1)
    causes = str(caught.value)
    assert not isinstance(caught.value, NoServerError)
    assert f"{first}: no program listens there" in causes
    assert f"{closed.url}: the server demands a login" in causes or f"{closed.url}: the server ended" in causes
    assert f"nats://{address}: expected the first line of a NATS server" in causes


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_only_where_no_program_listens_is_there_no_server(host: str) -> None:
    urls = [f"nats://{host}:{free_port()}", dead()]
    async with Bus(NatsConfig(url=",".join(urls)), name="test") as bus:
        await eventually(lambda: len(bus._failures) == len(urls))
        with pytest.raises(NoServerError):
            await bus.session(timeout_s=0.1)


async def test_dead_servers_are_logged_no_faster_than_the_backoff(caplog: pytest.LogCaptureFixture) -> None:
    started = asyncio.get_running_loop().time()
    async with Bus(NatsConfig(url=f"{dead()},{dead()}"), name="test"):
        await asyncio.sleep(2)
        await eventually(lambda: len(failures(caplog)) >= 4)
    more_s = asyncio.get_running_loop().time() - started - 2
    # Rounds begin after 0, 0.05, 0.15, 0.35, 0.75, 1.25, 1.75 s at the earliest, and then twice a second.
    assert len(failures(caplog)) <= 2 * (7 + 2 * more_s)


async def test_a_server_that_dies_is_left_for_the_other(tmp_path: Path, server: NatsServer) -> None:
    async with (
        NatsServer(tmp_path / "other", name="other") as other,
        Bus(NatsConfig(url=f"{server.url},{other.url}"), name="test") as bus,
    ):
        assert (await bus.session(timeout_s=10)).server_name == "test"
        server.kill()
        await eventually(lambda: not bus.is_connected)
        assert is_in_time(await seconds_to(bus, "other"), FAILOVER_S)


async def test_a_service_starts_though_its_first_url_is_dead(server: NatsServer, tmp_path: Path) -> None:
    async with Bus(NatsConfig(url=server.url), name="test") as bus:
        await provision_streams(bus)
        first = dead()
        reason = f"{first}: no program listens there"
        beats: list[Heartbeat] = []

        async def beat(message: Msg) -> None:
            if message.data and isinstance(found := META.decode(message.data, subject=message.subject), Heartbeat):
                beats.append(found)

        await (await bus.session()).subscribe("kgents.meta.>", beat)
        async with ServiceProcess("topology-builder", f"{first},{server.url}", tmp_path) as service:
            await eventually(lambda: any(each.state == "in_sync" and reason in each.reason for each in beats))
    assert service.log.read_text().count("nats_connection_failed") == 1
