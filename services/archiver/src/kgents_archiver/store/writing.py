"""Messages of a stream and the position behind them → rows, in one transaction."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
import msgspec

from kgents_archiver.compression import RAW, SAMPLE_BYTES_MAX, SAMPLES, Packing, train
from kgents_archiver.holes import Hole
from kgents_archiver.store import partitions
from kgents_archiver.store.database import Database, rows
from kgents_shared.bus.consume import Position
from kgents_shared.contract.errors import KgentsError

SUBJECTS_MAX: Final = 200_000
"""Subjects whose number is remembered: some 40 MB. Others are looked up again."""

_INSERT: Final = """
insert into kgents.{table} (epoch, seq, at, subject, is_gone, codec, body)
select $1, * from unnest($2::bigint[], $3::timestamptz[], $4::bigint[], $5::boolean[], $6::smallint[], $7::bytea[])
on conflict do nothing
"""


class OvertakenError(KgentsError):
    """Another archiver has stored what comes next."""


class Epoch(msgspec.Struct, frozen=True):
    """One life of a stream, and how far it is stored."""

    id: int
    stream: str
    position: Position
    began_seq: int
    """Up to here the stream itself may have forgotten messages before the archive began."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """What is stored of one message."""

    seq: int
    at: datetime
    """When the stream stored it, rounded down to microseconds."""
    subject: str
    is_gone: bool
    """Whether it says that there is nothing of this subject any more."""
    body: bytes


class Writer:
    """Writes one signal, of which it alone knows the position."""

    def __init__(self, database: Database, signal: str) -> None:
        self.signal: Final = signal
        self._database = database
        self._subjects: OrderedDict[str, int] = OrderedDict()
        self._days: set[date] = set()
        self._packing: Packing | None = None
        self._samples: list[bytes] = []
        self._sampled_bytes = 0

    async def epoch(self, stream: str) -> Epoch | None:
        """How far the stream is stored; None if it never was.

        Raises:
            ArchiveError: the server refused, or cannot be reached.
        """
        sql = "select id, position, began_seq from kgents.epoch where stream = $1 order by id desc limit 1"
        async with self._database.snapshot() as connection:
            found = await connection.fetchrow(sql, stream)
        if found is None:
            return None
        return Epoch(found[0], stream, msgspec.json.decode(found[1], type=Position), found[2])

    async def begin(self, stream: str, created: str, *, now: datetime, last_seq: int, before: Epoch | None) -> Epoch:
        """Begin a stream, or another life of it.

        Raises:
            OvertakenError: another archiver did.
            ArchiveError: the server refused, or cannot be reached.
        """
        position = Position(created, 0, 0)
        sql = """insert into kgents.epoch (stream, created, began_at, began_seq, position, seq, read_until)
                 values ($1, $2, $3, $4, $5, 0, $3) returning id"""
        async with self._database.transaction() as connection:
            await connection.fetchval("select pg_advisory_xact_lock(hashtext($1))", f"kgents {stream}")
            last = await connection.fetchval("select max(id) from kgents.epoch where stream = $1", stream)
            if last != (before.id if before is not None else None):
                raise OvertakenError(f"{stream}: another archiver has begun to read it again")
            id_ = await connection.fetchval(sql, stream, created, now, last_seq, _text(position))
        return Epoch(id_, stream, position, last_seq)

    async def write(
        self, epoch: Epoch, messages: Sequence[Message], missing: Sequence[Hole], position: Position | None
    ) -> Epoch:
        """Store messages, what is missing among them, and how far the stream is read; returns the epoch behind them.

        Without a position the messages are stored, and read again after a restart.

        Raises:
            OvertakenError: another archiver stored the same; nothing was done.
            ArchiveError: the server refused, or cannot be reached; nothing was done, or all of it.
        """
        packing = await self._packing_for(messages)
        await self._ensure(each.at.date() for each in messages)
        subjects = await self._numbers({each.subject for each in messages})
        columns = (
            [each.seq for each in messages],
            [each.at for each in messages],
            [subjects[each.subject] for each in messages],
            [each.is_gone for each in messages],
            [packing.codec] * len(messages),
            [packing.pack(each.body) for each in messages],
        )
        async with self._database.transaction() as connection:
            if messages:
                await connection.execute(_INSERT.format(table=self.signal), epoch.id, *columns)
            if position is not None:
                await self._move(connection, epoch, missing, position)
        return msgspec.structs.replace(epoch, position=position) if position is not None else epoch

    async def _move(
        self, connection: "asyncpg.Connection[Any]", epoch: Epoch, missing: Sequence[Hole], position: Position
    ) -> None:
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

    async def _ensure(self, days: Iterable[date]) -> None:
        if missing := sorted({*days} - self._days):
            await partitions.ensure(self._database, self.signal, missing)
            self._days.update(missing)

    def forget_partitions(self) -> None:
        """Ask again which there are: some were dropped."""
        self._days.clear()

    async def _numbers(self, names: set[str]) -> dict[str, int]:
        """The numbers of subjects; those that are new get one."""
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

    async def _packing_for(self, messages: Sequence[Message]) -> Packing:
        """How these are packed: by the dictionary of the archive, which the first messages make."""
        if self._packing is None:
            self._packing = await self._stored_packing()
        if self._packing.codec == RAW and messages:
            for each in messages[: SAMPLES - len(self._samples)]:
                self._samples.append(each.body)
                self._sampled_bytes += len(each.body)
            if len(self._samples) >= SAMPLES or self._sampled_bytes > SAMPLE_BYTES_MAX:
                await self._learn()
        return self._packing

    async def _stored_packing(self) -> Packing:
        sql = "select id, body from kgents.dictionary where signal = $1 order by id limit 1"
        async with self._database.snapshot() as connection:
            found = await connection.fetchrow(sql, self.signal)
        return Packing(*found) if found is not None else Packing()

    async def _learn(self) -> None:
        samples, self._samples, self._sampled_bytes = self._samples, [], 0
        try:
            body = await asyncio.to_thread(train, samples)
        except ValueError:  # they have nothing in common, so they are stored as they are; the next ones may
            return
        async with self._database.transaction() as connection:
            await connection.fetchval("select pg_advisory_xact_lock(hashtext($1))", f"kgents dictionary {self.signal}")
            await connection.execute(
                """insert into kgents.dictionary (signal, body) select $1, $2
                   where not exists (select from kgents.dictionary where signal = $1)""",
                self.signal, body,
            )  # fmt: skip
        self._packing = await self._stored_packing()


def time_of(time_ns: int) -> datetime:
    """Nanoseconds as PostgreSQL keeps them: rounded down to microseconds."""
    seconds, rest_ns = divmod(time_ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1_000)


def _text(position: Position) -> str:
    return msgspec.json.encode(position).decode()
