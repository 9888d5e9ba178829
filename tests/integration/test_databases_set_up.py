"""What deploy/databases holds, on real servers: settings, least rights, and backups that are restored and compared."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

from support.certificates import Certificates
from support.pgbouncer_server import PgbouncerServer
from support.ports import free_port
from support.postgres_server import PostgresServer, owner
from support.process import OwnProcess, accepts, spawn, until_ready
from support.programs import need
from support.redis_server import program_of
from support.tls_databases import require_certificates
from support.waiting import eventually

FOLDER = Path(__file__).parents[2] / "deploy" / "databases"
BACKUP = FOLDER / "backup"
SECRETS = {"app": "for-the-app", "kgents": "for-the-collector", "replica": "for-replicas", "backup": "for-backups"}
PASSWORDS = {"monitor_password": "m'onitor", "replicator_password": "r eplicator", "pooler_password": "pooler"}

pytestmark = pytest.mark.timeout(240)


def run(command: list[str | Path], environment: Mapping[str, str], *, user: Mapping[str, Any] | None = None) -> str:
    """A program, as the server's user where one is given; fails with what it says."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [str(each) for each in command], env={**os.environ, **environment}, capture_output=True, text=True, timeout=120,
        check=False, **(user or {}),
    )  # fmt: skip
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


class Deployed(PostgresServer):
    """A PostgreSQL with our files, which the settings of the test only adapt to this machine."""

    def configure(self, **settings: object) -> None:
        archive = self.directory / "archive"
        archive.mkdir(exist_ok=True)
        own = (FOLDER / "postgres" / "postgresql.conf").read_text().replace("/archive/", f"{archive}/")
        (self.data / "deployed.conf").write_text(own.replace("'1GB'", "'16MB'"))
        main = self.data / "postgresql.conf"
        if "deployed.conf" not in main.read_text():
            main.write_text(main.read_text() + "\ninclude 'deployed.conf'\n")
        super().configure(**settings)
        shutil.copy(FOLDER / "postgres" / "pg_hba.development.conf", self.data / "pg_hba.conf")
        self.give(self.data / "deployed.conf", self.data / "pg_hba.conf", archive)

    def environment_of(self, role: str, password: str) -> dict[str, str]:
        """For programs of PostgreSQL that connect as a role."""
        programs = f"{self._programs}:{os.environ['PATH']}"
        return {
            "PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": role, "PGPASSWORD": password, "PATH": programs,
            "HOME": "/tmp",  # noqa: S108
        }  # fmt: skip


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[Deployed]:
    server = Deployed(tmp_path / "postgres", archive_timeout="1s")
    async with server:
        await server.sql("drop role kgents")
        words = [word for name, value in PASSWORDS.items() for word in ("-v", f"{name}={value}")]
        for _ in range(2):  # it may be run again
            run(
                [need("psql"), "-X", "-q", "-d", "postgres", *words, "-f", FOLDER / "postgres" / "roles.sql"],
                {**server.environment_of("root", "root"), "PGHOST": str(server.directory)},
            )
        yield server


async def test_postgresql_takes_our_files_and_the_collector_only_reads(postgres: Deployed) -> None:
    assert await postgres.value("select count(*) from pg_file_settings where error is not null") == 0
    assert await postgres.value("select count(*) from pg_hba_file_rules where error is not null") == 0
    await postgres.sql("create table secrets as select 'x' as value")

    monitor = await postgres.connect("kgents", PASSWORDS["monitor_password"])
    assert await monitor.fetchval("select count(*) from pg_stat_statements") > 0
    assert await monitor.fetchval("select count(*) from pg_stat_activity where query <> ''") > 0
    for refused in ("select * from secrets", "create table mine (x int)", "select pooler.login('root')"):
        with pytest.raises(asyncpg.PostgresError):
            await monitor.execute(refused)
    await monitor.close()


