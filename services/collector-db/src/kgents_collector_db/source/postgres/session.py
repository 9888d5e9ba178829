"""One login to a PostgreSQL server: PostgresTarget → a connection that cannot hurt, and queries with a deadline."""

import asyncio
import ssl
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
import msgspec

from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.mapping.postgres.sample import Identity
from kgents_collector_db.source.names import look_up
from kgents_collector_db.source.postgres import failure, queries
from kgents_collector_db.source.postgres.failure import UnreachableError
from kgents_collector_db.source.postgres.guard import GuardedProtocol
from kgents_collector_db.targets.postgres import PostgresTarget

SESSIONS_MAX: Final = 5
"""Of all collectors together at one server, for one user: whatever is configured, and however often we are started."""
GRACE_S: Final = 1.0
"""How much later than the server's own our deadline for a query is: then it is the server that does not answer."""

LIMITS: Final = {
    "application_name": queries.APPLICATION,
    "lock_timeout": "100",
    "idle_in_transaction_session_timeout": "10000",
    "idle_session_timeout": "0",
    "default_transaction_read_only": "on",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "search_path": "pg_catalog",
    "work_mem": "4096",
    "tcp_user_timeout": "5000",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""Given at login and not by SET, which anything may undo."""

asyncpg.protocol.Protocol = GuardedProtocol  # `connect` takes none from us: it looks there


class Session:
    """A connection and who is at its other end. Make one with `open_session`."""

    def __init__(self, connection: "asyncpg.Connection[Any]", target: PostgresTarget) -> None:
        self._connection = connection
        self._protocol: GuardedProtocol = connection._protocol  # noqa: SLF001 - ours, see below
        self._deadline_s = target.statement_timeout_s + GRACE_S
        self.queries = 0

    @property
    def server_pid(self) -> int:
        """Of our backend, as the login named it."""
        return int(self._connection.get_server_pid())

    @property
    def farewell(self) -> str:
        """The SQLSTATE with which the server ended the session by itself; empty if it did not say any."""
        return self._protocol.farewell

    @property
    def version(self) -> int:
        """The major version."""
        return int(self._connection.get_server_version().major)

    async def fetch(self, sql: str, *arguments: object) -> list[dict[str, Any]]:
        """The rows of one query.

        Raises:
            TimeoutError: the server did not even give up in time; the session is of no use any more.
            asyncpg.PostgresError, OSError: as asyncpg has them.
        """
        self.queries += 1
        async with asyncio.timeout(self._deadline_s):
            rows = await self._connection.fetch(sql, *arguments)
        return [dict(row) for row in rows]

    def drop(self) -> None:
        """Let go at once, without a word to a server that may not listen."""
        self._connection.terminate()

    async def aclose(self) -> None:
        """Say goodbye, and do not wait for long."""
        try:
            async with asyncio.timeout(GRACE_S):
                await self._connection.close()
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self.drop()


async def open_session(target: PostgresTarget) -> tuple[Session, Identity]:
    """Log in, and make sure that it is the server itself.

    Raises:
        UnreachableError: there is no login, and why.
    """
    try:
        async with asyncio.timeout(target.connect_timeout_s):
            connection = await _connect(target)
    except TimeoutError:
        raise UnreachableError(await failure.of_silence(target)) from None
    except _SecretError as error:
        raise UnreachableError(Unreachable("degraded", "wrong credentials", str(error))) from None
    except Exception as error:  # noqa: BLE001 - of a server that is none, asyncpg also raises AttributeError and the like
        raise UnreachableError(failure.of_connecting(error, target)) from None
    session = Session(connection, target)
    try:
        identity = await identify(session)
    except BaseException as error:
        session.drop()
        if isinstance(error, TimeoutError):
            raise UnreachableError(await failure.of_silence(target)) from None
        if isinstance(error, Exception):
            raise UnreachableError(failure.of_connecting(error, target)) from None
        raise
    if (objection := _objection(session, identity, target)) is not None:
        await session.aclose()
        raise UnreachableError(objection)
    return session, identity


async def identify(session: Session) -> Identity:
    """Ask who answers."""
    (row,) = await session.fetch(queries.identity(session.version))
    return msgspec.convert(row, Identity)


class _SecretError(Exception):
    """The password's file cannot be read."""


async def _connect(target: PostgresTarget) -> "asyncpg.Connection[Any]":
    try:
        password = await asyncio.to_thread(target.password.reveal) if target.password is not None else None
    except OSError as error:
        raise _SecretError(str(error)) from None
    await look_up(target.host)
    return await asyncpg.connect(
        host=target.host,
        port=target.port,
        user=target.user,
        password=password,
        database=target.database,
        ssl=_ssl(target),
        direct_tls=False,
        target_session_attrs="any",  # as are the two lines above: or the environment would have a say
        timeout=target.connect_timeout_s,
        server_settings={**LIMITS, "statement_timeout": str(round(target.statement_timeout_s * 1000))},
    )


def _ssl(target: PostgresTarget) -> ssl.SSLContext | str | bool:
    if target.host.startswith("/"):
        return False
    if target.tls == "verify-full":
        try:
            return ssl.create_default_context(cafile=target.tls_ca_file)
        except FileNotFoundError as error:
            raise ssl.SSLError(error.strerror) from None
    return target.tls


def _objection(session: Session, identity: Identity, target: PostgresTarget) -> Unreachable | None:
    """Why this session must not be used."""
    if identity.backend_pid != session.server_pid:  # the two numbers come from different servers
        return failure.pooler(target)
    if identity.own_sessions <= SESSIONS_MAX:
        return None
    text = f"expected at most {SESSIONS_MAX} sessions of collectors as {target.user} at {target.address}, found "
    return Unreachable("degraded", "own limit", f"{text}{identity.own_sessions}; stop the other collectors")
