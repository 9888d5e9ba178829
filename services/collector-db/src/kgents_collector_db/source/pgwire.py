"""The part of PostgreSQL's wire protocol that PgBouncer's admin console supports: login, and simple queries.

asyncpg cannot do this: it uses prepared statements, which the console rejects.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
import ssl
import struct
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, Self

from kgents_collector_db.source.dialling import PROBE_S, tls_context
from kgents_collector_db.targets.pgbouncer import PgbouncerTarget
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_shared.bus.deadline import Deadline

MESSAGE_BYTES_MAX: Final = 16 * 1024**2
"""Longest message: a row of the console has a few hundred bytes."""
ROWS_MAX: Final = 20_000
SCRAM_ITERATIONS_MAX: Final = 1_000_000
"""PostgreSQL's default is 4096. One million blocks the event loop for half a second; more is an attack."""

_PROTOCOL: Final = 196_608  # 3.0
_SSL_REQUEST: Final = 80_877_103
_SCRAM: Final = b"SCRAM-SHA-256"

Row = dict[str, str | None]


class RefusedError(Exception):
    """The server sent an error. `sqlstate` may be empty; `text` is the server's message."""

    def __init__(self, sqlstate: str, text: str) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate
        self.text = text


class ProtocolError(Exception):
    """The server does not follow the protocol."""


class SimpleConnection:
    """One connection. The caller sets a deadline for every call; after any exception the connection is unusable."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, host: str, port: int) -> Self:
        """Connect; over a unix socket if the host is a directory.

        Raises:
            OSError: connecting failed.
        """
        if host.startswith("/"):
            return cls(*await asyncio.open_unix_connection(f"{host.rstrip('/')}/.s.PGSQL.{port}"))
        return cls(*await asyncio.open_connection(host, port))

    async def offers_tls(self) -> bool:
        """Whether the server supports TLS. Must be the first request of the connection.

        Raises:
            ProtocolError: the answer is neither yes nor no.
        """
        self._writer.write(struct.pack("!ii", 8, _SSL_REQUEST))
        answer = await self._reader.read(2)
        if answer not in (b"S", b"N"):  # bytes after the yes would be taken for decrypted ones
            raise ProtocolError("neither yes nor no")
        return answer == b"S"

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Switch to TLS; only after `offers_tls` returned True."""
        await self._writer.start_tls(context, server_hostname=host)

    async def end(self, within_s: float) -> None:
        """Return when the server has ended the connection by itself, or after a time of silence.

        Raises:
            OSError: how it was ended; `ssl.SSLError` for an alert of TLS.
        """
        with suppress(TimeoutError):
            async with Deadline(within_s):
                await self._reader.read(1)

    async def login(self, user: str, password: str, database: str) -> None:
        """Log in with the method that the server requests: password, MD5 or SCRAM-SHA-256.

        Raises:
            RefusedError: the server refuses the login.
        """
        fields = {"user": user, "database": database, "application_name": "kgents-collector-db"}
        body = b"".join(f"{name}\0{value}\0".encode() for name, value in fields.items())
        self._writer.write(struct.pack("!ii", len(body) + 9, _PROTOCOL) + body + b"\0")
        scram = _Scram(password)
        while True:
            kind, body = await self._receive()
            if kind == b"Z":
                return
            if kind == b"R":
                self._prove(body, user, password, scram)

    def _prove(self, body: bytes, user: str, password: str, scram: "_Scram") -> None:
        """Answer one authentication request."""
        (demand,) = struct.unpack_from("!i", body)
        match demand:
            case 0:
                pass
            case 3:
                self._send(b"p", password.encode() + b"\0")
            case 5:
                self._send(b"p", _md5(user, password, body[4:8]) + b"\0")
            case 10 if _SCRAM in body[4:].split(b"\0"):
                first = scram.first()
                self._send(b"p", _SCRAM + b"\0" + struct.pack("!i", len(first)) + first)
            case 11:
                self._send(b"p", scram.final(body[4:]))
            case 12:
                scram.verify(body[4:])
            case _:
                raise ProtocolError("the server requests an unknown login method")

    async def query(self, text: str) -> list[Row]:
        """The rows of one statement; every value is a text.

        Raises:
            RefusedError: the server refuses it.
        """
        self._send(b"Q", text.encode() + b"\0")
        names: list[str] = []
        rows: list[Row] = []
        refusal: RefusedError | None = None
        while True:
            try:
                kind, body = await self._receive()
            except RefusedError as error:
                refusal = error  # ReadyForQuery follows it: read that first
                continue
            if kind == b"T":
                names = list(_columns(body))
            elif kind == b"D" and len(rows) < ROWS_MAX:
                rows.append(dict(zip(names, _values(body), strict=True)))
            elif kind == b"Z":
                if refusal is not None:
                    raise refusal
                return rows

    def close(self) -> None:
        """Close the connection after sending what is buffered."""
        self._writer.close()

    def drop(self) -> None:
        """Abort the connection at once."""
        self._writer.transport.abort()

    def _send(self, kind: bytes, body: bytes) -> None:
        self._writer.write(kind + struct.pack("!i", len(body) + 4) + body)

    async def _receive(self) -> tuple[bytes, bytes]:
        kind, length = struct.unpack("!ci", await self._reader.readexactly(5))
        if not 4 <= length <= MESSAGE_BYTES_MAX:
            raise ProtocolError("found a message of a length that PostgreSQL's protocol does not allow")
        body = await self._reader.readexactly(length - 4)
        if kind == b"E":
            fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
            raise RefusedError(fields.get(b"C", ""), fields.get(b"M", ""))
        return kind, body