async def test_postgresql_without_tls_is_refused_in_production(postgres: Deployed, tmp_path: Path) -> None:
    """The rules of production are read without an error, and no line takes a connection in the clear."""
    await require_certificates(postgres, Certificates(tmp_path))
    ours = (FOLDER / "postgres" / "pg_hba.conf").read_text()
    (postgres.data / "pg_hba.conf").write_text(f"local all root trust\n{ours}")
    await postgres.sql("select pg_reload_conf()")
    assert await postgres.value("select count(*) from pg_hba_file_rules where error is not null") == 0

    async def is_refused() -> bool:
        try:
            await (await postgres.connect("kgents", PASSWORDS["monitor_password"], ssl=False)).close()
        except asyncpg.InvalidAuthorizationSpecificationError:
            return True
        return False

    await eventually(is_refused)
    await (await postgres.connect("kgents", PASSWORDS["monitor_password"], ssl="require")).close()


async def test_pgbouncer_asks_postgresql_for_passwords_of_applications_only(postgres: Deployed, tmp_path: Path) -> None:
    await postgres.sql("create role app login password 'for the app'")
    pooler = PgbouncerServer(tmp_path / "pgbouncer", postgres)
    ini = (FOLDER / "pgbouncer" / "pgbouncer.ini").read_text()

    def write() -> None:
        users = pooler.directory / "users"
        users.write_text(f'"pooler" "{PASSWORDS["pooler_password"]}"\n')
        adapted = ini.replace("host=postgres port=5432", f"host=127.0.0.1 port={postgres.port}")
        adapted = adapted.replace("listen_addr = *", "listen_addr = 127.0.0.1").replace("6432", str(pooler.port))
        (pooler.directory / "pgbouncer.ini").write_text(adapted.replace("/secrets/userlist.txt", str(users)))
        for path in (pooler.directory, *pooler.directory.iterdir()):
            os.chown(path, owner().pw_uid, owner().pw_gid)

    pooler._write = write  # type: ignore[method-assign]
    async with pooler:
        login = {"host": "127.0.0.1", "port": pooler.port, "database": "postgres", "statement_cache_size": 0}
        connection = await asyncpg.connect(user="app", password="for the app", **login)  # noqa: S106
        assert await connection.fetchval("select current_user") == "app"
        await connection.close()
        with pytest.raises(asyncpg.PostgresError):
            await asyncpg.connect(user="root", password="root", **login)  # noqa: S106


async def rows_of(server: PostgresServer, database: str = "postgres") -> list[int]:
    found = await server.sql("select x from orders where x > $1 order by x", 0, database=database)
    return [each["x"] for each in found]


async def test_postgresql_is_restored_from_a_dump_and_to_a_point_in_time(postgres: Deployed, tmp_path: Path) -> None:
    home = postgres.directory  # of the server's user, who also runs what reads its files
    as_owner = postgres.identity()
    await postgres.sql("create table orders as select generate_series(1, 1000) as x")
    login = postgres.environment_of("root", "root")
    run([BACKUP / "postgres-dump", "postgres", home / "orders.dump"], login, user=as_owner)
    run(["createdb", "copy"], login)
    run(["pg_restore", "--dbname=copy", "--exit-on-error", "--no-owner", home / "orders.dump"], login)
    assert await rows_of(postgres, "copy") == list(range(1, 1001))

    replicator = postgres.environment_of("replicator", PASSWORDS["replicator_password"])
    run([BACKUP / "postgres-base", home / "base"], replicator, user=as_owner)
    await postgres.sql("insert into orders select generate_series(1001, 2000)")
    good = datetime.fromisoformat(str(await postgres.value("select clock_timestamp()"))).astimezone(UTC)
    await asyncio.sleep(0.05)
    await postgres.sql("delete from orders")
    await postgres.sql("select pg_switch_wal()")
    last = await postgres.value("select pg_walfile_name(pg_current_wal_lsn() - 1)")
    await postgres.sql("select pg_switch_wal()")

    async def is_archived() -> bool:
        return str(await postgres.value("select last_archived_wal from pg_stat_archiver")) >= str(last)

    await eventually(is_archived)
    restored = Deployed(tmp_path / "unused", archive_timeout="1s")
    restored.directory = home / "restored"
    restored.directory.mkdir()
    os.chown(restored.directory, owner().pw_uid, owner().pw_gid)
    moment = f"{good:%Y-%m-%d %H:%M:%S.%f}+00"
    run(
        [BACKUP / "postgres-restore", home / "base", home / "archive", restored.data, moment],
        login, user=as_owner,
    )  # fmt: skip
    restored.configure()
    await restored.start()
    try:
        assert await rows_of(restored) == list(range(1, 2001))
        await eventually(lambda: is_primary(restored))
        assert await rows_of(postgres) == []
    finally:
        restored.kill()


