"""The tables → how far each stream is stored, what is missing, what it takes of disk."""

from datetime import date, datetime
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
import msgspec

from kgents_archiver.config import Config
from kgents_archiver.store.coverage import kept_since
from kgents_archiver.store.database import Database, rows
from kgents_archiver.store.partitions import EVENT, SIGNALS, STATES, base_table
from kgents_archiver.store.pulses import HOURS, MINUTES, PULSE
from kgents_shared.contract.streams import NAME_BY_SIGNAL

DAY_S: Final = 86_400
EXPECTED_AFTER_D: Final = 0.25
"""Days before which nothing can be said of what a full archive takes: a quarter, since partitions begin empty."""


class StreamStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The archive of one stream."""

    stream: str
    archived_since: datetime
    """When it was first read; before that only what the stream still held is known."""
    kept_since: date | None
    """The first day that can be asked for; None: nothing was dropped."""
    read_until: datetime
    """Everything that the stream stored until then is here."""
    seq: int
    lives: int
    """How often the stream was begun: more than once if it was made again, or went back."""
    missing: int
    """Messages that the stream had forgotten before they were read."""
    messages: int
    """How many there are, by the estimate of PostgreSQL."""
    disk_bytes: int
    """With indexes and bases."""
    expected_bytes: int | None
    """What that will be when all days are there that are kept, if they are like those until now; None: too early."""


async def stream_statuses(database: Database, config: Config) -> list[StreamStatus]:
    """One for each stream that is archived.

    Raises:
        ArchiveError: the server refused, or cannot be reached.
    """
    found = []
    async with database.snapshot() as connection:
        kept = dict(await rows(connection, "select signal, since from kgents.kept"))
        missing = dict(
            await rows(
                connection,
                """select stream, sum(last_seq - first_seq + 1)::bigint from kgents.gap
                   join kgents.epoch on id = epoch group by 1""",
            )
        )
        for signal in (*SIGNALS, PULSE):
            stream = NAME_BY_SIGNAL[signal]
            began, until, seq, lives = await connection.fetchrow(
                """select min(began_at), max(read_until), (array_agg(seq order by id desc))[1], count(*)
                   from kgents.epoch where stream = $1""",
                stream,
            )
            if not lives:
                continue
            tables = _tables(signal)
            messages, disk_bytes = await connection.fetchrow(
                """select coalesce(sum(greatest(c.reltuples, 0)) filter (where i.inhparent = $1::text::regclass), 0)
                       ::bigint, coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
                   from pg_inherits i join pg_class c on c.oid = i.inhrelid
                   where i.inhparent = any($2::text[]::regclass[])""",
                f"kgents.{tables[0]}", [f"kgents.{each}" for each in tables],
            )  # fmt: skip
            found.append(
                StreamStatus(
                    stream=stream, archived_since=began, kept_since=kept.get(tables[0]), read_until=until, seq=seq,
                    lives=lives, missing=missing.get(stream, 0), messages=messages, disk_bytes=disk_bytes,
                    expected_bytes=await _expected(connection, _retentions(config, signal), began, until),
                )
            )  # fmt: skip
    return found


async def _expected(
    connection: "asyncpg.Connection[Any]", retentions: dict[str, int], began: datetime, until: datetime
) -> int | None:
    """By what was stored each day until now."""
    total = 0.0
    for table, retention_d in retentions.items():
        since = await kept_since(connection, table)
        stored_d = (until - max(began, since or began)).total_seconds() / DAY_S
        if stored_d < EXPECTED_AFTER_D:
            return None
        size = await connection.fetchval(
            """select coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint from pg_inherits
               where inhparent = any($1::text[]::regclass[])""",
            [f"kgents.{each}" for each in (table, *([base_table(table)] if table in STATES else []))],
        )
        total += size * max(retention_d / stored_d, 1.0)
    return int(total)


def _retentions(config: Config, signal: str) -> dict[str, int]:
    """The tables of a signal, and for how many days each is kept."""
    if signal == PULSE:
        return {MINUTES: config.minute_retention_d, HOURS: config.hour_retention_d}
    return {signal: config.event_retention_d if signal == EVENT else config.retention_d}


def _tables(signal: str) -> list[str]:
    """Where a signal is stored, its messages first."""
    if signal == PULSE:
        return [MINUTES, HOURS]
    return [signal, base_table(signal)] if signal in STATES else [signal]
