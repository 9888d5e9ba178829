"""What the archive takes of disk, with every table; and days that are dropped before their time, to stay in a bound."""

from datetime import date
from typing import Final

import msgspec

from kgents_archiver.store import days, partitions
from kgents_archiver.store.database import Database
from kgents_archiver.store.partitions import SIGNALS, STATES, base_table
from kgents_archiver.store.pulses import HOURS, MINUTES

DAYS_KEPT: Final = 2
"""Days that are never dropped for their size: today, and the one before."""
_TABLES: Final = (*SIGNALS, MINUTES, HOURS)


class Dropped(msgspec.Struct, frozen=True):
    """One day of one table that was dropped before its time."""

    table: str
    day: date


async def used_bytes(database: Database) -> int:
    """All tables of the schema with their indexes; what is not made of days, too.

    Raises:
        ArchiveError: the server refused, or cannot be reached.
    """
    sql = """select coalesce(sum(pg_total_relation_size(oid)), 0)::bigint from pg_class
             where relnamespace = 'kgents'::regnamespace and relkind = 'r'"""
    async with database.snapshot() as connection:
        return int(await connection.fetchval(sql))


async def drop_largest(database: Database) -> Dropped | None:
    """Drop the oldest day of the table that takes most; None: nothing more can be dropped.

    So what is small, as the figures of each hour, stays as long as it is meant to.

    Raises:
        ArchiveError: the server refused, or cannot be reached.
    """
    if (today := await _today(database)) is None:
        return None
    for table in await _by_size(database):
        kept = [each for each in await partitions.days_of(database, table) if each <= today]
        if len(kept) > DAYS_KEPT and await days.expire(database, table, today, (today - kept[0]).days - 1):
            return Dropped(table, kept[0])
    return None


async def _by_size(database: Database) -> list[str]:
    """The tables that are made of days, the largest first."""
    sql = """select coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint from pg_inherits
             where inhparent = any($1::text[]::regclass[])"""
    sizes = {}
    async with database.snapshot() as connection:
        for table in _TABLES:
            parents = [f"kgents.{each}" for each in (table, *([base_table(table)] if table in STATES else []))]
            sizes[table] = int(await connection.fetchval(sql, parents))
    return sorted(sizes, key=lambda each: -sizes[each])


async def _today(database: Database) -> date | None:
    """The day up to which streams are read, by the server's clock: partitions of the next days are there already."""
    async with database.snapshot() as connection:
        until = await connection.fetchval("select least(max(read_until), now()) from kgents.epoch having count(*) > 0")
    return until.date() if until is not None else None
