"""The archiver on real NATS and real PostgreSQL: each message once, as it was published, whatever ends meanwhile."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from kgents_archiver import following
from kgents_archiver.config import Config
from kgents_archiver.store.database import Database
from kgents_archiver.versions import FollowingVersions
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Position
from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract.streams import StreamsConfig
from support.archive import archived, archiving, state_at, until_level, versions
from support.build import make_ref
from support.nats_server import NatsServer
from support.postgres_server import PostgresServer
from support.running import running
from support.state import make_alert, make_event, make_health, make_topology, publish, remake, removed
from support.streams import keep_all, stored
from support.waiting import eventually


def as_stored(deliveries: list[Delivery]) -> list[tuple[str, int, bytes]]:
    return [(each.subject, each.seq, each.payload) for each in deliveries]


async def contents(database: Database, signal: str) -> list[tuple[str, int, bytes]]:
    return [(each.subject, each.seq, each.body) for each in await archived(database, signal)]


async def test_every_version_is_stored_as_it_was_published(
    bus: Bus, config: Config, database: Database, tmp_path: Path
) -> None:
    await publish(bus, make_topology("before"), make_event("a", number=1))
    async with archiving(bus, config, tmp_path) as context:
        for number in range(5):
            await publish(bus, make_topology("a", status=f"s{number}"), make_event("a", number=number))
        await publish(bus, make_health("a"), make_alert("a"), removed(make_topology("a")))
        await until_level(bus, database)
        await eventually(lambda: context.status.state == "in_sync")

    for signal in ("topology", "health", "alert", "event"):
        assert await contents(database, signal) == as_stored(await stored(bus, f"KGENTS_{signal.upper()}"))
    assert [each.is_gone for each in await archived(database, "topology")] == [False] * 6 + [True]


async def test_credentials_are_masked_before_they_are_stored(
    bus: Bus, config: Config, database: Database, tmp_path: Path
) -> None:
    canary = "cAnArY-cAnArY-cAnArY"
    event = replace(make_event("a", number=1), text=f"cannot log in to https://me:{canary}@example.com")
    async with archiving(bus, config, tmp_path):
        await publish(bus, make_topology("a", labels={"db-password": canary}), event)
        await until_level(bus, database)
    for signal in ("topology", "event"):
        (found,) = await archived(database, signal)
        assert b"***" in found.body
        assert canary.encode() not in found.body


async def test_what_ones_own_rules_match_is_not_stored(
    bus: Bus, config: Config, database: Database, tmp_path: Path
) -> None:
    """But for the names that a message is about, which would be those of something else."""
    ours = replace(config, redact=[r"\b\d{16}\b", "(?i)ada lovelace"])
    card, name = "4111111111111111", "p-4111111111111111"
    async with archiving(bus, ours, tmp_path):
        await publish(bus, make_topology(name, labels={"owner": "Ada Lovelace", "card": card}, status=f"of {card}"))
        await publish(bus, make_event("a", number=1))
        await until_level(bus, database)
    (found,) = await archived(database, "topology")
    message = msgspec.json.decode(found.body)
    assert (message["labels"], message["status"]) == ({"owner": "***", "card": "***"}, "of ***")
    assert (found.subject.endswith(name), message["ref"]["name"]) == (True, name)
    assert await contents(database, "event") == as_stored(await stored(bus, "KGENTS_EVENT"))


async def test_an_archiver_that_comes_back_goes_on_where_it_was(
    bus: Bus, config: Config, database: Database, tmp_path: Path
) -> None:
    for number in range(3):
        await publish(bus, make_topology("a", status=f"s{number}"))
        async with archiving(bus, config, tmp_path):
            await publish(bus, make_topology("b", status=f"s{number}"))
            await until_level(bus, database)

    assert await contents(database, "topology") == as_stored(await stored(bus, "KGENTS_TOPOLOGY"))
    assert await lives(database, "KGENTS_TOPOLOGY") == 1


async def test_what_postgres_took_back_or_never_got_is_stored_when_it_is_there_again(
    bus: Bus, config: Config, database: Database, postgres: PostgresServer, tmp_path: Path
) -> None:
    await keep_all(bus, "KGENTS_TOPOLOGY")
    async with archiving(bus, config, tmp_path) as context:
        for life in range(3):
            for number in range(20):
                await publish(bus, make_topology(f"p{number % 4}", status=f"s{life}-{number}"))
            postgres.kill()
            await publish(bus, make_topology("a", status=f"meanwhile{life}"))
            await eventually(lambda: context.status.state == "degraded", within_s=40)
            assert "127.0.0.1" in context.status.reason
            assert "secret" not in context.status.reason
            await postgres.start()
        await eventually(lambda: context.status.state == "in_sync", within_s=60)
        await database.close()
        await until_level(bus, database)

    assert await contents(database, "topology") == as_stored(await stored(bus, "KGENTS_TOPOLOGY"))


async def test_after_an_older_backup_was_restored_nothing_is_mistaken_for_something_else(
    bus: Bus,
    config: Config,
    database: Database,
    postgres: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The archiver runs on. The numbers that it knew are given to other subjects."""
    monkeypatch.setattr(following, "STANDBY_S", 0.5)
    monkeypatch.setattr(following, "STANDBY_ROUND_S", 0.1)
    file = postgres.data / "backup.sql"
    await keep_all(bus, "KGENTS_TOPOLOGY")
    async with archiving(bus, config, tmp_path):
        await publish(bus, make_topology("a"), make_event("a"))
        await until_level(bus, database)
        backup = ("--host=127.0.0.1", f"--port={postgres.port}", "--username=root", "--dbname=kgents")
        postgres.run("pg_dump", *backup, f"--file={file}")
        await publish(bus, make_topology("lost"), removed(make_topology("lost")), make_topology("b"), make_event("b"))
        await until_level(bus, database)
        await database.close()
        await postgres.sql("drop database kgents with (force)")
        await postgres.sql("create database kgents owner archive")
        postgres.run("psql", *backup, "--single-transaction", "--set=ON_ERROR_STOP=1", f"--file={file}")
        await publish(bus, make_event("c"), make_topology("c"), make_topology("d"), make_topology("b", status="new"))
        await eventually(lambda: has(database, "topology", 7), within_s=90)
        await eventually(lambda: has(database, "event", 3), within_s=90)
    assert await contents(database, "topology") == as_stored(await stored(bus, "KGENTS_TOPOLOGY"))
    assert await contents(database, "event") == as_stored(await stored(bus, "KGENTS_EVENT"))


