"""Tables of one day each: made before they are needed, dropped when they are old, and no insert waits for either.

A partition is attached and detached, never created in place or dropped in place: these two would wait for every reader
of the table, and every insert would wait behind them.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]

from kgents_archiver.store.database import LOCK_TIMEOUT, Database, rows

STATES: Final = ("topology", "health", "alert", "incident")
"""Signals of which the last message of a subject is its state; each has a table of bases."""
EVENT: Final = "event"
SIGNALS: Final = (*STATES, EVENT)

_LOCK: Final = 0x6B67656E7474
_DAY: Final = timedelta(days=1)


def beginning(day: date) -> datetime:
    """When a day begins, in UTC."""
    return datetime.combine(day, time(), UTC)


def day_of(moment: datetime) -> date:
    """The day that a moment belongs to, in UTC, in whatever time zone it was given."""
    return moment.astimezone(UTC).date()


def base_table(signal: str) -> str:
    """The table of the states at the beginning of days."""
    return f"{signal}_base"


async def ensure(database: Database, table: str, days: Iterable[date]) -> None:
    """Make the partitions of these days, unless they are there.

    Raises:
        ArchiveError: the server refused, or cannot be reached.
    """
    for day in days:
        async with database.connection() as connection, connection.transaction():
            await connection.fetchval("select pg_advisory_xact_lock($1)", _LOCK)
            await connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
            name = _name(table, day)
            if name in await _names(connection, table):
                continue
            lower, upper = (f"'{each}'" for each in _bounds(table, day))
            await connection.execute(
                f"create table if not exists kgents.{name} (like kgents.{table} including defaults);"
                f"alter table kgents.{table} attach partition kgents.{name} for values from ({lower}) to ({upper})"
            )


async def analyze(connection: "asyncpg.Connection[Any]", table: str, day: date) -> None:
    """Count what a day holds: without that PostgreSQL expects a few rows, and asks for each subject one by one."""
    await connection.execute(f"analyze kgents.{_name(table, day)}")


async def days_of(database: Database, table: str) -> list[date]:
    """The days that have a partition, oldest first.

    Raises:
        ArchiveError: the server refused, or cannot be reached.
    """
    async with database.connection() as connection:
        return sorted(map(_day, await _names(connection, table)))


async def drop(database: Database, table: str, before: date) -> int:
    """Drop the partitions of days before this one; returns how many.

    Raises:
        ArchiveError: the server refused, or cannot be reached; what is dropped stays so.
    """
    dropped = 0
    async with database.connection() as connection:
        await connection.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'")
        try:
            for name in await _names(connection, table):
                if _day(name) < before:
                    # One that was cut off while it was detached has to be finished before anything else.
                    how = "finalize" if await _is_pending(connection, name) else "concurrently"
                    await connection.execute(f"alter table kgents.{table} detach partition kgents.{name} {how}")
                    dropped += 1
            for name in await _detached(connection, table):
                if _day(name) < before:
                    await connection.execute(f"drop table kgents.{name}")
        finally:
            await connection.execute("set lock_timeout = default")
    return dropped


def _name(table: str, day: date) -> str:
    return f"{table}_{day:%Y%m%d}"


def _day(name: str) -> date:
    digits = name.rpartition("_")[2]
    return date(int(digits[:-4]), int(digits[-4:-2]), int(digits[-2:]))


def _bounds(table: str, day: date) -> tuple[str, str]:
    if table.endswith("_base"):
        return day.isoformat(), (day + _DAY).isoformat()
    return beginning(day).isoformat(), beginning(day + _DAY).isoformat()


async def _names(connection: "asyncpg.Connection[Any]", table: str) -> list[str]:
    sql = """select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
             where i.inhparent = $1::text::regclass order by 1"""
    return [name for (name,) in await rows(connection, sql, f"kgents.{table}")]


async def _is_pending(connection: "asyncpg.Connection[Any]", name: str) -> bool:
    sql = "select inhdetachpending from pg_inherits where inhrelid = $1::text::regclass"
    return bool(await connection.fetchval(sql, f"kgents.{name}"))


async def _detached(connection: "asyncpg.Connection[Any]", table: str) -> list[str]:
    """Partitions of before, of which only the drop is missing."""
    sql = """select c.relname from pg_class c
             where c.relnamespace = 'kgents'::regnamespace and c.relkind = 'r' and not c.relispartition
               and c.relname ~ $1 order by 1"""
    return [name for (name,) in await rows(connection, sql, rf"^{table}_\d{{8,}}$")]
