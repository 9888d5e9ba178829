"""TLS that the configuration demands: the connection is encrypted, or the server learns nothing, not even our name."""

import asyncio
import gc
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig, Secret, TlsConfig
from kgents_shared.contract.errors import BusTimeoutError
from support.certificates import Certificates
from support.nats_server import NatsServer
from support.ports import free_port
from support.proxy import CHUNK_BYTES, Proxy
from support.waiting import eventually

PASSWORD = "correct-horse-battery"
LOGIN = f'authorization {{ user: kgents, password: "{PASSWORD}" }}\n'
PATIENCE_S = 10.0
DEMANDED = "expected a server with TLS, found one that offers none, and sent it nothing; try: a `tls` block"

Start = Callable[[str], AbstractAsyncContextManager[NatsServer]]


class Wiretap(Proxy):
    """A proxy that keeps every byte; `strip` also takes TLS out of the server's offer, as an attacker would."""

    def __init__(self, port: int, *, strip: bool = False) -> None:
        super().__init__(port)
        self.seen = bytearray()
        self._strip = strip

    @property
    def address(self) -> str:
        return self.url.removeprefix("nats://")

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while chunk := await source.read(CHUNK_BYTES):
            self.seen += chunk
            sink.write(chunk.replace(b'"tls_required":true', b'"tls_required":false') if self._strip else chunk)
            await sink.drain()
        sink.close()


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return lambda config: NatsServer(tmp_path / "nats", config=config)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
def tls(certificates: Certificates) -> TlsConfig:
    return TlsConfig(ca_file=str(certificates.ca))


def login(url: str, tls: TlsConfig | None = None, **more: float) -> NatsConfig:
    return NatsConfig(url=url, user="kgents", password=Secret(PASSWORD), tls=tls, **more)  # type: ignore[arg-type]


async def refusal(config: NatsConfig) -> str:
    """What the bus says when it has tried every url and has no session."""
    async with Bus(config, name="test") as bus:
        await eventually(lambda: all(url in bus.last_error for url in config.urls))
        with pytest.raises(BusTimeoutError) as caught:
            await bus.session(timeout_s=0.1)
    return str(caught.value)


async def is_encrypted(config: NatsConfig) -> bool:
    async with Bus(config, name="test") as bus:
        session = await bus.session(timeout_s=PATIENCE_S)
        await session.request("$SYS.REQ.USER.INFO")
        return session._client.is_encrypted


def websocket(certificates: Certificates | None = None) -> tuple[int, str]:
    """A port, and the server's part for WebSocket on it."""
    port = free_port()
    tls = certificates.server_config() if certificates else "no_tls: true"
    return port, f"websocket {{ listen: 127.0.0.1:{port}\n{tls} }}\n"


async def test_what_is_sent_is_seen_by_a_wiretap_where_no_tls_is_demanded(start: Start) -> None:
    """Else the other tests here would prove nothing."""
    async with start(LOGIN) as server, Wiretap(server.port) as tap:
        assert not await is_encrypted(login(tap.url))
    assert PASSWORD.encode() in tap.seen
    assert b"CONNECT" in tap.seen


@pytest.mark.parametrize("way", ["tls_url", "tls_settings", "both"])
async def test_a_server_without_tls_is_refused_before_anything_is_sent(start: Start, tls: TlsConfig, way: str) -> None:
    async with start(LOGIN) as server, Wiretap(server.port) as tap:
        url = tap.url if way == "tls_settings" else f"tls://{tap.address}"
        words = await refusal(login(url, None if way == "tls_url" else tls))

    assert DEMANDED in words
    assert b"INFO" in tap.seen
    assert b"CONNECT" not in tap.seen
    assert PASSWORD.encode() not in tap.seen
    assert PASSWORD not in words


@pytest.mark.parametrize("scheme", ["tls", "nats"])
async def test_an_offer_of_tls_that_is_stripped_on_the_way_is_refused(
    start: Start, certificates: Certificates, tls: TlsConfig, scheme: str
) -> None:
    async with start(LOGIN + certificates.server_config()) as server, Wiretap(server.port, strip=True) as tap:
        words = await refusal(login(f"{scheme}://{tap.address}", tls))

    assert DEMANDED in words
    assert b"INFO" in tap.seen
    assert b"CONNECT" not in tap.seen


async def test_tls_before_the_first_line_is_demanded_too(start: Start, certificates: Certificates) -> None:
    tls = TlsConfig(ca_file=str(certificates.ca), handshake_first=True)
    async with start(LOGIN) as server, Wiretap(server.port) as tap:
        words = await refusal(login(tap.url, tls))

    assert "expected a TLS handshake" in words
    assert b"CONNECT" not in tap.seen


