"""The archiver as a process that is killed anywhere, and behind a pooler that hands out sessions by transaction."""

import asyncio
import json
import random
import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kgents_archiver.config import Config
from kgents_archiver.store.database import ArchiveError, Database
from kgents_archiver.store.ledger import Ledger
from kgents_archiver.store.migrate import migrate, migrations
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import Secret
from support.archive import archived, archiving, config_of, open_database, until_level
from support.nats_server import NatsServer
from support.pgbouncer_server import PgbouncerServer
from support.postgres_server import PostgresServer
from support.service_process import ServiceProcess
from support.state import make_topology, publish
from support.streams import stored
from support.waiting import eventually


async def test_an_archiver_that_is_killed_anywhere_has_stored_all_or_counts_what_it_missed(
    bus: Bus, server: NatsServer, config: Config, database: Database, postgres: PostgresServer, tmp_path: Path
) -> None:
    """The stream keeps 16 versions, so what was published while no archiver ran may be gone: then it is a gap.

    Once PostgreSQL is killed with it, and started again beside it: what was stored last may be lost with its position.
    """
    (tmp_path / "password").write_text("secret\n")
    section = {"host": config.host, "port": config.port, "user": config.user, "database": config.database}
    section |= {"password_file": str(tmp_path / "password")}
    path = tmp_path / "kgents.yaml"
    path.write_text(json.dumps({"archiver": section}))
    dice = random.Random(11)
    published: dict[int, tuple[str, str]] = {}
    async with ServiceProcess("archiver", server.url, tmp_path, config=path) as process:
        await eventually(lambda: _has_begun(database), within_s=60)
        for life in range(3):
            for number in range(dice.randint(20, 60)):
                name, status = f"p{number % 2}", f"s{life}-{number}"
                await publish(bus, make_topology(name, status=status))
                published[len(published) + 1] = name, status
            process.kill()
            if life == 1:
                postgres.kill()
            for number in range(dice.randint(0, 30)):
                await publish(bus, make_topology("away", status=f"s{life}-{number}"))
                published[len(published) + 1] = "away", f"s{life}-{number}"
            process.start()
            if life == 1:
                await postgres.start()
        await database.close()
        await until_level(bus, database, "topology")

    found = {each.seq: each for each in await archived(database, "topology")}
    async with database.snapshot() as connection:
        gaps = await connection.fetch("select first_seq, last_seq from kgents.gap join kgents.epoch on id = epoch")
    missing = {seq for first, last in gaps for seq in range(first, last + 1)}
    assert found.keys() | missing == published.keys()
    assert not found.keys() & missing
    for seq, (name, status) in published.items():
        if seq in found:
            assert found[seq].subject.endswith(f".{name}")
            assert json.loads(found[seq].body)["status"] == status
    assert {each.seq for each in await stored(bus, "KGENTS_TOPOLOGY")} <= found.keys(), "what is still there is no gap"


async def test_no_crash_takes_back_that_a_stream_was_begun(database: Database, postgres: PostgresServer) -> None:
    """Else the archive would begin again behind what it lost, as if that had never been its own."""
    ledger = Ledger(database)
    begun = await ledger.begin(
        "KGENTS_TOPOLOGY", "2026-01-01", now=datetime(2026, 1, 1, tzinfo=UTC), last_seq=3, before=None
    )
    postgres.kill()
    await postgres.start()
    await database.close()
    assert await ledger.epoch("KGENTS_TOPOLOGY") == begun


async def _has_begun(database: Database) -> bool:
    async with database.snapshot() as connection:
        return bool(await connection.fetchval("select count(*) > 0 from kgents.epoch where stream = 'KGENTS_TOPOLOGY'"))


async def test_behind_a_pooler_tables_are_made_once_and_messages_are_stored_once(
    bus: Bus, postgres: PostgresServer, tmp_path: Path
) -> None:
    """Two sessions of the server for four migrations at once, and for two archivers with all their questions."""
    await postgres.sql("create role other login password 'other'; grant create on database postgres to other")
    async with PgbouncerServer(tmp_path / "pooler", postgres, default_pool_size=2) as pooler:
        config = config_of(postgres, user="other", password=Secret("other"), database="postgres")
        pooled = config_of(
            postgres, port=pooler.port, user="other", password=Secret("other"), database="postgres", migrate="check"
        )

        async def applied() -> list[int]:
            async with open_database(pooled, migrated=False) as database:
                return [each.version for each in await migrate(database)]

        async with asyncio.TaskGroup() as tasks:
            made = [tasks.create_task(applied()) for _ in range(4)]
        versions = sorted(version for each in made for version in each.result())
        assert versions == [each.version for each in migrations()]

        (tmp_path / "other").mkdir()
        async with open_database(config, migrated=False) as database:
            async with archiving(bus, pooled, tmp_path), archiving(bus, pooled, tmp_path / "other"):
                await eventually(lambda: _has_begun(database), within_s=60)
                for number in range(60):
                    await publish(bus, make_topology(f"p{number % 20}", status=f"s{number}"))
                await until_level(bus, database, "topology")
            found = [(each.subject, each.seq, each.body) for each in await archived(database, "topology")]
        assert found == [(each.subject, each.seq, each.payload) for each in await stored(bus, "KGENTS_TOPOLOGY")]


async def test_an_error_between_two_statements_is_one_of_the_archive() -> None:
    """A pooler whose server has gone says so in the middle of a transaction, and asyncpg calls what follows internal.

    As PgBouncer 1.18 did to a client of `tests/faults/collector_db/test_pgbouncer.py`; the bytes are PostgreSQL's.
    """

    def message(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("!I", len(body) + 4) + body

    async def pooler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack("!I", await reader.readexactly(4))
        await reader.readexactly(length - 4)
        is_idle = message(b"Z", b"I")
        writer.write(message(b"R", bytes(4)) + message(b"S", b"server_version\x0016.1\0") + is_idle)
        await reader.read(100)
        error = message(b"E", b"SFATAL\0C08P01\0Mserver conn crashed?\0\0")
        writer.write(message(b"C", b"BEGIN\0") + message(b"Z", b"T") + error)
        await reader.read()
        writer.close()
        await writer.wait_closed()
        is_over.set()

    is_over = asyncio.Event()
    async with await asyncio.start_server(pooler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        database = Database(Config(host="127.0.0.1", port=port, user="archive", database="kgents"))

        async def ask() -> None:
            async with database.connection() as connection:
                await connection.execute("begin")
                await connection.fetch("select 1")

        with pytest.raises(ArchiveError, match=f"^kgents at 127.0.0.1:{port}: "):
            await ask()
        await database.close()
        await is_over.wait()
