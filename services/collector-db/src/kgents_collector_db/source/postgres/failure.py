"""Exceptions of asyncpg and the socket → Unreachable."""

import asyncio
import ssl
from typing import Final

import asyncpg  # type: ignore[import-untyped]
from msgspec import structs

from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.source.dialling import is_refused, no_tls, of_this_machine, of_tls, root_of, unresolved
from kgents_collector_db.source.names import resolved
from kgents_collector_db.source.pgwire import tls_alert
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_shared.bus.deadline import Deadline

PROBE_S: Final = 1.0
"""Enough for a TCP handshake with a reachable host."""

_CLIENT: Final = (
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # also of a query that follows an error without a question, as a pooler sends
    OSError,
)
FAULTS: Final = (asyncpg.PostgresError, *_CLIENT)
"""What a server, its connection, or what is between, raise; a TimeoutError is an OSError."""
_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    *_CLIENT,
)

_CONNECTION: Final = frozenset({asyncpg.PostgresConnectionError, asyncpg.ConnectionDoesNotExistError})
"""What asyncpg raises without a message of the server."""


_STOPPING: Final = "shutting down"
_STARTING: Final = ("starting up", "accepting connections", "in recovery mode")
"""Parts of the English messages of SQLSTATE 57P03; `accepting connections` follows `not` or `not yet`."""