async def test_tls_is_taken_from_a_server_that_only_offers_it(
    start: Start, certificates: Certificates, tls: TlsConfig
) -> None:
    offer = LOGIN + certificates.server_config() + "\nallow_non_tls: true\n"
    async with start(offer) as server, Wiretap(server.port) as tap:
        assert await is_encrypted(login(f"tls://{tap.address}", tls))
    assert b'"tls_available":true' in tap.seen
    assert PASSWORD.encode() not in tap.seen


async def test_a_tls_url_connects(start: Start, certificates: Certificates, tls: TlsConfig) -> None:
    async with start(LOGIN + certificates.server_config()) as server, Wiretap(server.port) as tap:
        assert await is_encrypted(login(f"tls://{tap.address}", tls))
    assert PASSWORD.encode() not in tap.seen


async def test_a_certificate_for_another_host_is_refused(
    start: Start, certificates: Certificates, tls: TlsConfig
) -> None:
    certificates.issue("server", "nats.example")
    async with start(LOGIN + certificates.server_config()) as server:
        words = await refusal(login(f"tls://127.0.0.1:{server.port}", tls))

    assert "certificate verify failed: ip address mismatch" in words.lower()
    assert "nats.tls.ca_file" in words


async def test_a_certificate_that_has_expired_is_refused(
    start: Start, certificates: Certificates, tls: TlsConfig
) -> None:
    certificates.issue("server", "127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    async with start(LOGIN + certificates.server_config()) as server:
        words = await refusal(login(f"tls://127.0.0.1:{server.port}", tls))

    assert "certificate has expired" in words


# A list of servers


async def test_one_tls_url_in_a_list_demands_tls_of_the_others(start: Start) -> None:
    async with start(LOGIN) as server, Wiretap(server.port) as tap:
        words = await refusal(login(f"tls://127.0.0.1:{free_port()},{tap.url}"))

    assert DEMANDED in words
    assert b"CONNECT" not in tap.seen


async def test_a_server_without_tls_is_left_for_one_with_tls(
    tmp_path: Path, certificates: Certificates, tls: TlsConfig
) -> None:
    async with AsyncExitStack() as stack:
        plain = await stack.enter_async_context(NatsServer(tmp_path / "plain", config=LOGIN))
        tap = await stack.enter_async_context(Wiretap(plain.port))
        safe = NatsServer(tmp_path / "safe", config=LOGIN + certificates.server_config())
        await stack.enter_async_context(safe)
        assert await is_encrypted(login(f"{tap.url},tls://127.0.0.1:{safe.port}", tls))
        assert b"CONNECT" not in tap.seen


# WebSocket

of_nats_py = pytest.mark.filterwarnings("ignore:parameter 'timeout' of type 'float':DeprecationWarning")
"""How nats-py calls aiohttp."""


@of_nats_py
async def test_a_wss_url_connects(start: Start, certificates: Certificates, tls: TlsConfig) -> None:
    port, config = websocket(certificates)
    async with start(LOGIN + config), Wiretap(port) as tap:
        assert await is_encrypted(login(f"wss://{tap.address}", tls))
    assert PASSWORD.encode() not in tap.seen


@of_nats_py
async def test_a_websocket_without_tls_is_refused(start: Start, tls: TlsConfig) -> None:
    port, config = websocket()
    async with start(LOGIN + config), Wiretap(port) as tap:
        words = await refusal(login(f"wss://{tap.address}", tls))

    assert "no connection to NATS" in words
    assert b"CONNECT" not in tap.seen


@of_nats_py
async def test_a_websocket_whose_certificate_is_for_another_host_is_refused(
    start: Start, certificates: Certificates, tls: TlsConfig
) -> None:
    certificates.issue("server", "nats.example")
    port, config = websocket(certificates)
    async with start(LOGIN + config):
        words = await refusal(login(f"wss://127.0.0.1:{port}", tls))

    assert "certificate verify failed" in words


@of_nats_py
async def test_a_websocket_that_sends_us_on_to_one_without_tls_is_refused(
    start: Start, certificates: Certificates, tls: TlsConfig
) -> None:
    port, config = websocket()
    async with start(LOGIN + config), Wiretap(port) as tap:

        async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            head = f"HTTP/1.1 302 Found\r\nLocation: http://{tap.address}/\r\nContent-Length: 0\r\n\r\n"
            writer.write(head.encode())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(redirect, "127.0.0.1", 0, ssl=certificates.server_context())
        async with server:
            words = await refusal(login(f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}", tls))

    assert DEMANDED in words
    assert b"CONNECT" not in tap.seen


async def test_a_bus_that_ends_while_it_closes_a_websocket_leaves_nothing_open(
    start: Start, certificates: Certificates, tls: TlsConfig
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    server = await asyncio.start_server(refuse, "127.0.0.1", 0, ssl=certificates.server_context())
    config = login(f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}", tls)
    async with server, Bus(config, name="test") as bus:
        while not bus.last_error:
            await asyncio.sleep(0)  # it ends at the very moment at which the attempt has failed
    gc.collect()  # an HTTP client that was not closed warns when it is collected, which fails this test
