"""A PostgreSQL server → PostgresSample: one lasting connection, one query at a time, each with a deadline.

Table statistics exist only inside each database: every medium poll opens a second connection to one database, and
closes it at once.
"""

import asyncio
from collections.abc import Collection
from contextlib import aclosing
from datetime import datetime
from typing import Final, TypeVar

import asyncpg  # type: ignore[import-untyped]
from msgspec import structs

from kgents_collector_db.mapping.postgres import obstacle_rows
from kgents_collector_db.mapping.postgres import sample as rows
from kgents_collector_db.mapping.postgres.freshness import Freshness, freshness
from kgents_collector_db.mapping.postgres.sample import Identity, PostgresSample
from kgents_collector_db.source import Tier
from kgents_collector_db.source.postgres import failure, queries
from kgents_collector_db.source.postgres.failure import UnreachableError
from kgents_collector_db.source.postgres.poll import Poll, Refused
from kgents_collector_db.source.postgres.server_log import ServerLog
from kgents_collector_db.source.postgres.session import Session, identify, open_session
from kgents_collector_db.source.postgres.statements import StatementsReader
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_shared.runtime.clock import Clock

V = TypeVar("V")

LOG_S: Final = 1.0
"""Longest time that a poll waits for the server's log file."""
GUEST_TRANSACTIONS: Final = 4
"""Transactions of a session in another database, apart from the query itself: its login, `identify` and READ_ONLY."""
ADMIN_SHUTDOWN: Final = "57P01"
"""SQLSTATE that the server sends before it ends a session: it is shutting down, or the session was terminated."""
SIZES_S: Final = 1.0
"""Longest time for database sizes in one slow poll: each costs one stat per file. The rest is read at the next one."""