class UnreachableError(Exception):
    """The poll failed as a whole."""

    def __init__(self, unreachable: Unreachable, *, may_be_stopping: bool = False) -> None:
        super().__init__(unreachable.text)
        self.unreachable = unreachable
        self.may_be_stopping = may_be_stopping
        """The server accepts no connections for now, and its message is not English: is it starting or stopping?"""


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone, rather than one query refused."""
    return isinstance(error, _LOST)


async def with_alert(error: Exception, target: PostgresTarget) -> Exception:
    """The error, or why the server closed the connection if it rejects our certificate."""
    is_closed = isinstance(error, OSError) or type(error) in _CONNECTION
    return (await tls_alert(target) if is_closed and not isinstance(error, TimeoutError) else None) or error


def of_connecting(error: Exception, target: PostgresTarget) -> Unreachable:
    """Why connecting failed. For a timeout see `of_silence`."""
    if isinstance(error, asyncpg.PostgresError) and type(error) not in _CONNECTION:
        return _of_server(error, target)
    if isinstance(root := root_of(error), ssl.SSLError):
        return of_tls(root, target)
    if (ours := of_this_machine(error, target.host, target.address)) is not None:
        return ours
    is_absent = isinstance(error, OSError) and (isinstance(error, FileNotFoundError) or is_refused(error))
    match error:
        case ConnectionResetError() | BrokenPipeError():
            why = "it closes connections at once"
        case OSError() if is_absent:
            why = "nothing listens"
        case ConnectionError(strerror=None) if target.tls in ("require", "verify-full"):  # asyncpg's own
            return no_tls("that the server does not speak it", target)
        case OSError() if error.strerror or not isinstance(error, ConnectionError):
            found = error.strerror or "none of its addresses within reach"
            return _unreachable(target, f"{found}; check the network between us")
        case _:
            why = f"it does not speak its protocol ({type(error).__name__})"
    return structs.replace(refused(target, why), closes=not is_absent)


def _unreachable(target: PostgresTarget, found: str) -> Unreachable:
    return Unreachable("failing", "unreachable", f"expected to reach {target.address}, found {found}")


def may_be_stopping(error: Exception) -> bool:
    """Whether the server refuses connections for now, with a message that is not English."""
    text = str(error)
    return isinstance(error, asyncpg.CannotConnectNowError) and not any(
        part in text for part in (_STOPPING, *_STARTING)
    )


def stopping(target: PostgresTarget) -> Unreachable:
    """The server is shutting down."""
    return refused(target, "it is shutting down")


def refused(target: PostgresTarget, why: str) -> Unreachable:
    """No PostgreSQL server serves at this address."""
    text = f"expected a PostgreSQL server at {target.address}, found that {why}; start it, or correct host and port"
    return Unreachable("failing", "refused", text)


def pooler(target: PostgresTarget) -> Unreachable:
    """The target is a pooler: its answers may come from several sessions."""
    text = (
        f"expected PostgreSQL itself at {target.address}, found a connection pooler; name the server's own address, "
        "and the pooler as a target of `pgbouncer`"
    )
    return Unreachable("degraded", "pooler", text)


def _of_server(error: asyncpg.PostgresError, target: PostgresTarget) -> Unreachable:
    """By the SQLSTATE that the server sent."""
    where, code = target.address, getattr(error, "sqlstate", None) or "none"
    match error:
        case asyncpg.TooManyConnectionsError():
            return _of_limit(error, target)
        case asyncpg.CannotConnectNowError():
            return _of_transition(error, target)
        case asyncpg.ProtocolViolationError():
            return pooler(target)  # PostgreSQL itself never refuses our startup message
        case asyncpg.InvalidAuthorizationSpecificationError():  # the wrong password among them
            if "valid client certificate" in str(error):
                return no_tls("certificate required", target)
            phase, cause = "degraded", "wrong credentials"
            text = f"to log in at {where} as {target.user}, found the login refused (SQLSTATE {code}); check user, "
            text += f"password and pg_hba.conf; try: {_psql(target)}"
        case asyncpg.QueryCanceledError():
            phase, cause = "failing", "frozen"
            text = f"{where} to answer within statement_timeout_s ({target.statement_timeout_s:g} s), found "
            text += "it too busy; find what uses its CPU or disk"
        case asyncpg.InvalidCatalogNameError():
            phase, cause = "degraded", "wrong credentials"
            text = f"a database {target.database} at {where}, found none of that name; try: {_psql(target)} -l"
        case asyncpg.InsufficientPrivilegeError():
            phase, cause = "degraded", "missing privilege"
            text = f"that {target.user} may connect to {target.database} at {where}, found no such right; GRANT "
            text += f"CONNECT, or name another database; try: {_psql(target)}"
        case asyncpg.SyntaxOrAccessError() | asyncpg.FeatureNotSupportedError():
            phase, cause = "degraded", "unreadable"
            text = f"PostgreSQL 14 to 18 at {where}, found a server that rejects the first query (SQLSTATE "
            text += f"{code}); it is not supported"
        case _:
            phase, cause = "failing", "refused"
            text = f"to log in at {where}, found SQLSTATE {code}; see the server's log"
    return Unreachable(phase, cause, f"expected {text}")


def _of_limit(error: asyncpg.PostgresError, target: PostgresTarget) -> Unreachable:
    """SQLSTATE 53300 has several meanings; the function that raised it decides which, in any language."""
    where = target.address
    match getattr(error, "server_source_function", None):
        case "InitializeSessionUserId":
            text = f"expected room for user {target.user} at {where}, found its own connection limit used up; find who "
            text += "else logs in as this user, or raise its CONNECTION LIMIT"
        case "CheckMyDatabase":
            text = f"expected room in database {target.database} at {where}, found that database's connection limit "
            text += "used up; name another database to log in to"
        case _:
            text = f"expected a free connection slot at {where}, found all in use; find who holds them, or raise "
            text += f"max_connections; from 16 on grant pg_use_reserved_connections to {target.user} to see even then"
            return Unreachable("overloaded", "saturated", text)
    return Unreachable("degraded", "own limit", text)


def _of_transition(error: asyncpg.PostgresError, target: PostgresTarget) -> Unreachable:
    if _STOPPING in str(error):
        return stopping(target)
    text = f"expected a server at {target.address} that accepts connections, found it starting, recovering or "
    text += "shutting down; wait, and read its log if this lasts"
    return Unreachable("starting", "starting", text)


def _psql(target: PostgresTarget) -> str:
    """The command that shows the same, by hand."""
    return f"psql -h {target.host} -p {target.port} -U {target.user} {target.database}"


async def of_silence(target: PostgresTarget) -> Unreachable:
    """After a timeout: whether the host is unreachable, or the server accepts connections and does not answer."""
    try:
        async with Deadline(PROBE_S):
            await resolved(target.host)
    except (OSError, UnicodeError, TimeoutError):
        return unresolved(target.host)
    try:
        async with Deadline(PROBE_S):
            if target.host.startswith("/"):
                _, writer = await asyncio.open_unix_connection(target.address)
            else:
                _, writer = await asyncio.open_connection(target.host, target.port)
        writer.close()
    except (OSError, TimeoutError):
        text = f"expected to reach {target.address}, found no answer at all; check the network between us"
        return Unreachable("failing", "unreachable", text)
    text = f"expected an answer from {target.address} within its deadline, found an open connection and none; the "
    text += "server is stopped, starved, or its disk hangs"
    return Unreachable("failing", "frozen", text)