async def test_of_two_archivers_each_message_is_stored_once_and_one_stands_by(
    bus: Bus, config: Config, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    async with archiving(bus, config, tmp_path), archiving(bus, config, tmp_path / "other"):
        for number in range(100):
            await publish(bus, make_topology(f"p{number % 20}", status=f"s{number}"))
        await until_level(bus, database)

    assert await contents(database, "topology") == as_stored(await stored(bus, "KGENTS_TOPOLOGY"))
    assert await lives(database, "KGENTS_TOPOLOGY") == 1
    assert await gaps(database) == 0


async def test_one_that_stands_by_is_in_sync_only_if_the_other_has_stored_it(
    bus: Bus, config: Config, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one may have stopped."""
    monkeypatch.setattr(following, "STANDBY_ROUND_S", 0.05)
    standby = FollowingVersions(bus, config, "topology", lambda: None)
    async with running(standby._stand_by()):
        async with archiving(bus, config, tmp_path):
            await publish(bus, make_topology("a"))
            await until_level(bus, database)
            await eventually(lambda: standby.progress.is_caught_up)
        await publish(bus, make_topology("b"))
        await eventually(lambda: not standby.progress.is_caught_up)
        async with archiving(bus, config, tmp_path):
            await eventually(lambda: standby.progress.is_caught_up)
    await standby._database.close()


async def test_a_stream_that_is_made_again_begins_another_life(
    bus: Bus, config: Config, database: Database, tmp_path: Path
) -> None:
    async with archiving(bus, config, tmp_path):
        await publish(bus, make_topology("a"), make_topology("b"), make_topology("c"))
        await until_level(bus, database)
        first = await stored(bus, "KGENTS_TOPOLOGY")
        await remake(bus, "KGENTS_TOPOLOGY")
        await publish(bus, make_topology("b", status="again"))
        await eventually(lambda: has(database, "topology", 4), within_s=60)

    assert await contents(database, "topology") == [*as_stored(first), *as_stored(await stored(bus, "KGENTS_TOPOLOGY"))]
    assert await lives(database, "KGENTS_TOPOLOGY") == 2
    assert await gaps(database) == 0


async def test_a_stream_that_went_back_begins_another_life(
    bus: Bus, config: Config, database: Database, server: NatsServer, tmp_path: Path
) -> None:
    """Also while the archiver was away, and where it has counted on past what was read."""
    await publish(bus, make_topology("a"))
    await server.copy_store()
    async with archiving(bus, config, tmp_path):
        await publish(bus, make_topology("lost"))
        await until_level(bus, database)
    await server.go_back()
    await eventually(lambda: bus.is_connected)
    for number in range(3):
        await publish(bus, make_topology(f"p{number}"))
    async with archiving(bus, config, tmp_path):
        await eventually(lambda: has(database, "topology", 6), within_s=60)

    found = [each.subject.rpartition(".")[2] for each in await archived(database, "topology")]
    assert sorted(found) == ["a", "a", "lost", "p0", "p1", "p2"]


async def test_what_the_stream_forgot_before_it_was_read_is_counted(
    bus: Bus, config: Config, database: Database, tmp_path: Path
) -> None:
    """One calm entity keeps the oldest sequence of the stream, so that does not show it."""
    await publish(bus, make_topology("calm"))
    async with archiving(bus, config, tmp_path):
        await until_level(bus, database)
    history = StreamsConfig().history
    for number in range(history + 30):
        await publish(bus, make_topology("hot", status=f"s{number}"))
    async with archiving(bus, config, tmp_path):
        await until_level(bus, database)

    assert len(await archived(database, "topology")) == 1 + history
    assert await gaps(database) == 30


async def test_what_was_removed_while_no_one_read_for_too_long_is_gone(
    bus: Bus, config: Config, database: Database, tmp_path: Path
) -> None:
    """A removal is stored for seven days. Who comes later would keep what was removed for good."""
    await publish(bus, make_topology("gone"), make_topology("kept"))
    async with archiving(bus, config, tmp_path):
        await until_level(bus, database)
    await age(database, timedelta(days=8))
    session = await bus.session()
    await session.api("STREAM.PURGE.KGENTS_TOPOLOGY", {"filter": make_ref("gone").subject("topology")}, dict)
    history = StreamsConfig().history
    for number in range(history + 5):
        await publish(bus, make_topology("hot", status=f"s{number}"))
    async with archiving(bus, config, tmp_path):
        await eventually(lambda: _reads(database, {"kept", "hot"}))
        await until_level(bus, database)

    assert (await lives(database, "KGENTS_TOPOLOGY"), await gaps(database)) == (2, 5)
    found = await versions(database, "topology")
    assert found.messages[0].subject.endswith(".gone"), "what is archived stays"
    assert len(found.coverage.ended) == 1


async def _reads(database: Database, names: set[str]) -> bool:
    found = await state_at(database, "topology", datetime.now(UTC) + timedelta(minutes=1))
    return {each.subject.rpartition(".")[2] for each in found.messages} == names


async def age(database: Database, by: timedelta) -> None:
    """As if what is stored had been read so much earlier."""
    async with database.transaction() as connection:
        for id_, text in await connection.fetch("select id, position from kgents.epoch"):
            known = msgspec.json.decode(text, type=Position)
            older = replace(known, time_ns=known.time_ns - int(by.total_seconds()) * 1_000_000_000)
            await connection.execute(
                "update kgents.epoch set position = $1, read_until = read_until - $2::interval where id = $3",
                msgspec.json.encode(older).decode(), by, id_,
            )  # fmt: skip


async def test_what_was_forgotten_before_the_archive_began_is_no_gap(
    bus: Bus, config: Config, database: Database, tmp_path: Path
) -> None:
    for number in range(40):
        await publish(bus, make_topology("hot", status=f"s{number}"))
    async with archiving(bus, config, tmp_path):
        await until_level(bus, database)

    assert len(await archived(database, "topology")) == StreamsConfig().history
    assert await gaps(database) == 0


async def test_packed_bodies_are_the_bytes_that_were_published(
    bus: Bus, config: Config, database: Database, tmp_path: Path
) -> None:
    await keep_all(bus, "KGENTS_TOPOLOGY")
    labels = {f"label-{number}": "the same in every message" for number in range(20)}
    async with archiving(bus, config, tmp_path):
        for number in range(1_200):
            await publish(bus, make_topology(f"p{number}", labels=labels))
        await until_level(bus, database)

    assert await contents(database, "topology") == as_stored(await stored(bus, "KGENTS_TOPOLOGY"))
    async with database.snapshot() as connection:
        codecs = await connection.fetch(
            "select codec, avg(length(body))::int from kgents.topology group by 1 order by 1"
        )
    (_, raw_bytes), (_, packed_bytes) = codecs
    assert packed_bytes < raw_bytes / 3


async def has(database: Database, signal: str, count: int) -> bool:
    return len(await archived(database, signal)) == count


async def lives(database: Database, stream: str) -> int:
    async with database.snapshot() as connection:
        found: int = await connection.fetchval("select count(*) from kgents.epoch where stream = $1", stream)
    return found


async def gaps(database: Database) -> int:
    async with database.snapshot() as connection:
        found: int = await connection.fetchval("select coalesce(sum(last_seq - first_seq + 1), 0)::int from kgents.gap")
    return found
