"""Another server answers at the address of a database: each poll reports it in time, without hanging or crashing."""

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from kgents_collector_db.source import Source
from kgents_collector_db.source.pgbouncer import PgbouncerSource
from kgents_collector_db.source.pgwire import ProtocolError, SimpleConnection
from kgents_collector_db.source.postgres import PostgresSource
from kgents_collector_db.source.qdrant import QdrantSource
from kgents_collector_db.source.redis import RedisSource
from kgents_collector_db.targets.pgbouncer import PgbouncerTarget
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_collector_db.targets.qdrant import QdrantTarget
from kgents_collector_db.targets.redis import RedisTarget
from kgents_shared.bus.config import Secret
from kgents_shared.runtime.clock import SystemClock
from support.waiting import within

PASSWORD = Secret("hunter2")
LOGGED_IN = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"
ANSWERS = {
    "silence and close": b"",
    "zeros": bytes(100),
    "MySQL": b"J\0\0\0\n8.0.33\0\x08\0\0\0abcdefgh\0\xff\xf7\xff\x02\0\xff\xdf\x15" + bytes(10) + b"abc\0caching\0",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "a login without rows": LOGGED_IN + b"C\0\0\0\x09SHOW\0Z\0\0\0\x05I" * 6,
    "a login and half a row": LOGGED_IN + b"T\0\0\0\x06\0\x01D\0\0\0\x06\0\x05",
    "huge lengths": b"*-5\r\n$5000000000\r\n" + b"\xff" * 40,
}
CLOCK = SystemClock()
SHORT: dict[str, Any] = {"connect_timeout_s": 0.5}
SOURCES: dict[str, Callable[[int], Source[Any]]] = {
    "postgres": lambda port: PostgresSource(
        PostgresTarget(port=port, tls="disable", statement_timeout_s=1, **SHORT), CLOCK
    ),
    "postgres, TLS preferred": lambda port: PostgresSource(
        PostgresTarget(port=port, statement_timeout_s=1, **SHORT), CLOCK
    ),
    "pgbouncer": lambda port: PgbouncerSource(PgbouncerTarget(port=port, tls="disable", timeout_s=0.5, **SHORT), CLOCK),
    "redis": lambda port: RedisSource(RedisTarget(port=port, timeout_s=0.5, **SHORT), CLOCK),
    "qdrant": lambda port: QdrantSource(QdrantTarget(url=f"http://127.0.0.1:{port}", timeout_s=0.5, **SHORT), CLOCK),
}


@asynccontextmanager
async def other_server(answer: bytes) -> AsyncIterator[int]:
    """The port of a server that sends this answer at once, and again after each message."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(answer)
            while answer and await reader.read(65536):
                writer.write(answer)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("answer", ANSWERS)
async def test_another_server_is_reported_in_time(answer: str, name: str) -> None:
    async with other_server(ANSWERS[answer]) as port, aclosing(SOURCES[name](port)) as source, within(5):
        sample = await source.read({"fast", "medium", "slow"})
    assert sample.unreachable is not None
    assert sample.unreachable.phase in ("failing", "degraded")
    assert "SSH-2" not in sample.unreachable.text


async def test_plain_bytes_after_a_yes_to_tls_are_not_taken_for_decrypted_ones() -> None:
    async with other_server(b"S" + LOGGED_IN) as port:
        connection = await SimpleConnection.open("127.0.0.1", port)
        try:
            with pytest.raises(ProtocolError):
                await connection.offers_tls()
        finally:
            connection.drop()


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def scram(heard: bytes) -> bytes:
    """A login by SCRAM, with a proof that takes hours to compute."""
    nonce = re.search(rb"r=([^,]+)\Z", heard)
    if nonce is None:
        return message(b"R", struct.pack("!i", 10) + b"SCRAM-SHA-256\0\0")
    return message(b"R", struct.pack("!i", 11) + b"r=" + nonce[1] + b"x,s=c2FsdA==,i=2000000000")


TRICKS: dict[str, Callable[[bytes], bytes]] = {
    "zeros": lambda _: bytes(100),
    "zeros after the login": lambda _: LOGGED_IN + bytes(100),
    "no version": lambda _: LOGGED_IN,
    "half a ready": lambda _: LOGGED_IN[:9] + b"Z\0\0\0\4",
    "an unknown type of message": lambda _: message(b"J", b"8.0.33"),
    "a message of two gigabytes": lambda _: b"S\x7f\xff\xff\xff" + bytes(100),
    "hours of SCRAM": scram,
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("pieces", [1, 1000])
@pytest.mark.parametrize("kind", ["postgres", "postgres, TLS preferred", "pgbouncer"])
@pytest.mark.parametrize("trick", TRICKS)
async def test_a_peer_that_breaks_the_protocol_later_blocks_no_poll(trick: str, kind: str, pieces: int) -> None:
    """It follows the protocol up to the TLS request; then it sends its bytes at once, or one by one."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while heard := await reader.read(65536):
                answer = b"N" if heard == struct.pack("!ii", 8, 80877103) else TRICKS[trick](heard)
                step = max(1, len(answer) // pieces)
                for at in range(0, len(answer), step):
                    writer.write(answer[at : at + step])
                    await asyncio.sleep(0)
        except OSError:
            pass
        finally:
            writer.close()

    settings: dict[str, Any] = {"password": PASSWORD, "connect_timeout_s": 0.5}
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        settings["port"] = server.sockets[0].getsockname()[1]
        source: Source[Any]
        if kind == "pgbouncer":
            source = PgbouncerSource(PgbouncerTarget(timeout_s=0.5, **settings), CLOCK)
        else:
            tls: Any = "prefer" if "TLS" in kind else "disable"
            source = PostgresSource(PostgresTarget(tls=tls, statement_timeout_s=1, **settings), CLOCK)
        async with aclosing(source), within(3):
            sample = await source.read({"fast"})
    assert sample.unreachable is not None
    assert sample.unreachable.phase == "failing"
    assert "hunter2" not in sample.unreachable.text
