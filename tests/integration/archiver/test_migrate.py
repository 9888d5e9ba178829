"""The tables of the archive: made once, whoever makes them, and refused if they are not those of this program."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from kgents_archiver.app import run
from kgents_archiver.config import Config
from kgents_archiver.store import migrate as migrating
from kgents_archiver.store.database import ArchiveError, Database, RefusedError
from kgents_archiver.store.migrate import migrate, migrations, require, schema
from kgents_archiver.store.writing import Message, Writer
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import Secret
from kgents_shared.bus.consume import Position
from kgents_shared.contract.errors import ConfigError
from support.archive import archived, archiving, config_of, open_database
from support.postgres_server import PostgresServer
from support.waiting import within

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)


async def test_several_at_once_apply_each_change_once(config: Config) -> None:
    async def applied() -> list[int]:
        async with open_database(config, migrated=False) as database:
            return [each.version for each in await migrate(database)]

    async with asyncio.TaskGroup() as tasks:
        made = [tasks.create_task(applied()) for _ in range(6)]
    assert sorted(version for each in made for version in each.result()) == [each.version for each in migrations()]


async def test_tables_of_the_version_before_keep_what_they_hold(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = migrations()
    async with open_database(config, migrated=False) as database:
        for count in range(1, len(every) + 1):
            monkeypatch.setattr(migrating, "migrations", lambda count=count: every[:count])
            assert [each.version for each in await migrate(database)] == [every[count - 1].version]
            async with database.transaction() as connection:
                await connection.execute("insert into kgents.subject (name) values ($1)", f"version {count}")
                names = await connection.fetch("select name from kgents.subject order by id")
            assert [each[0] for each in names] == [f"version {each}" for each in range(1, count + 1)]
        await require(database)


async def test_a_database_without_tables_names_the_command(config: Config) -> None:
    async with open_database(config, migrated=False) as database:
        with pytest.raises(ConfigError, match=r"found none; try: kgents archive migrate"):
            await require(database)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("update kgents.schema_migrations set sha256 = 'other'", "expected migration 1 as released, found another"),
        ("insert into kgents.schema_migrations values (99, 'later', '')", r"found 99 \(later\); try: the archiver"),
    ],
)
async def test_tables_of_another_program_are_refused(database: Database, change: str, words: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(change)
    for refused in (require(database), migrate(database)):
        with pytest.raises(ConfigError, match=words):
            await refused


async def test_a_change_that_fails_leaves_nothing_of_itself(postgres: PostgresServer, config: Config) -> None:
    await postgres.sql("create schema kgents authorization archive", database="kgents")
    await postgres.sql("create table kgents.gap (); alter table kgents.gap owner to archive", database="kgents")
    async with open_database(config, migrated=False) as database:
        with pytest.raises(ArchiveError, match="already exists"):
            await migrate(database)
        assert (await schema(database)).applied == ()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"password": Secret("wrong")}, "password authentication failed"),
        ({"database": "none"}, 'database "none" does not exist'),
        ({"tls": "verify"}, "SSL"),
        ({"port": 1}, "127.0.0.1:1"),
    ],
)
async def test_a_server_that_does_not_let_us_in_is_named_with_the_reason(
    postgres: PostgresServer, settings: dict[str, object], words: str
) -> None:
    async with open_database(config_of(postgres, **settings), migrated=False) as database:
        with pytest.raises(ArchiveError, match=words) as found:
            await schema(database)
    assert isinstance(found.value, RefusedError) is ("password" in settings or "database" in settings)
    assert "wrong" not in str(found.value)


async def test_a_service_does_not_change_tables_that_others_share(bus: Bus, config: Config, tmp_path: Path) -> None:
    checking = Config(**{**{name: getattr(config, name) for name in config.__struct_fields__}, "migrate": "check"})
    with pytest.RaisesGroup(ConfigError, flatten_subgroups=True, allow_unwrapped=True):
        async with archiving(bus, checking, tmp_path) as context, within(20):
            await run(context)


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="set tls: verify"):
        Config(host="127.0.0.1", ca_file="/ca.pem")
    with pytest.raises(ValueError, match="a url"):
        Config(host="postgres://db")
    assert [Config(host=host).needs_tls for host in ("127.0.0.1", "::1", "/run/postgresql", "localhost", "db")] == [
        False, False, False, False, True,
    ]  # fmt: skip


async def test_each_change_keeps_what_the_tables_of_the_version_before_hold(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that was stored before a change is read after it."""
    released = migrations()
    monkeypatch.setattr("kgents_archiver.store.migrate.migrations", lambda: released[:1])
    async with open_database(config) as database:
        writer = Writer(database, "topology")
        epoch = await writer.begin("KGENTS_TOPOLOGY", "first", now=BEGAN, last_seq=0, before=None)
        message = Message(1, BEGAN, "kgents.topology.test.pod.shop.a", False, b"{}")
        with monkeypatch.context() as then:  # writers of that version asked for nothing that was forgotten
            then.setattr("kgents_archiver.store.ledger.Ledger.require_numbers", AsyncMock())
            await writer.write(epoch, [message], [], Position("first", 1, int(BEGAN.timestamp() * 1e9)))
        for number in range(2, len(released) + 1):
            monkeypatch.setattr("kgents_archiver.store.migrate.migrations", lambda number=number: released[:number])
            assert [each.version for each in await migrate(database)] == [released[number - 1].version]
        assert [each.body for each in await archived(database, "topology")] == [b"{}"]
        assert await writer.epoch("KGENTS_TOPOLOGY") is not None
