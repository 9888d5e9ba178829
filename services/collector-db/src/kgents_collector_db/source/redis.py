"""A Redis or Valkey server → RedisSample: one connection, a deadline for each poll, no writing or blocking command.

The client library's connection is used without its pool: the pool retries, so that it takes 14 s to detect a frozen
server, and sends commands at login that old servers count as errors.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from msgspec import structs
from redis.asyncio.connection import Connection, SSLConnection
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.mapping.redis.info import Info
from kgents_collector_db.mapping.redis.sample import RedisSample
from kgents_collector_db.source import Tier, redis_answer
from kgents_collector_db.source.names import look_up
from kgents_collector_db.targets.redis import RedisTarget
from kgents_shared.bus.config import Secret
from kgents_shared.runtime.clock import Clock

CLIENT_NAME: Final = "kgents-collector-db"
"""Our name in CLIENT LIST."""
SLOWLOG_ENTRIES: Final = 32
"""Entries read from the slow log to find the slowest command; their number is computed from ids."""
_GREETING_S: Final = 0.5
"""Longest wait for the line by which a server rejects a new client."""

_Section = tuple[str, tuple[str, ...], Callable[[Any], object]]
"""Field of the sample, command, parser of its answer."""

_ALWAYS: Final[tuple[_Section, ...]] = (
    ("slow", ("SLOWLOG", "GET", str(SLOWLOG_ENTRIES)), redis_answer.slow_commands),
    ("histograms", ("LATENCY", "HISTOGRAM"), redis_answer.histograms),
    ("spikes", ("LATENCY", "LATEST"), redis_answer.spikes),
)
_CLUSTER: Final[tuple[_Section, ...]] = (
    ("cluster", ("CLUSTER", "INFO"), redis_answer.info),
    ("nodes", ("CLUSTER", "NODES"), redis_answer.nodes),
)
_SINCE: Final = {"histograms": (7, 0)}
"""Field → first version that has its command."""


class RedisSource:
    """One server, sentinel or cluster node."""

    def __init__(self, target: RedisTarget, clock: Clock) -> None:
        self._target = target
        self._clock = clock
        self._connection: Connection | None = None
        self._is_reached = False
        self._own_commands = 0

    async def aclose(self) -> None:
        """Close the connection without waiting for the server."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def read(self, tiers: Collection[Tier]) -> RedisSample:
        """Poll every section, whatever the tiers: none is costly. Failures are in the sample."""
        started_s = self._clock.monotonic_s()
        sample = RedisSample(
            at=self._clock.now(),
            address=self._target.address,
            memory_limit_bytes=self._target.memory_limit_bytes,
        )
        found: dict[str, Any] = {}
        try:
            found = await self._poll_over_a_live_connection()
        except (RedisError, OSError, ValueError, _UnreadableSecretError) as error:
            found = {"unreachable": await self._unreachable(error)}
            await self.aclose()
        return structs.replace(sample, **found, poll_s=self._clock.monotonic_s() - started_s)

    async def _poll_over_a_live_connection(self) -> dict[str, Any]:
        """Poll; once more if the kept connection was closed since the last poll, by a restart or for being idle."""
        is_kept = self._connection is not None
        try:
            return await self._poll()
        except (RedisConnectionError, OSError) as error:
            if not (is_kept and _is_lost(error)):
                raise
            await self.aclose()
            return await self._poll()

    async def _poll(self) -> dict[str, Any]:
        self._is_reached = False
        connection = await self._connected()
        async with asyncio.timeout(self._target.timeout_s):
            sent_s = self._clock.monotonic_s()
            pong = (await self._ask(connection, [("PING",)]))[0]
            ping_s = None if isinstance(pong, RedisError) else self._clock.monotonic_s() - sent_s
            own_commands = self._own_commands
            answer = (await self._ask(connection, [("INFO", "all")]))[0]
            if isinstance(answer, RedisError):
                raise answer
            info = redis_answer.info(answer)
            found: dict[str, Any] = {
                "info": info,
                "info_at_s": self._clock.monotonic_s(),
                "own_commands": own_commands,
                "ping_s": ping_s,
            }
            return found | await self._sections(connection, _sections(info))

    async def _sections(self, connection: Connection, sections: Sequence[_Section]) -> dict[str, Any]:
        """Read the sections that INFO lacks; one that is refused is left out, with a fault."""
        found: dict[str, Any] = {}
        faults: list[str] = []
        answers = await self._ask(connection, [command for _, command, _ in sections])
        for (field, command, read), answer in zip(sections, answers, strict=True):
            try:
                if isinstance(answer, RedisError):
                    raise answer
                found[field] = read(answer)
            except BusyLoadingError:
                continue  # it is starting: the phase shows it
            except NoPermissionError:
                right = "+" + "|".join(command[:2]).lower()
                faults.append(f"{self._target.address}: {' '.join(command[:2])} is not allowed; grant {right}")
            except (RedisError, ValueError, LookupError, TypeError) as error:
                faults.append(f"{self._target.address}: {' '.join(command[:2])} was not understood ({_kind(error)})")
        return {**found, "faults": tuple(faults)}

    async def _ask(self, connection: Connection, commands: Sequence[tuple[str, ...]]) -> list[Any]:
        """Send commands together; returns their answers in order, an error as RedisError."""
        answers: list[Any] = []
        await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        for _ in commands:
            try:
                answers.append(await connection.read_response())
                self._own_commands += 1  # the server does not count rejected commands either
            except (ResponseError, BusyLoadingError) as error:
                answers.append(error)
        return answers

    async def _connected(self) -> Connection:
        connection = self._connection
        if connection is not None and connection.is_connected:
            self._is_reached = True
            return connection
        target = self._target
        password = await _revealed(target.password)
        options: dict[str, Any] = {
            "host": target.host,
            "port": target.port,
            "username": target.user or None,
            "password": password,
            "protocol": 2,  # supported by every version and by sentinels
            "socket_timeout": target.timeout_s,
            "socket_connect_timeout": target.connect_timeout_s,
            "driver_info": None,
            "redis_connect_func": self._introduce,
        }
        made = Connection(**options) if target.tls == "disable" else SSLConnection(**options, **_tls(target))
        self._connection = made
        async with asyncio.timeout(target.connect_timeout_s):
            await look_up(target.host)
            await made.connect()  # type: ignore[no-untyped-call]
        return made

    async def _introduce(self, connection: Connection) -> None:
        """Log in, and set our name for CLIENT LIST."""
        self._is_reached = True
        await connection.on_connect()
        self._own_commands += self._target.password is not None
        await self._ask(connection, [("CLIENT", "SETNAME", CLIENT_NAME)])

    async def _unreachable(self, error: Exception) -> Unreachable:
        """Why the poll failed. Never quotes the server, as its text may repeat what it was sent."""
        text = str(error).lower()
        if type(error) is RedisConnectionError and self._is_reached and self._target.tls == "disable":
            text += await self._refusal()
        return _cause(error, text, self._target, is_reached=self._is_reached)

    async def _refusal(self) -> str:
        """The line by which a full or protected server rejects a new client.

        It may be lost if the server closes the connection while we send. So connect once more, without sending.
        """
        try:
            async with asyncio.timeout(_GREETING_S):
                reader, writer = await asyncio.open_connection(self._target.host, self._target.port)
                try:
                    return " " + (await reader.readline()).decode("utf-8", "replace").lower()
                finally:
                    writer.transport.abort()
        except (OSError, ValueError):
            return ""


