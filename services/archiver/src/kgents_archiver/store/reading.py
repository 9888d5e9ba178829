"""A moment, or a stretch of time → what the archive holds of it, and what it does not know of it."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
import msgspec

from kgents_archiver.compression import DamagedError, Unpacking
from kgents_archiver.store.database import Database, rows
from kgents_archiver.store.partitions import beginning
from kgents_archiver.store.state import Start, last, start_of
from kgents_shared.contract.errors import NotFoundError
from kgents_shared.contract.streams import NAME_BY_SIGNAL

VERSIONS_MAX: Final = 10_000
"""Versions in one answer."""


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A message of the archive."""

    subject: str
    seq: int
    at: datetime
    """When its stream stored it."""
    is_gone: bool
    body: bytes
    """As it was published."""


class Coverage(msgspec.Struct, frozen=True):
    """What is known of a moment, or a stretch of time."""

    archived_since: datetime
    """Before that only what the stream still held is known."""
    archived_until: datetime
    """How far the stream is read."""
    missing: int = 0
    """Messages that were gone before they were read, and may have counted then."""
    damaged: int = 0
    """Messages that cannot be unpacked."""

    def remarks(self, signal: str, since: datetime, until: datetime) -> list[str]:
        """What the answer lacks, as sentences; mostly none."""
        found = []
        if since < self.archived_since:
            found.append(
                f"{signal}: archived since {self.archived_since:%Y-%m-%d %H:%M:%S}Z; of before, only what the stream "
                "still held"
            )
        if until > self.archived_until:
            found.append(f"{signal}: archived until {self.archived_until:%Y-%m-%d %H:%M:%S}Z")
        if self.missing:
            found.append(f"{signal}: {_counted(self.missing)} gone before they could be archived")
        if self.damaged:
            found.append(f"{signal}: {_counted(self.damaged)} damaged, and left out")
        return found


class Answer(msgspec.Struct, frozen=True):
    """Messages, oldest first, and what is known of that time."""

    messages: list[Stored]
    coverage: Coverage


async def state_at(database: Database, signal: str, moment: datetime) -> Answer:
    """What each subject of a signal said last until a moment; what was removed by then is left out.

    Raises:
        NotFoundError: the moment is before what is kept, or the signal was never archived.
        ArchiveError: the server refused, or cannot be reached.
    """
    async with database.snapshot() as connection:
        await _require_kept(connection, signal, moment)
        if (start := await start_of(connection, signal, moment)) is None:
            raise NotFoundError(f"{NAME_BY_SIGNAL[signal]} was never archived; try: kgents archive status")
        sql, arguments = last(signal, start, moment)
        found = await rows(
            connection,
            f"""select name, seq, at, is_gone, codec, body from ({sql}) found join kgents.subject on id = subject
                where not is_gone order by at, seq""",  # noqa: S608 - ours
            *arguments,
        )
        coverage = await _coverage(connection, signal, start, moment, moment)
        return await _answer(connection, found, coverage)


async def history(
    database: Database, signal: str, names: Sequence[str], since: datetime, until: datetime, *, limit: int
) -> Answer:
    """The newest versions of some subjects in a stretch of time, oldest first. `%` in a name stands for anything.

    Raises:
        NotFoundError: the signal was never archived.
        ArchiveError: the server refused, or cannot be reached.
    """
    async with database.snapshot() as connection:
        if (start := await start_of(connection, signal, until)) is None:
            raise NotFoundError(f"{NAME_BY_SIGNAL[signal]} was never archived; try: kgents archive status")
        found = await rows(
            connection,
            f"""select name, seq, at, is_gone, codec, body from kgents.{signal} join kgents.subject on id = subject
                where subject = any(array(select id from kgents.subject where name like any($1::text[])))
                  and at between $2 and $3 order by at desc, epoch desc, seq desc limit $4""",  # noqa: S608 - ours
            list(names), since, until, min(limit, VERSIONS_MAX),
        )  # fmt: skip
        coverage = await _coverage(connection, signal, start, since, until)
        return await _answer(connection, found[::-1], coverage)


def _counted(messages: int) -> str:
    return "1 message was" if messages == 1 else f"{messages:,} messages were"


async def _require_kept(connection: "asyncpg.Connection[Any]", signal: str, moment: datetime) -> None:
    since: date | None = await connection.fetchval("select since from kgents.kept where signal = $1", signal)
    if since is not None and moment < beginning(since):
        raise NotFoundError(f"expected a time since {since}, up to which {signal} is kept, found {moment:%Y-%m-%d}")


async def _coverage(
    connection: "asyncpg.Connection[Any]", signal: str, start: Start, since: datetime, until: datetime
) -> Coverage:
    stream = NAME_BY_SIGNAL[signal]
    first, read_until = await connection.fetchrow(
        "select min(began_at), max(read_until) from kgents.epoch where stream = $1", stream
    )
    missing = await connection.fetchval(
        """select coalesce(sum(last_seq - first_seq + 1), 0)::bigint from kgents.gap join kgents.epoch on id = epoch
           where stream = $1 and since <= $3 and until >= $2""",
        stream, since, until,
    )  # fmt: skip
    return Coverage(first if start.is_first else min(first, since), read_until, missing)


async def _answer(connection: "asyncpg.Connection[Any]", found: Sequence[Any], coverage: Coverage) -> Answer:
    dictionaries = await rows(connection, "select id, body from kgents.dictionary")
    unpacking = Unpacking(dict(dictionaries))
    messages, damaged = [], 0
    for name, seq, at, is_gone, codec, body in found:
        try:
            messages.append(Stored(name, seq, at, is_gone, unpacking.unpack(codec, body)))
        except DamagedError:
            damaged += 1
    return Answer(messages, msgspec.structs.replace(coverage, damaged=damaged))
