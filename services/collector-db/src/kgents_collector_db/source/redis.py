"""A Redis or Valkey server → RedisSample: one connection, a deadline for each poll, no writing or blocking command.

The client library's connection is used without its pool: the pool retries, so that it takes 14 s to detect a frozen
server, and sends commands at login that old servers count as errors.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from msgspec import structs
from redis.asyncio.connection import Connection, SSLConnection
from redis.exceptions import BusyLoadingError, NoPermissionError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.mapping.redis.info import Info
from kgents_collector_db.mapping.redis.sample import RedisSample
from kgents_collector_db.source import Tier, redis_answer, redis_failure
from kgents_collector_db.source.dialling import root_of, speaks_tls, tls_context
from kgents_collector_db.source.names import resolved_within
from kgents_collector_db.source.redis_failure import UnreadableSecretError
from kgents_collector_db.targets.redis import RedisTarget
from kgents_shared.bus.config import Secret
from kgents_shared.bus.deadline import Deadline
from kgents_shared.runtime.clock import Clock

CLIENT_NAME: Final = "kgents-collector-db"
"""Our name in CLIENT LIST."""
SLOWLOG_ENTRIES: Final = 32
"""Entries read from the slow log to find the slowest command; their number is computed from ids."""

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
        except (RedisError, OSError, ValueError, UnreadableSecretError) as error:
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
        async with Deadline(self._target.timeout_s) as deadline:
            sent_s = self._clock.monotonic_s()
            pong = (await self._ask(connection, [("PING",)]))[0]
            is_known = not (deadline.was_late or isinstance(pong, RedisError))
            ping_s = self._clock.monotonic_s() - sent_s if is_known else None
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
            "socket_timeout": None,  # deadlines are ours
            "socket_connect_timeout": None,
            "driver_info": None,
            "redis_connect_func": self._introduce,
        }
        made = Connection(**options) if target.tls == "disable" else SSLConnection(**options, **_tls(target))
        self._connection = made
        await resolved_within(target.host, target.connect_timeout_s)
        async with Deadline(target.connect_timeout_s):
            await made.connect()  # type: ignore[no-untyped-call]
        return made

    async def _introduce(self, connection: Connection) -> None:
        """Log in, and set our name for CLIENT LIST."""
        self._is_reached = True
        await connection.on_connect()
        self._own_commands += self._target.password is not None
        await self._ask(connection, [("CLIENT", "SETNAME", CLIENT_NAME)])

    async def _unreachable(self, error: Exception) -> Unreachable:
        """Why the poll failed."""
        target, text = self._target, str(error).lower()
        has_tls = target.tls != "disable"
        if type(error) is RedisConnectionError and self._is_reached and not has_tls:
            text += " " + await redis_failure.greeting(target)
            if isinstance(root_of(error), OSError) and await speaks_tls(target.host, target.port):
                return redis_failure.of_other_protocol(target, "speaks TLS only")
        if has_tls and isinstance(root_of(error), ConnectionError | RedisConnectionError):
            error = await redis_failure.tls_alert(target) or error
        if has_tls and isinstance(error, TimeoutError) and await redis_failure.speaks_plainly(target):
            return redis_failure.of_other_protocol(target, "speaks none on this port")
        return redis_failure.unreachable(error, text, target, is_reached=self._is_reached)


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
        raise UnreadableSecretError from error


def _tls(target: RedisTarget) -> dict[str, Any]:
    """Options of the client library.

    Raises:
        ssl.SSLError: a file cannot be used.
    """
    tls_context(target)
    is_verified = target.tls == "verify-full"
    return {
        "ssl_cert_reqs": "required" if is_verified else "none",
        "ssl_check_hostname": is_verified,
        "ssl_ca_certs": target.tls_ca_file,
        "ssl_certfile": target.tls_cert_file,
        "ssl_keyfile": target.tls_key_file,
    }


def _is_lost(error: Exception) -> bool:
    """Whether the connection was closed: no timeout, and no refusal, for which the library has subclasses."""
    return type(error) is RedisConnectionError or (isinstance(error, OSError) and not isinstance(error, TimeoutError))


def _kind(error: BaseException) -> str:
    return type(error).__name__