class PostgresSource:
    """One server."""

    def __init__(self, target: PostgresTarget, clock: Clock) -> None:
        self._target = target
        self._clock = clock
        self._session: Session | None = None
        self._system_id: str | None = None
        self._started: datetime | None = None
        self._was_ended = False  # the server ended our last session by itself
        self._transactions = 0  # our own, of all earlier polls
        self._statements = StatementsReader()
        self._log = ServerLog(target.log_path) if target.log_path is not None else None
        self._log_reading: asyncio.Task[rows.Messages | None] | None = None
        self._kept: dict[str, object] = {}  # the sections of the costly tiers, as last read
        self._refused: Refused = {}
        self._freshness: Freshness | None = None
        self._tables: dict[str, rows.Tables] = {}
        self._sizes: dict[str, int] = {}
        self._tables_turn, self._sizes_turn = _Rotation(), _Rotation()

    async def read(self, tiers: Collection[Tier]) -> PostgresSample:
        """One poll."""
        if "slow" in tiers:
            self._refused.clear()
            self._statements.retry()
        poll = Poll(self._target, self._clock, self._refused)
        messages = await self._read_log(poll)
        try:
            session, identity = await self._login(poll)
            total = await self._read_fast(poll, session, identity)
            if "medium" in tiers:
                await self._read_medium(poll, session, identity, total)
            if "slow" in tiers:
                await self._read_slow(poll, session)
        except UnreachableError as error:
            self._drop()
            return poll.unreachable(error.unreachable, messages)
        # A backend reports its transactions at most once a second, and when it is asked to (`queries.identity`): of
        # this poll, only the first query is counted when the databases are read right after it.
        own = self._transactions + 1
        self._transactions += poll.queries + GUEST_TRANSACTIONS * (poll.connections - 1)
        poll.sections |= {"system_id": self._system_id, "messages": messages, "own_transactions": own}
        self._kept |= poll.costly
        return poll.sample(identity, self._kept, self._statements.state)

    async def aclose(self) -> None:
        """Log out."""
        if self._log is not None:
            self._log.close()
        if self._log_reading is not None:
            self._log_reading.cancel()
        if self._session is not None:
            await self._session.aclose()
            self._session = None

    def _drop(self) -> None:
        if self._session is not None:
            self._was_ended = self._session.farewell == ADMIN_SHUTDOWN
            self._session.drop()
            self._session = None

    async def _read_log(self, poll: Poll) -> rows.Messages | None:
        if self._log is None:
            return None
        if self._log_reading is None:
            self._log_reading = asyncio.create_task(asyncio.to_thread(self._log.read))
        done, _ = await asyncio.wait({self._log_reading}, timeout=LOG_S)
        if not done:  # a thread cannot be cancelled, so it is waited for again
            poll.fault("log", f"{self._target.log_path} was not read in {LOG_S:g} s; check whether its disk hangs")
            return None
        messages, self._log_reading = self._log_reading.result(), None
        if messages is None:
            poll.fault("log", self._log.fault)
        return messages

    async def _login(self, poll: Poll) -> tuple[Session, Identity]:
        """The session of the last poll, or a new one if that one is lost or unusable."""
        if self._session is not None:
            try:
                return self._session, await poll.ask(identify(self._session))
            except (asyncpg.PostgresError, ValueError):  # refused, or another answer than at the login
                self._drop()
            except UnreachableError as error:
                self._drop()
                if error.unreachable.cause != "refused":
                    raise
        self._session, identity = await self._new_session()
        self._was_ended = False
        self._system_id = None
        self._statements.forget()
        self._refused.clear()
        if identity.started != self._started:  # another server, or a restart: drop what was read before
            self._started = identity.started
            self._kept.clear()
            self._tables.clear()
            self._sizes.clear()
        return self._session, identity

    async def _new_session(self) -> tuple[Session, Identity]:
        """A starting and a stopping server send the same SQLSTATE, and different messages.

        If the message is not English, the server is taken to be stopping if it ended our last session.
        """
        try:
            return await open_session(self._target)
        except UnreachableError as error:
            self._was_ended &= error.may_be_stopping
            if self._was_ended:
                raise UnreachableError(failure.stopping(self._target)) from None
            raise

    async def _read_fast(self, poll: Poll, session: Session, identity: Identity) -> rows.StatementSum | None:
        version, in_recovery = identity.version_num // 10000, identity.in_recovery
        await poll.many(
            session, "databases", queries.DATABASES, rows.Database
        )  # first: see `own_transactions` in `read`
        if self._system_id is None and (found := await poll.rows(session, "system_id", queries.SYSTEM_ID)):
            self._system_id = found[0]["system_identifier"]
        if found := await poll.rows(session, "position", queries.position(in_recovery=in_recovery)):
            poll.sections["position"] = found[0]["position"]
        await poll.many(session, "activity", queries.ACTIVITY, rows.Activity, self._target.slow_query_s)
        await poll.many(session, "blocking", queries.BLOCKING, rows.Blocked)
        await poll.many(session, "locks", queries.LOCKS, rows.Lock)
        await poll.many(session, "commits", queries.COMMITS, obstacle_rows.Commit)
        await poll.many(session, "limits", queries.LIMITS, obstacle_rows.Limit)
        await poll.many(session, "subscriptions", queries.subscriptions(version), obstacle_rows.Subscription)
        await poll.one(session, "temp_files", queries.TEMP_FILES, obstacle_rows.TempFiles)
        await poll.one(session, "checkpoints", queries.checkpoints(version), rows.Checkpoints)
        await poll.one(session, "wal", queries.WAL, rows.Wal)
        await poll.one(session, "archiver", queries.ARCHIVER, rows.Archiver)
        await poll.many(session, "senders", queries.senders(in_recovery=in_recovery), rows.Sender)
        await poll.many(session, "slots", queries.slots(version, in_recovery=in_recovery), rows.Slot)
        await poll.one(session, "prepared", queries.PREPARED, rows.Prepared)
        if in_recovery:
            await poll.one(session, "standby", queries.STANDBY, rows.Standby)
            self._note_freshness(poll, identity)
        total = await self._statements.read_sum(poll, session)
        poll.sections["statement_sum"] = total
        return total

    def _note_freshness(self, poll: Poll, identity: Identity) -> None:
        standby = poll.sections.get("standby")
        if isinstance(standby, rows.Standby):
            self._freshness = freshness(self._freshness, identity, standby)
            poll.sections["fresh_at"] = self._freshness.fresh_at if self._freshness is not None else None

    async def _read_medium(
        self, poll: Poll, session: Session, identity: Identity, total: rows.StatementSum | None
    ) -> None:
        await self._statements.read_all(poll, session, identity, total)
        poll.costly |= {"statements": self._statements.last, "statements_before": self._statements.before}
        vacuums = await poll.rows(session, "vacuums", queries.VACUUMS)
        poll.costly["vacuums"] = poll.converted("vacuums", vacuums, tuple[rows.Vacuum, ...])
        waiting = await poll.rows(session, "archive_waiting", queries.ARCHIVE_WAITING)
        poll.costly["archive_waiting"] = poll.converted(
            "archive_waiting", waiting[0] if waiting else None, obstacle_rows.ArchiveWaiting
        )
        names = poll.databases()
        if names:
            name = self._tables_turn.next(names)
            self._tables = _only(self._tables, names)
            if (tables := await self._read_tables(poll, session, name)) is not None:
                self._tables[name] = structs.replace(tables, at=self._clock.now())
        poll.costly["tables"] = dict(self._tables)

    async def _read_tables(self, poll: Poll, session: Session, database: str) -> rows.Tables | None:
        if database == self._target.database:
            found = await poll.rows(session, "tables", queries.TABLES)
        else:
            poll.connections = 2
            try:
                guest, _ = await open_session(structs.replace(self._target, database=database))
                async with aclosing(guest):
                    found = await poll.rows(guest, "tables", queries.TABLES)
            except UnreachableError as error:  # only this database: it may refuse us, or be dropped meanwhile
                poll.fault("tables", error.unreachable.text)
                return None
        return poll.converted("tables", found[0] if found else None, rows.Tables)

    async def _read_slow(self, poll: Poll, session: Session) -> None:
        for name, sql, kind in (
            ("wal_directory", queries.WAL_DIRECTORY, rows.WalDirectory),
            ("settings", queries.SETTINGS, rows.Settings),
        ):
            found = await poll.rows(session, name, sql)
            poll.costly[name] = poll.converted(name, found[0] if found else None, kind)
        names = poll.databases()
        self._sizes = _only(self._sizes, names)
        until_s = self._clock.monotonic_s() + SIZES_S
        for _ in names:
            if self._clock.monotonic_s() > until_s:
                break
            name = self._sizes_turn.next(names)
            measured = await poll.rows(session, "sizes", queries.SIZE, name)
            self._sizes.pop(name, None)
            if measured:
                self._sizes[name] = measured[0]["pg_database_size"]
        poll.costly["sizes"] = dict(self._sizes) if self._sizes.keys() == set(names) else None


class _Rotation:
    """Takes names in turn, also after failures: an unreadable database must not delay the others."""

    def __init__(self) -> None:
        self._asked: dict[str, None] = {}  # oldest first

    def next(self, names: Collection[str]) -> str:
        """A name that had no turn yet, else the one with the oldest turn."""
        known = frozenset(names)
        asked = [name for name in self._asked if name in known]
        name = next((name for name in names if name not in self._asked), None) or asked[0]
        self._asked = dict.fromkeys([*(each for each in asked if each != name), name])
        return name


def _only(seen: dict[str, V], names: Collection[str]) -> dict[str, V]:
    return {name: value for name, value in seen.items() if name in names}
