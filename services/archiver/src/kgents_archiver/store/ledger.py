"""How far each stream is stored, and the numbers of subjects: what every writer of a signal shares."""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
import msgspec

from kgents_archiver.holes import Hole
from kgents_archiver.store.database import ArchiveError, Database, rows
from kgents_shared.bus.consume import Position
from kgents_shared.contract.errors import KgentsError

SUBJECTS_MAX: Final = 200_000
"""Subjects whose number is remembered: some 40 MB. Others are looked up again."""


class OvertakenError(KgentsError):
    """Another archiver has stored what comes next."""


class Epoch(msgspec.Struct, frozen=True):
    """One life of a stream, and how far it is stored."""

    id: int
    stream: str
    position: Position
    began_seq: int
    """Up to here the stream itself may have forgotten messages before the archive began."""
    began_at: datetime
    former_until: datetime | None
    """Up to when a former life was read, whose messages this one may hold again. None: the archive began with it."""

    @property
    def is_first(self) -> bool:
        """Whether the archive began with it: then it may hold what was stored before."""
        return self.former_until is None


class Ledger:
    """The position of one signal's stream, which one writer alone moves."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._subjects: OrderedDict[str, int] = OrderedDict()
        self._forgotten = 0  # what was forgotten when the first of these numbers was asked for

    def forget_known(self) -> None:
        """Ask again what was known of the tables: days were dropped, or an older backup was restored."""
        self._subjects.clear()

    async def epoch(self, stream: str) -> Epoch | None:
        """How far the stream is stored; None if it never was.

        Raises:
            ArchiveError: the server refused, or cannot be reached.
        """
        sql = """select id, position, began_seq, began_at,
                     (select max(read_until) from kgents.epoch former where stream = $1 and former.id < each.id)
                 from kgents.epoch each where stream = $1 order by id desc limit 1"""
        async with self._database.snapshot() as connection:
            found = await connection.fetchrow(sql, stream)
        if found is None:
            return None
        return Epoch(found[0], stream, msgspec.json.decode(found[1], type=Position), *found[2:])

    async def begin(self, stream: str, created: str, *, now: datetime, last_seq: int, before: Epoch | None) -> Epoch:
        """Begin a stream, or another life of it. No crash takes that back, so what one takes is known to be missing.

        Raises:
            OvertakenError: another archiver did.
            ArchiveError: the server refused, or cannot be reached.
        """
        position = Position(created, 0, 0)
        sql = """insert into kgents.epoch (stream, created, began_at, began_seq, position, seq, read_until)
                 values ($1, $2, $3, $4, $5, 0, $3) returning id"""
        async with self._database.transaction(is_durable=True) as connection:
            await connection.fetchval("select pg_advisory_xact_lock(hashtext($1))", f"kgents {stream}")
            last, until = await connection.fetchrow(
                "select max(id), max(read_until) from kgents.epoch where stream = $1", stream
            )
            if last != (before.id if before is not None else None):
                raise OvertakenError(f"{stream}: another archiver has begun to read it again")
            id_ = await connection.fetchval(sql, stream, created, now, last_seq, _text(position))
        return Epoch(id_, stream, position, last_seq, now, until)

    async def move(
        self, connection: "asyncpg.Connection[Any]", epoch: Epoch, missing: Sequence[Hole], position: Position
    ) -> None:
        """Note how far the stream is read, and what was missing, in the transaction that stores what was read.

        Raises:
            OvertakenError: another archiver did; nothing may be stored.
        """
        until = time_of(position.time_ns)
        await connection.executemany(
            "insert into kgents.gap (epoch, first_seq, last_seq, since, until) values ($1, $2, $3, $4, $5)",
            [(epoch.id, each.first_seq, each.last_seq, each.since, until) for each in missing],
        )
        sql = """update kgents.epoch set position = $1, seq = $2, read_until = $3
                 where id = $4 and position = $5 and id = (select max(id) from kgents.epoch where stream = $6)"""
        done = await connection.execute(
            sql, _text(position), position.seq, until, epoch.id, _text(epoch.position), epoch.stream
        )
        if done != "UPDATE 1":
            raise OvertakenError(f"{epoch.stream}: another archiver stored what follows {epoch.position.seq}")

    async def require_numbers(self, connection: "asyncpg.Connection[Any]") -> None:
        """That the numbers of subjects are still theirs until this transaction ends: names may be forgotten.

        Raises:
            ArchiveError: some may not be; the next try asks for them again.
        """
        forgotten = await connection.fetchval("select coalesce(max(id), 0) from kgents.forgotten")
        if forgotten != self._forgotten:
            self._subjects.clear()
            self._forgotten = forgotten
            raise ArchiveError("names were forgotten meanwhile: their numbers are asked for again")

    async def numbers(self, names: set[str]) -> dict[str, int]:
        """The numbers of subjects; those that are new get one. Who stores them calls `require_numbers`."""
        found = {name: self._subjects[name] for name in names & self._subjects.keys()}
        if missing := sorted(names - found.keys()):
            async with self._database.transaction() as connection:
                await connection.execute(
                    """insert into kgents.subject (name) select name from unnest($1::text[]) as new (name)
                       where not exists (select from kgents.subject s where s.name = new.name)
                       on conflict do nothing""",
                    missing,
                )
                known = await rows(connection, "select name, id from kgents.subject where name = any($1)", missing)
            found |= dict(known)
        for name, number in found.items():
            self._subjects[name] = number
            self._subjects.move_to_end(name)
        while len(self._subjects) > SUBJECTS_MAX:
            self._subjects.popitem(last=False)
        return found


def time_of(time_ns: int) -> datetime:
    """Nanoseconds as PostgreSQL keeps them: rounded down to microseconds."""
    seconds, rest_ns = divmod(time_ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1_000)


def _text(position: Position) -> str:
    return msgspec.json.encode(position).decode()
