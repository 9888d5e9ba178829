"""The audit trail → the table of its chain, one writer at a time, and its rows in their order."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
import msgspec

from kgents_archiver.chain import Link, Stored, linked
from kgents_archiver.holes import Hole
from kgents_archiver.store.database import Database, rows
from kgents_archiver.store.ledger import Epoch
from kgents_archiver.store.writing import Message, Writer
from kgents_shared.bus.consume import Position

AUDIT: Final = "audit"
PAGE: Final = 1_000
"""Records that are read at once."""
_LOCK: Final = 0x6B67656E7475  # any number that only we take
_COLUMNS: Final = "n, prev, hash, life, seq, at, subject, body, forgotten"


class TrailWriter(Writer):
    """Appends to the chain. A lock makes all writers one: of two, the second one reads what the first has appended.

    A lock of the last row would not do: the second writer would go on from the row that it had already read.
    """

    async def write(
        self, epoch: Epoch, messages: Sequence[Message], missing: Sequence[Hole], position: Position | None
    ) -> Epoch:
        """See `Writer.write`. A record that is there is not appended again."""
        async with self._database.transaction(is_durable=True) as connection:
            await connection.fetchval("select pg_advisory_xact_lock($1)", _LOCK)
            if messages:
                await self._append(connection, epoch, messages)
            if position is not None:
                await self.move(connection, epoch, missing, position)
        return msgspec.structs.replace(epoch, position=position) if position is not None else epoch

    async def _append(self, connection: "asyncpg.Connection[Any]", epoch: Epoch, messages: Sequence[Message]) -> None:
        last = await connection.fetchval("select coalesce(max(seq), 0) from kgents.audit where life = $1", epoch.id)
        fresh = [Stored(epoch.id, each.seq, each.at, each.subject, each.body) for each in messages if each.seq > last]
        sql = f"insert into kgents.audit ({_COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"  # noqa: S608 - ours
        await connection.executemany(
            sql, [_row(each) for each in linked(await _head(connection), sorted(fresh, key=lambda each: each.seq))]
        )


async def head(database: Database) -> Link | None:
    """The last record of the chain; None: there is none.

    Raises:
        ArchiveError: the server refused, or cannot be reached.
    """
    async with database.snapshot() as connection:
        return await _head(connection)


async def links(database: Database, *, since: datetime | None = None) -> AsyncIterator[Link]:
    """The records of the chain in their order, all or those since a time.

    Raises:
        ArchiveError: the server refused, or cannot be reached.
    """
    async with database.snapshot() as connection:
        n = 0
        while True:
            found = await rows(
                connection,
                f"""select {_COLUMNS} from kgents.audit where n > $1 and ($2::timestamptz is null or at >= $2)
                    order by n limit {PAGE}""",  # noqa: S608 - ours
                n, since,
            )  # fmt: skip
            for each in found:
                yield _link(each)
            if len(found) < PAGE:
                return
            n = found[-1]["n"]


async def life_of(database: Database, stream: str) -> tuple[int, str, int] | None:
    """The current life of a stream, when the stream was created, and up to which sequence it is archived.

    Raises:
        ArchiveError: the server refused, or cannot be reached.
    """
    async with database.snapshot() as connection:
        found = await connection.fetchrow(
            "select id, created, seq from kgents.epoch where stream = $1 order by id desc limit 1", stream
        )
    return (found[0], found[1], found[2]) if found is not None else None


async def _head(connection: "asyncpg.Connection[Any]") -> Link | None:
    sql = f"select {_COLUMNS} from kgents.audit order by n desc limit 1"  # noqa: S608 - ours
    found = await connection.fetchrow(sql)
    return _link(found) if found is not None else None


def _row(link: Link) -> tuple[object, ...]:
    stored = link.stored
    return (
        link.n,
        link.prev,
        link.hash,
        stored.life,
        stored.seq,
        stored.at,
        stored.subject,
        stored.body,
        stored.forgotten,
    )


def _link(row: Any) -> Link:
    n, prev, hash_, *stored = row
    return Link(n, prev, hash_, Stored(*stored))
