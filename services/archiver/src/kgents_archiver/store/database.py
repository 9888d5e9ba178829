"""Settings → a connection to PostgreSQL with a deadline for every statement, made again after every fault."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]

from kgents_archiver.config import Config
from kgents_shared.contract.errors import ConfigError, KgentsError

CONNECT_S: Final = 10.0
GRACE_S: Final = 2.0
"""Our deadline is later than the server's by this: if it passes, the server does not even cancel a statement."""
SORTED: Final = "32MB"
"""What a question may sort in memory: a day of 100,000 versions, which PostgreSQL's 4 MB would write to disk."""
LOCK_TIMEOUT: Final = "2s"
"""Every insert waits behind a change of tables that waits; so none waits for longer."""

FAULTS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # also of a statement that follows an error without a question, as a pooler sends
    OSError,
)
"""What a server, its connection, or a pooler between, raise; a TimeoutError is an OSError."""
_REFUSED: Final = ("28", "3D")
"""Classes of SQLSTATE: the login, the database. Only a person can change that."""


class ArchiveError(KgentsError):
    """PostgreSQL did not do what it was asked for; the text names the server and why. A retry may help."""


class RefusedError(ArchiveError):
    """PostgreSQL refuses us; a person must act."""


class Database:
    """One connection, for one statement or transaction at a time."""

    def __init__(self, config: Config, *, name: str = "kgents archiver") -> None:
        self._config = config
        self._name = name
        self._connection: asyncpg.Connection[Any] | None = None
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["asyncpg.Connection[Any]"]:
        """The connection, for as long as the block lasts; one that fails is closed, and the next block makes another.

        Raises:
            RefusedError: the server does not let us in.
            ArchiveError: it cannot be reached, or did not do what was asked of it.
        """
        async with self._lock:
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._connect()
            try:
                yield self._connection
            except asyncpg.UniqueViolationError as error:
                raise self._error(error) from error
            except FAULTS as error:
                self._drop()
                raise self._error(error) from error
            except BaseException:
                self._drop()
                raise

    @asynccontextmanager
    async def transaction(self, *, is_durable: bool = False) -> AsyncIterator["asyncpg.Connection[Any]"]:
        """A transaction to write; a crash of the server may take the last ones back, with the positions in them.

        `is_durable`: none takes this one back. Nor those before it, but only if this one writes something.
        """
        async with self.connection() as connection, connection.transaction():
            await connection.execute(f"set local synchronous_commit = {'on' if is_durable else 'off'}")
            await connection.execute(f"set local statement_timeout = {int(self._config.statement_timeout_s * 1_000)}")
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator["asyncpg.Connection[Any]"]:
        """A transaction to read, all of it at one moment."""
        async with (
            self.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await connection.execute(f"set local work_mem = '{SORTED}'")
            await connection.execute(f"set local statement_timeout = {int(self._config.statement_timeout_s * 1_000)}")
            yield connection

    async def close(self) -> None:
        """Log out."""
        if self._connection is not None:
            try:
                await self._connection.close(timeout=GRACE_S)
            except FAULTS:
                self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _connect(self) -> "asyncpg.Connection[Any]":
        config = self._config
        try:
            async with asyncio.timeout(CONNECT_S):
                return await asyncpg.connect(
                    host=config.host,
                    port=config.port,
                    user=config.user,
                    password=config.password.reveal() if config.password is not None else None,
                    database=config.database,
                    ssl=ssl.create_default_context(cafile=config.ca_file) if config.needs_tls else False,
                    timeout=CONNECT_S,
                    command_timeout=config.statement_timeout_s + GRACE_S,
                    statement_cache_size=0,  # a pooler hands each transaction to another session
                    server_settings={"application_name": self._name},
                )
        except FAULTS as error:
            raise self._error(error) from error

    def _error(self, error: BaseException) -> ArchiveError:
        place = f"{self._config.database} at {self._config.address}"
        if isinstance(error, TimeoutError):
            return ArchiveError(f"{place}: no answer in time")
        words = f"{place}: {str(error) or type(error).__name__}"
        state = getattr(error, "sqlstate", None) or ""
        return RefusedError(words) if state.startswith(_REFUSED) else ArchiveError(words)


def required(config: Config) -> Config:
    """The settings, if there is an archive.

    Raises:
        ConfigError: there is none.
    """
    if not config.is_configured:
        raise ConfigError(["archiver.host: expected where PostgreSQL is, found nothing; try: host: db.example.com"])
    return config


async def rows(connection: "asyncpg.Connection[Any]", sql: str, *arguments: object) -> Sequence[Any]:
    """The rows of one query."""
    found: Sequence[Any] = await connection.fetch(sql, *arguments)
    return found
