"""The audit trail in the archive: one chain, however many archivers there are and whatever ends; and what it shows."""

import asyncio
import json
from pathlib import Path
from typing import Final

import pytest

from kgents_archiver.chain import Link
from kgents_archiver.config import Config
from kgents_archiver.store.database import ArchiveError, Database
from kgents_archiver.store.ledger import time_of
from kgents_archiver.store.trail import TrailWriter, links
from kgents_archiver.store.writing import Message
from kgents_shared.bus.audit import audited, record_one
from kgents_shared.bus.client import Bus
from support import streams
from support.archive import archiving, open_database
from support.audit import make_record
from support.kgents_command import Result, run_kgents
from support.postgres_server import PostgresServer
from support.state import remake
from support.waiting import eventually

NO_GUARD: Final = "alter table kgents.audit disable trigger user"
CHANGES: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (("update kgents.audit set body = replace(convert_from(body, 'utf8'), 'ada', 'bob')::bytea where n = 2",),
     "record 2: it is not as it was recorded"),
    (("delete from kgents.audit where n = 2",), "record 2: expected it, found 3 next"),
    (("update kgents.epoch set seq = 3 where stream = 'KGENTS_AUDIT'", "delete from kgents.audit where n > 3"),
     "record 4: expected records up to"),
    (("delete from kgents.audit",), "record 1: expected records up to"),
    (("create temp table moved as select * from kgents.audit where n in (1, 2)",
      "delete from kgents.audit where n < 3",
      "insert into kgents.audit select 3 - n, prev, hash, life, seq, at, subject, body from moved"),
     "record 1: it does not follow"),
    (("update kgents.audit set forgotten = sha256(body), body = '' where n = 2",),
     "record 2: its content is gone, and no record says that it was forgotten"),
)  # fmt: skip
"""What someone does to the table who may, and what is found."""


async def write(bus: Bus, *targets: str) -> None:
    for target in targets:
        async with audited(bus, make_record(target)):
            pass


async def chain(database: Database) -> list[Link]:
    return [each async for each in links(database)]


async def is_level(bus: Bus, database: Database) -> bool:
    """Whether the chain ends with what the stream ends with, and that is an anchor."""
    found, kept = await chain(database), await streams.log(bus, "KGENTS_AUDIT")
    return bool(found) and found[-1].stored.seq == kept[-1].seq and found[-1].stored.subject.endswith(".anchor")


async def kgents(file: Path, *words: str) -> Result:
    return await run_kgents("audit", *words, "--config", str(file))


async def tamper(database: Database, *statements: str) -> None:
    async with database.transaction() as connection:
        for each in statements:
            await connection.execute(each)


async def test_two_archivers_and_every_end_of_both_leave_one_chain(
    bus: Bus, config: Config, database: Database, postgres: PostgresServer, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    for life in range(2):
        async with archiving(bus, config, tmp_path), archiving(bus, config, tmp_path / "other"):
            await write(bus, *(f"{life}-{number}" for number in range(10)))
            postgres.kill()
            await write(bus, f"{life}-meanwhile")
            await postgres.start()
        await database.close()
    async with archiving(bus, config, tmp_path):
        await eventually(lambda: is_level(bus, database), within_s=60)
    found, kept = await chain(database), await streams.log(bus, "KGENTS_AUDIT")
    assert [each.n for each in found] == [*range(1, len(found) + 1)]
    assert [(each.stored.seq, each.stored.subject, each.stored.body, each.stored.at) for each in found] == [
        (each.seq, each.subject, each.payload, time_of(each.time_ns)) for each in kept
    ]


async def test_writers_at_once_never_fork_the_chain(bus: Bus, config: Config, database: Database) -> None:
    """Each appends its own records: nothing but the lock holds them apart."""
    at = time_of(1_764_000_000_000_000_000)

    async def append(number: int) -> None:
        async with open_database(config, migrated=False) as own:
            writer = TrailWriter(own, "audit")
            epoch = await writer.begin(f"stream {number}", "created", now=at, last_seq=0, before=None)
            for seq in range(1, 21):
                await writer.write(epoch, [Message(seq, at, "kgents.audit.test.x", False, b"{}")], [], None)

    async with asyncio.TaskGroup() as tasks:
        for number in range(4):
            tasks.create_task(append(number))
    found = await chain(database)
    assert len(found) == 80
    assert [each.prev for each in found[1:]] == [each.hash for each in found[:-1]]


async def test_what_is_whole_is_verified_listed_and_exported(
    bus: Bus, config: Config, database: Database, file: Path, tmp_path: Path
) -> None:
    async with archiving(bus, config, tmp_path):
        await write(bus, "backup a", "backup b")
        await eventually(lambda: is_level(bus, database), within_s=60)
    verified = await kgents(file, "verify")
    assert (verified.code, "whole and in order; compared with" in verified.out) == (0, True), (
        verified.out + verified.err
    )
    copy = tmp_path / "audit.jsonl"
    exported = await kgents(file, "export", str(copy))
    head = exported.err.strip().rpartition(" ")[2]
    assert exported.code == 0
    assert (await kgents(file, "export", str(copy))).code == 1, "it must be new"
    assert (await kgents(file, "verify", str(copy), "--head", head)).code == 0

    changed = copy.read_bytes().replace(b"backup b", b"backup c", 1)
    copy.write_bytes(changed)
    refused = await kgents(file, "verify", str(copy), "-o", "json")
    assert (refused.code, json.loads(refused.out)["faults"][0]["n"]) == (1, 3)

    await remake(bus, "KGENTS_AUDIT")
    await write(bus, "backup d")
    listed = json.loads((await kgents(file, "ls", "-o", "json")).out)
    assert [each["target"] for each in listed] == ["backup a", "backup b", "backup d"], "beyond what the stream holds"


async def test_tampering_with_the_table_is_found_and_the_first_record_named(
    bus: Bus, config: Config, database: Database, file: Path, tmp_path: Path
) -> None:
    async with archiving(bus, config, tmp_path):
        await write(bus, "backup a", "backup b")
        await eventually(lambda: is_level(bus, database), within_s=60)
    for statement in (CHANGES[0][0][-1], CHANGES[1][0][-1], "truncate kgents.audit"):
        with pytest.raises(ArchiveError, match="records are only added"):
            await tamper(database, statement)
    await tamper(database, NO_GUARD, "create table kgents.copy as select * from kgents.audit")
    for statements, words in CHANGES:
        await tamper(database, *statements)
        found = await kgents(file, "verify")
        assert (found.code, words in found.out) == (1, True), found.out + found.err
        await tamper(database, "delete from kgents.audit", "insert into kgents.audit select * from kgents.copy")
    assert (await kgents(file, "verify")).code == 0


async def test_an_anchor_that_another_chain_gave_is_a_fault(
    bus: Bus, config: Config, database: Database, file: Path, tmp_path: Path
) -> None:
    async with archiving(bus, config, tmp_path):
        await write(bus, "backup a")
        await eventually(lambda: is_level(bus, database), within_s=60)
    await record_one(bus, make_record(action="anchor", stage="done", after={"n": 1, "hash": "00" * 32}))
    found = await kgents(file, "verify")
    assert (found.code, "record 1: it is not the one that the anchor of" in found.out) == (1, True), found.out