def _sections(info: Info) -> list[_Section]:
    if info.mode == "sentinel":
        return []
    sections = [*_ALWAYS, *(_CLUSTER if info.flag("cluster_enabled") else ())]
    major, minor = (int(part) if part.isdigit() else 0 for part in (info.text("redis_version") + ".0").split(".")[:2])
    return [section for section in sections if (major, minor) >= _SINCE.get(section[0], (0, 0))]


async def _revealed(secret: Secret | None) -> str | None:
    try:
        return None if secret is None else await asyncio.to_thread(secret.reveal)
    except OSError as error:
        raise _UnreadableSecretError from error


def _tls(target: RedisTarget) -> dict[str, Any]:
    is_verified = target.tls == "verify-full"
    return {
        "ssl_cert_reqs": "required" if is_verified else "none",
        "ssl_check_hostname": is_verified,
        "ssl_ca_certs": target.tls_ca_file,
    }


_REFUSALS: Final = (
    ("max number of clients", "overloaded", "saturated", "it has reached maxclients; raise it"),
    ("protected mode", "degraded", "missing privilege", "it is in protected mode; give it a password, or bind it"),
    ("busy running a script", "overloaded", "busy script", "a script runs and blocks all others; SCRIPT KILL ends it"),
)
"""Part of the server's text → phase, cause, advice."""


def _cause(error: Exception, server_text: str, target: RedisTarget, *, is_reached: bool) -> Unreachable:
    where = target.address
    for sign, phase, cause, advice in _REFUSALS:
        if sign in server_text:
            return Unreachable(phase, cause, f"{where} rejects us: {advice}.")
    if isinstance(error, AuthenticationError | _UnreadableSecretError):
        text = f"{where} refuses our login; check `user`, `password` and the server's ACL."
        if isinstance(error, _UnreadableSecretError):
            text = f"The password file for {where} cannot be read; check its path and permissions."
        return Unreachable("degraded", "wrong credentials", text)
    if isinstance(error, NoPermissionError):
        return Unreachable("degraded", "missing privilege", f"{where} does not allow INFO; grant +info.")
    if isinstance(error, BusyLoadingError):
        return Unreachable("starting", "starting", f"{where} is loading its data.")
    if isinstance(error, TimeoutError | RedisTimeoutError):
        return _silent(target, is_reached=is_reached)
    return _broken(error, server_text, where)


def _is_lost(error: Exception) -> bool:
    """Whether the connection was closed: no timeout, and no refusal, for which the library has subclasses."""
    return type(error) is RedisConnectionError or (isinstance(error, OSError) and not isinstance(error, TimeoutError))


def _silent(target: RedisTarget, *, is_reached: bool) -> Unreachable:
    where = target.address
    if is_reached:
        text = f"{where} accepted the connection and did not answer within {target.timeout_s:g} s; is it stopped?"
        return Unreachable("failing", "frozen", text)
    text = f"{where} could not be reached within {target.connect_timeout_s:g} s; check `host` and the network."
    return Unreachable("failing", "unreachable", text)


def _broken(error: Exception, server_text: str, where: str) -> Unreachable:
    root: BaseException = error
    while (deeper := root.__cause__ or root.__context__) is not None:
        root = deeper
    if isinstance(root, ConnectionRefusedError) or f"errno {errno.ECONNREFUSED}" in server_text:
        return Unreachable("failing", "refused", f"{where} refused the connection; is the server running there?")
    if isinstance(root, ssl.SSLError):
        return Unreachable("degraded", "tls", f"{where}: the TLS handshake failed; check its certificate and `tls`.")
    if isinstance(root, socket.gaierror):
        return Unreachable("failing", "unreachable", f"{where}: the name does not resolve; check `host` and DNS.")
    return Unreachable(
        "failing", "unreachable", f"{where} closed the connection ({_kind(root)}); check `port`, `tls` and its log."
    )


class _UnreadableSecretError(Exception):
    """The password file cannot be read."""


def _kind(error: BaseException) -> str:
    return type(error).__name__
