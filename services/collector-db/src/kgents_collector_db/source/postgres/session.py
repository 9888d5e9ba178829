"""One login to a PostgreSQL server: PostgresTarget → a read-only connection with limits, and a deadline per query."""

import asyncio
import ssl
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
import msgspec

from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.mapping.postgres.sample import Identity
from kgents_collector_db.source.dialling import tls_context
from kgents_collector_db.source.names import resolved
from kgents_collector_db.source.postgres import failure, queries
from kgents_collector_db.source.postgres.failure import UnreachableError
from kgents_collector_db.source.postgres.guard import GuardedProtocol
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_shared.bus.deadline import Deadline

SESSIONS_MAX: Final = 5
"""Most sessions at one server for one user, of all collectors together."""
GRACE_S: Final = 1.0
"""Our deadline is later than `statement_timeout` by this: if it passes, the server does not even cancel a query."""

LIMITS: Final = {
    "application_name": queries.APPLICATION,
    "lock_timeout": "100",
    "idle_in_transaction_session_timeout": "10000",
    "idle_session_timeout": "0",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "search_path": "pg_catalog",
    "work_mem": "4096",
    "tcp_user_timeout": "5000",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""Session settings, given at login: a SET would be undone by RESET. Read-only is set later, see `open_session`."""

READ_ONLY: Final = "set default_transaction_read_only = on"

asyncpg.protocol.Protocol = GuardedProtocol  # `connect` has no parameter for it and reads it there


class Session:
    """A connection whose server was identified. Made by `open_session`."""

    def __init__(self, connection: "asyncpg.Connection[Any]", target: PostgresTarget) -> None:
        self._connection = connection
        self._protocol: GuardedProtocol = connection._protocol  # noqa: SLF001 - ours, see below
        self._deadline_s = target.statement_timeout_s + GRACE_S
        self.queries = 0

    @property
    def server_pid(self) -> int:
        """Process id of our backend, as sent at login."""
        return int(self._connection.get_server_pid())

    @property
    def farewell(self) -> str:
        """The SQLSTATE with which the server ended the session by itself; empty if it sent none."""
        return self._protocol.farewell

    @property
    def version(self) -> int:
        """The major version."""
        return int(self._connection.get_server_version().major)

    async def fetch(self, sql: str, *arguments: object) -> list[dict[str, Any]]:
        """The rows of one query.

        Raises:
            TimeoutError: the server neither answered nor cancelled in time; the session is unusable.
            asyncpg.PostgresError, OSError: as raised by asyncpg.
        """
        self.queries += 1
        async with Deadline(self._deadline_s):
            rows = await self._connection.fetch(sql, *arguments)
        return [dict(row) for row in rows]

    def drop(self) -> None:
        """Abort the connection at once, without a message to the server."""
        self._connection.terminate()

    async def aclose(self) -> None:
        """Log out; abort if that takes longer than GRACE_S."""
        try:
            async with Deadline(GRACE_S):
                await self._connection.close()
        except failure.FAULTS:
            self.drop()


async def open_session(target: PostgresTarget) -> tuple[Session, Identity]:
    """Log in, and verify that the server itself answers.

    Raises:
        UnreachableError: the login failed; it has the cause.
    """
    try:
        async with Deadline(target.connect_timeout_s):
            connection = await _connect(target)
    except TimeoutError:
        raise UnreachableError(await failure.of_silence(target)) from None
    except _SecretError as error:
        raise UnreachableError(Unreachable("degraded", "wrong credentials", str(error))) from None
    except Exception as error:  # noqa: BLE001 - if another program answers, asyncpg raises AttributeError and the like
        unreachable = failure.of_connecting(await failure.with_alert(error, target), target)
        raise UnreachableError(unreachable, may_be_stopping=failure.may_be_stopping(error)) from None
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
    await _make_read_only(session, target)
    return session, identity


async def _make_read_only(session: Session, target: PostgresTarget) -> None:
    """Keep the session from writing. Not given at login, since it would hide whether clients may write.

    And not before it is known that no pooler is between: there the setting would reach other clients.
    """
    try:
        await session.fetch(READ_ONLY)
    except TimeoutError:
        session.drop()
        raise UnreachableError(await failure.of_silence(target)) from None
    except failure.FAULTS as error:
        session.drop()
        raise UnreachableError(failure.of_connecting(error, target)) from None


async def identify(session: Session) -> Identity:
    """Read the identity of the server and the session."""
    (row,) = await session.fetch(queries.identity(session.version))
    return msgspec.convert(row, Identity)


class _SecretError(Exception):
    """The password file cannot be read."""


async def _connect(target: PostgresTarget) -> "asyncpg.Connection[Any]":
    try:
        password = await asyncio.to_thread(target.password.reveal) if target.password is not None else None
    except OSError as error:
        raise _SecretError(str(error)) from None
    await resolved(target.host)
    return await asyncpg.connect(
        host=target.host,
        port=target.port,
        user=target.user,
        password=password,
        database=target.database,
        ssl=_ssl(target),
        direct_tls=False,
        target_session_attrs="any",  # as the two lines above: keeps the environment from changing it
        timeout=None,  # the deadline is the caller's
        server_settings={**LIMITS, "statement_timeout": str(round(target.statement_timeout_s * 1000))},
    )


def _ssl(target: PostgresTarget) -> ssl.SSLContext | str | bool:
    if target.host.startswith("/"):
        return False
    if target.tls == "verify-full" or target.tls_cert_file is not None:
        return tls_context(target)
    return target.tls


def _objection(session: Session, identity: Identity, target: PostgresTarget) -> Unreachable | None:
    """Why this session must not be used."""
    if identity.backend_pid != session.server_pid:  # login and query reached different backends
        return failure.pooler(target)
    if identity.own_sessions <= SESSIONS_MAX:
        return None
    text = f"expected at most {SESSIONS_MAX} sessions of collectors as {target.user} at {target.address}, found "
    return Unreachable("degraded", "own limit", f"{text}{identity.own_sessions}; stop the other collectors")
