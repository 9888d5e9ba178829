"""Versions → the state at the beginning of each day; what is old is dropped.

The state at a moment is what each subject said last before it, and a calm one said it long ago. So a version is dropped
only if the state at the beginning of a later day is stored. It also makes a question about any day cost one day.
"""

from datetime import date, timedelta
from typing import Final

from kgents_archiver.store import partitions
from kgents_archiver.store.database import Database
from kgents_archiver.store.partitions import STATES, base_table, beginning
from kgents_archiver.store.state import last, start_of
from kgents_shared.contract.streams import NAME_BY_SIGNAL

AHEAD: Final = 3
"""Days whose partitions are made in advance, so that midnight is like any other time."""

_DAY: Final = timedelta(days=1)
_MOMENT: Final = timedelta(microseconds=1)


async def add_base(database: Database, signal: str, day: date) -> bool:
    """Store the state at the beginning of a day, up to which the stream is read; returns whether that was to be done.

    Raises:
        ArchiveError: the server refused, or cannot be reached.
    """
    await partitions.ensure(database, base_table(signal), [day])
    async with database.transaction() as connection:
        await connection.fetchval("select pg_advisory_xact_lock(hashtext($1))", f"kgents base {signal}")
        if await connection.fetchval("select 1 from kgents.base where signal = $1 and day = $2", signal, day):
            return False
        moment = beginning(day) - _MOMENT
        start = await start_of(connection, signal, moment)
        if start is None or start.epoch_began_at > moment:
            return False
        sql, arguments = last(signal, start, moment)
        done = await connection.execute(
            f"""insert into kgents.{base_table(signal)} (day, subject, epoch, seq, at, codec, body)
                select $5, subject, $1, seq, at, codec, body from ({sql}) found where not is_gone""",  # noqa: S608 - ours
            *arguments, day,
        )  # fmt: skip
        await connection.execute(
            "insert into kgents.base (signal, day, entries) values ($1, $2, $3)", signal, day, int(done.split()[-1])
        )
        await partitions.analyze(connection, base_table(signal), day)
    return True


async def prepare(database: Database, signal: str, today: date) -> None:
    """Make the partitions of the next days.

    Raises:
        ArchiveError: the server refused, or cannot be reached.
    """
    await partitions.ensure(database, signal, (today + number * _DAY for number in range(AHEAD)))


async def confirmed(database: Database, today: date) -> date:
    """The day that a stream says it is, or an earlier one that PostgreSQL's clock says.

    Of a clock that is years ahead for a moment, everything would be old, and dropped for good.

    Raises:
        ArchiveError: the server refused, or cannot be reached.
    """
    async with database.snapshot() as connection:
        known: date = await connection.fetchval("select (now() at time zone 'UTC')::date")
    return min(today, known)


async def expire(database: Database, signal: str, today: date, retention_d: int) -> int:
    """Drop what is older than so many days, as far as later days can do without it; returns how many partitions.

    Raises:
        ArchiveError: the server refused, or cannot be reached.
    """
    oldest = today - retention_d * _DAY
    if signal in STATES:
        async with database.snapshot() as connection:
            sql = """select max(day) from kgents.base where signal = $1 and day <= $2
                     and day > (select (max(began_at) at time zone 'UTC')::date from kgents.epoch where stream = $3)"""
            based = await connection.fetchval(sql, signal, oldest, NAME_BY_SIGNAL[signal])
        if based is None:
            return 0
        oldest = based
    async with database.transaction() as connection:
        await connection.execute(
            """insert into kgents.kept (signal, since) values ($1, $2)
               on conflict (signal) do update set since = greatest(kept.since, excluded.since)""",
            signal, oldest,
        )  # fmt: skip
        await connection.execute("delete from kgents.base where signal = $1 and day < $2", signal, oldest)
    dropped = await partitions.drop(database, signal, oldest)
    if signal in STATES:
        dropped += await partitions.drop(database, base_table(signal), oldest)
    return dropped
