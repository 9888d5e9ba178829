"""A signal and a stretch of time → what the archive knows of it, and what it does not."""

from datetime import datetime
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from kgents_archiver.store.database import rows
from kgents_archiver.store.partitions import beginning
from kgents_shared.contract.archive import GAPS_MAX, Coverage, Gap
from kgents_shared.contract.errors import NotFoundError
from kgents_shared.contract.streams import NAME_BY_SIGNAL


def never(signal: str) -> NotFoundError:
    """Nothing of a signal was ever stored."""
    return NotFoundError(f"{NAME_BY_SIGNAL[signal]} was never archived; try: kgents archive status")


async def kept_since(connection: "asyncpg.Connection[Any]", table: str) -> datetime | None:
    """Before that days were dropped; None: none were."""
    since = await connection.fetchval("select since from kgents.kept where signal = $1", table)
    return beginning(since) if since is not None else None


async def coverage_of(
    connection: "asyncpg.Connection[Any]", signal: str, since: datetime, until: datetime, *, table: str = ""
) -> Coverage:
    """What is known of a signal then; `table`: whose days are dropped, if it is not named as the signal."""
    stream = NAME_BY_SIGNAL[signal]
    first, read_until = await connection.fetchrow(
        "select min(began_at), max(read_until) from kgents.epoch where stream = $1", stream
    )
    if first is None:
        raise never(signal)
    missing = await connection.fetchval(
        """select coalesce(sum(last_seq - first_seq + 1), 0)::bigint from kgents.gap join kgents.epoch on id = epoch
           where stream = $1 and since <= $3 and until >= $2""",
        stream, since, until,
    )  # fmt: skip
    unread = await rows(
        connection,
        """select since, until from (
               select read_until as since, lead(began_at) over (order by id) as until
               from kgents.epoch where stream = $1
           ) lives where until is not null and since <= $3 and until >= $2 order by 1""",
        stream, since, until,
    )  # fmt: skip
    gaps = await rows(
        connection,
        f"""select lower(part), upper(part) from unnest((
                select range_agg(tstzrange(since, until, '[]')) from kgents.gap join kgents.epoch on id = epoch
                where stream = $1 and since <= $3 and until >= $2
            )) part order by 1 desc limit {GAPS_MAX}""",  # noqa: S608 - ours
        stream, since, until,
    )  # fmt: skip
    forgotten = await connection.fetchval("select max(before) from kgents.forgotten where before > $1", since)
    kept = await kept_since(connection, table or signal)
    return Coverage(
        signal=signal, since=max(first, kept or first), until=read_until, missing=missing, unread=len(unread),
        forgotten=forgotten, gaps=[Gap(*each) for each in gaps[::-1]], ended=[Gap(*each) for each in unread],
    )  # fmt: skip