async def tls_alert(target: PostgresTarget | PgbouncerTarget) -> ssl.SSLError | None:
    """The alert by which a server rejects our certificate, if that is why it closed a connection.

    With TLS 1.3 it comes after the handshake, and is lost if we have sent something by then: so this sends nothing.
    """
    if target.tls not in ("require", "verify-full") or target.host.startswith("/"):
        return None
    try:
        async with Deadline(PROBE_S):
            connection = await SimpleConnection.open(target.host, target.port)
            try:
                if await connection.offers_tls():
                    await connection.start_tls(tls_context(target), target.host)
                    await connection.end(PROBE_S)
            finally:
                connection.drop()
    except ssl.SSLError as error:
        return error
    except (OSError, EOFError, ProtocolError):
        pass
    return None


class _Scram:
    """RFC 5802 with SHA-256, without channel binding, as PostgreSQL uses it."""

    def __init__(self, password: str) -> None:
        self._password = unicodedata.normalize("NFKC", password).encode()
        self._nonce = secrets.token_urlsafe(18)
        self._server_signature = b""

    def first(self) -> bytes:
        return f"n,,{self._bare()}".encode()

    def final(self, challenge: bytes) -> bytes:
        parts = dict(part.split("=", 1) for part in challenge.decode().split(","))
        nonce, salt, iterations = parts["r"], base64.b64decode(parts["s"]), int(parts["i"])
        if not nonce.startswith(self._nonce):
            raise ProtocolError("the server answers another login attempt")
        if iterations > SCRAM_ITERATIONS_MAX:
            raise ProtocolError("the server requests a proof that takes too long to compute")
        unproven = f"c=biws,r={nonce}"
        signed = f"{self._bare()},{challenge.decode()},{unproven}".encode()
        salted = hashlib.pbkdf2_hmac("sha256", self._password, salt, iterations)
        client_key = _hmac(salted, b"Client Key")
        signature = _hmac(hashlib.sha256(client_key).digest(), signed)
        proof = bytes(left ^ right for left, right in zip(client_key, signature, strict=True))
        self._server_signature = _hmac(_hmac(salted, b"Server Key"), signed)
        return f"{unproven},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, message: bytes) -> None:
        if not hmac.compare_digest(message, b"v=" + base64.b64encode(self._server_signature)):
            raise ProtocolError("the server does not know our password, so it is an impostor")

    def _bare(self) -> str:
        return f"n=,r={self._nonce}"


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")


def _md5(user: str, password: str, salt: bytes) -> bytes:
    inner = hashlib.md5(password.encode() + user.encode()).hexdigest()  # noqa: S324 - the protocol's choice
    return b"md5" + hashlib.md5(inner.encode() + salt).hexdigest().encode()  # noqa: S324 - as above


def _columns(body: bytes) -> Iterator[str]:
    (count,), at = struct.unpack_from("!h", body), 2
    for _ in range(count):
        end = body.index(b"\0", at)
        yield body[at:end].decode()
        at = end + 19


def _values(body: bytes) -> Iterator[str | None]:
    (count,), at = struct.unpack_from("!h", body), 2
    for _ in range(count):
        (length,) = struct.unpack_from("!i", body, at)
        at += 4
        yield None if length < 0 else body[at : at + length].decode(errors="replace")
        at += max(length, 0)
