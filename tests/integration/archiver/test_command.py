"""`kgents archive` and `--at` beyond what the streams hold: real commands, a real NATS and a real PostgreSQL."""

import json
from datetime import timedelta
from pathlib import Path

from kgents_archiver.config import Config
from kgents_archiver.store.database import Database
from kgents_archiver.store.ledger import time_of
from kgents_shared.bus.client import Bus
from kgents_shared.contract.streams import StreamsConfig
from support.archive import archiving, config_of, open_database, until_level
from support.kgents_command import Result, run_kgents
from support.postgres_server import PostgresServer
from support.state import make_health, make_topology, publish, remake
from support.streams import stored
from support.waiting import eventually


async def kgents(file: Path, *words: str) -> Result:
    return await run_kgents(*words, "--config", str(file))


async def test_tables_are_made_by_a_command_that_says_what_it_did(file: Path) -> None:
    missing = await kgents(file, "archive", "status")
    assert (missing.code, "try: kgents archive migrate" in missing.out) == (1, True)
    planned = await kgents(file, "archive", "migrate", "--dry-run")
    assert "would apply 1 versions" in planned.out
    made = await kgents(file, "archive", "migrate")
    assert "applied 1 versions" in made.out
    assert "up to date" in (await kgents(file, "archive", "migrate")).out
    empty = await kgents(file, "archive", "status")
    assert (empty.code, "kgents run archiver" in empty.out) == (0, True)


async def test_without_an_archive_the_command_says_what_to_write(tmp_path: Path) -> None:
    result = await run_kgents("archive", "status", "--nats", "nats://127.0.0.1:1")
    assert result.code == 78
    assert "archiver.host: expected where PostgreSQL is" in result.err


async def test_an_unreachable_server_is_named(tmp_path: Path) -> None:
    path = tmp_path / "kgents.yaml"
    path.write_text(json.dumps({"archiver": {"host": "127.0.0.1", "port": 1}}))
    result = await kgents(path, "archive", "status")
    assert result.code == 1
    assert "kgents at 127.0.0.1:1" in result.err


async def test_a_past_moment_is_answered_beyond_what_the_streams_hold(
    bus: Bus, postgres: PostgresServer, config: Config, file: Path, tmp_path: Path
) -> None:
    """Of an entity that changed more often than its stream remembers, and of a stream that was made again."""
    async with open_database(config) as database, archiving(bus, config_of(postgres), tmp_path):
        await eventually(lambda: until_begun(database))
        await publish(bus, make_topology("hot", status="first"), make_topology("calm"), make_health("calm"))
        then = await _now(bus)
        for number in range(StreamsConfig().history + 4):
            await publish(bus, make_topology("hot", status=f"s{number}"))
        await until_level(bus, database)
        forgotten = await kgents(file, "get", "pods", "--at", then, "-o", "json")
        assert {each["ref"]["name"]: each["status"] for each in json.loads(forgotten.out)} == {
            "calm": "running",
            "hot": "first",
        }
        assert "changed too often" not in forgotten.err

        for stream in ("TOPOLOGY", "HEALTH", "ALERT"):
            await remake(bus, f"KGENTS_{stream}")
        remade = await kgents(file, "get", "pods", "--at", then, "-o", "json")
        assert {each["ref"]["name"]: each["status"] for each in json.loads(remade.out)} == {
            "calm": "running",
            "hot": "first",
        }
        assert "nothing is known before" not in remade.err

        status = await kgents(file, "archive", "status", "-o", "json")
        streams = {each["stream"]: each for each in json.loads(status.out)["streams"]}
        assert streams["KGENTS_TOPOLOGY"]["missing"] == 0
        assert "KGENTS_TOPOLOGY" in (await kgents(file, "archive", "status")).out

        await postgres.stop()
        without = await kgents(file, "get", "pods", "--at", then, "-o", "json")
        assert "archive: kgents at 127.0.0.1" in without.err
        assert "nothing is known before" in without.err, "an archive that is away is no empty answer"


async def until_begun(database: Database) -> bool:
    async with database.snapshot() as connection:
        return bool(await connection.fetchval("select count(*) = 7 from kgents.epoch"))


async def _now(bus: Bus) -> str:
    """When the last message was stored, and a moment."""
    found = [*await stored(bus, "KGENTS_TOPOLOGY"), *await stored(bus, "KGENTS_HEALTH")]
    last_ns = max(each.time_ns for each in found)
    return (time_of(last_ns) + timedelta(microseconds=1)).isoformat()
