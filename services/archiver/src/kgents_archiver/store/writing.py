"""Messages of a stream and the position behind them → rows, in one transaction."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Final

import msgspec

from kgents_archiver.compression import RAW, SAMPLE_BYTES_MAX, SAMPLES, Packing, train
from kgents_archiver.holes import Hole
from kgents_archiver.store import partitions
from kgents_archiver.store.database import Database
from kgents_archiver.store.ledger import Epoch, Ledger
from kgents_archiver.store.partitions import EVENT
from kgents_shared.bus.consume import Position

_INSERT: Final = """
insert into kgents.{table} (epoch, seq, at, subject, is_gone, codec, body)
select $1, * from unnest($2::bigint[], $3::timestamptz[], $4::bigint[], $5::boolean[], $6::smallint[], $7::bytea[])
on conflict do nothing
"""
_INSERT_NEW: Final = """
insert into kgents.{table} (epoch, seq, at, subject, is_gone, codec, body)
select $1, new.* from unnest($2::bigint[], $3::timestamptz[], $4::bigint[], $5::boolean[], $6::smallint[], $7::bytea[])
    as new (seq, at, subject, is_gone, codec, body)
where not exists (
    select from kgents.{table} known
    where known.subject = new.subject and known.at = new.at and known.seq = new.seq and known.epoch < $1
)
on conflict do nothing
"""
"""Of a log: a stream that went back holds again what a former life did, and an event happened once."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """What is stored of one message."""

    seq: int
    at: datetime
    """When the stream stored it, rounded down to microseconds."""
    subject: str
    is_gone: bool
    """Whether it says that there is nothing of this subject any more."""
    body: bytes


class Writer(Ledger):
    """Writes one signal, of which it alone knows the position."""

    def __init__(self, database: Database, signal: str) -> None:
        super().__init__(database)
        self.signal: Final = signal
        self._days: set[date] = set()
        self._packing: Packing | None = None
        self._samples: list[bytes] = []
        self._sampled_bytes = 0

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
        subjects = await self.numbers({each.subject for each in messages})
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
                await self.require_numbers(connection)
                insert = _INSERT_NEW if self.signal == EVENT and not epoch.is_first else _INSERT
                await connection.execute(insert.format(table=self.signal), epoch.id, *columns)
            if position is not None:
                await self.move(connection, epoch, missing, position)
        return msgspec.structs.replace(epoch, position=position) if position is not None else epoch

    async def _ensure(self, days: Iterable[date]) -> None:
        if missing := sorted({*days} - self._days):
            await partitions.ensure(self._database, self.signal, missing)
            self._days.update(missing)

    def forget_known(self) -> None:
        """See `Ledger.forget_known`."""
        super().forget_known()
        self._days.clear()
        self._packing, self._samples, self._sampled_bytes = None, [], 0

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