async def is_primary(server: PostgresServer) -> bool:
    return not bool(await server.value("select pg_is_in_recovery()"))


class Redis(OwnProcess):
    """`start` of deploy/databases, as a container runs it."""

    def __init__(self, folder: Path, variant: str, *options: str) -> None:
        self.folder, self.port = folder, free_port()
        self._program = program_of(variant)
        self._options = options

    async def __aenter__(self) -> "Redis":
        for name in ("run", "data", "secrets"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for name, secret in SECRETS.items():
            (self.folder / "secrets" / name).write_text(f"{secret}\n")
        log = self.folder / "log"
        command = [FOLDER / "redis" / "start", self._program, FOLDER / "redis" / "redis.conf"]
        options = ["--port", self.port, "--dir", self.folder / "data", "--maxmemory", "100mb", *self._options]
        environment = {**os.environ, "SECRETS": str(self.folder / "secrets"), "RUN": str(self.folder / "run")}
        with log.open("ab") as out:
            self._process = spawn([str(each) for each in (*command, *options)], env=environment, stdout=out, stderr=out)
        await until_ready(self._process, lambda: accepts(self.port), log)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    def cli(self, user: str, *words: str) -> str:
        command = [str(need("redis-cli")), "-p", str(self.port), "--user", user, "--no-auth-warning", *words]
        environment = {**os.environ, "REDISCLI_AUTH": SECRETS[user]}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
        return (done.stdout + done.stderr).strip()


@pytest.mark.parametrize("variant", ["redis-7.0", "valkey"])
async def test_redis_gives_each_user_the_least_rights(tmp_path: Path, variant: str) -> None:
    async with Redis(tmp_path / "master", variant) as master:
        assert master.cli("app", "SET", "cart", "1") == "OK"
        assert "NOPERM" in master.cli("app", "FLUSHALL")
        assert "NOPERM" in master.cli("app", "CONFIG", "GET", "*")
        assert "redis_version" in master.cli("kgents", "INFO")
        assert "NOPERM" in master.cli("kgents", "GET", "cart")
        assert "NOPERM" in master.cli("replica", "GET", "cart")
        anonymous = subprocess.run(
            [str(need("redis-cli")), "-p", str(master.port), "GET", "cart"], capture_output=True, text=True, timeout=30,
            check=False,
        )  # fmt: skip
        assert "NOAUTH" in anonymous.stdout
        async with Redis(tmp_path / "replica", variant, "--replicaof", f"127.0.0.1 {master.port}") as replica:
            await eventually(lambda: replica.cli("app", "GET", "cart") == "1")
            assert "READONLY" in replica.cli("app", "SET", "cart", "2")


async def test_redis_is_restored_from_its_append_only_file_and_from_a_copy(tmp_path: Path) -> None:
    async with Redis(tmp_path / "one", "redis-7.0") as server:
        for number in range(20):
            server.cli("app", "SET", f"key{number}", str(number))
        server.cli("app", "LPUSH", "queue", "a", "b")
        digest = sorted(server.cli("app", "GET", f"key{number}") for number in range(20))
        run(
            [BACKUP / "redis-save", tmp_path / "copy.rdb", "-p", str(server.port), "--no-auth-warning"],
            {"REDISCLI_AUTH": SECRETS["backup"]},
        )
        server.cli("app", "SET", "later", "1")
        await asyncio.sleep(1.1)  # `appendfsync everysec`: it may lose a second, by design
    async with Redis(tmp_path / "one", "redis-7.0") as again:
        await eventually(lambda: again.cli("app", "GET", "later") == "1")
    (tmp_path / "two" / "data").mkdir(parents=True)
    shutil.copy(tmp_path / "copy.rdb", tmp_path / "two" / "data" / "dump.rdb")
    async with Redis(tmp_path / "two", "redis-7.0", "--appendonly", "no") as restored:
        await eventually(lambda: restored.cli("app", "GET", "key19") == "19")
        assert sorted(restored.cli("app", "GET", f"key{number}") for number in range(20)) == digest
        assert restored.cli("app", "LRANGE", "queue", "0", "-1").split() == ["b", "a"]
        assert restored.cli("app", "GET", "later") == ""
