"""What deploy/databases holds, on real servers: settings, least rights, and backups that are restored and compared."""

import asyncio
import os
import shutil
import ssl
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
from support.tls_databases import private_copy
from support.waiting import eventually

FOLDER = Path(__file__).parents[2] / "deploy" / "databases"
BACKUP = FOLDER / "backup"
SECRETS = {"app": "for-the-app", "kgents": "for-the-collector", "replica": "for-replicas", "backup": "for-backups"}
PASSWORDS = {"monitor_password": "m'onitor", "replicator_password": "r eplicator", "pooler_password": "pooler"}

pytestmark = pytest.mark.timeout(240)


def run(
    command: list[str | Path], environment: Mapping[str, str], *, user: Mapping[str, Any] | None = None,
    given: str | None = None,
) -> str:  # fmt: skip
    """A program, as the server's user where one is given; fails with what it says. `given`: its standard input."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [str(each) for each in command], env={**os.environ, **environment}, capture_output=True, text=True, timeout=120,
        check=False, input=given, **(user or {}),
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

    async def produce(self, certificates: Certificates) -> None:
        """Start again with the files of production: TLS, and no connection without it but our own, over the socket."""
        tls = adapted(FOLDER / "postgres" / "tls.conf", self, certificates)
        hba = f"local all root trust\n{(FOLDER / 'postgres' / 'pg_hba.conf').read_text()}"
        await self.stop()
        with (self.data / "deployed.conf").open("a") as file:
            file.write(tls)
        (self.data / "pg_hba.conf").write_text(hba)
        await self.start()

    def environment_of(self, role: str, password: str) -> dict[str, str]:
        """For programs of PostgreSQL that connect as a role."""
        programs = f"{self._programs}:{os.environ['PATH']}"
        return {
            "PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": role, "PGPASSWORD": password, "PATH": programs,
            "HOME": "/tmp",  # noqa: S108
        }  # fmt: skip


def adapted(path: Path, server: PostgresServer, certificates: Certificates) -> str:
    """A file of ours with the certificates where this server has its own copies, as a container has them in /tls."""
    text = path.read_text()
    own = {"ca.crt": certificates.ca, "tls.crt": certificates.server, "tls.key": certificates.server_key}
    for name, source in own.items():
        text = text.replace(f"/tls/{name}", str(private_copy(source, server.directory / name, server)))
    return text


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[Deployed]:
    server = Deployed(tmp_path / "postgres", archive_timeout="1s")
    async with server:
        await server.sql("drop role kgents")
        quoted = {name: value.replace("'", "''") for name, value in PASSWORDS.items()}
        script = "".join(f"\\set {name} '{value}'\n" for name, value in quoted.items())
        script += (FOLDER / "postgres" / "roles.sql").read_text()
        for _ in range(2):  # it may be run again
            run(
                [need("psql"), "-X", "-q", "-d", "postgres"],
                {**server.environment_of("root", "root"), "PGHOST": str(server.directory)}, given=script,
            )  # fmt: skip
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


async def test_in_production_postgresql_and_pgbouncer_take_no_connection_without_tls(
    postgres: Deployed, tmp_path: Path
) -> None:
    certificates = Certificates(tmp_path)
    await postgres.produce(certificates)
    assert await postgres.value("select count(*) from pg_hba_file_rules where error is not null") == 0
    password = PASSWORDS["monitor_password"]
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await postgres.connect("kgents", password, ssl=False)
    await (await postgres.connect("kgents", password, ssl="require")).close()

    await postgres.sql("create role app login password 'for the app'")
    tls = adapted(FOLDER / "pgbouncer" / "tls.ini", postgres, certificates)
    async with Pooler(tmp_path / "pgbouncer", postgres, tls) as pooler:
        login = pooler.login("app", "for the app")
        with pytest.raises((asyncpg.PostgresError, ConnectionError)):
            await asyncpg.connect(**login, ssl=False)
        trusted = ssl.create_default_context(cafile=certificates.ca)
        connection = await asyncpg.connect(**login, ssl=trusted)
        # PgBouncer has verified the name in the server's certificate, and PostgreSQL sees an encrypted session.
        assert await connection.fetchval("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
        await connection.close()


class Pooler(PgbouncerServer):
    """`pgbouncer.ini` as a container runs it, maybe with `tls.ini` after it."""

    def __init__(self, directory: Path, postgres: PostgresServer, more: str = "") -> None:
        super().__init__(directory, postgres)
        self._more = more

    def _write(self) -> None:
        users = self.directory / "users"
        users.write_text(f'"pooler" "{PASSWORDS["pooler_password"]}"\n')
        ini = (FOLDER / "pgbouncer" / "pgbouncer.ini").read_text()
        ini = ini.replace("host=postgres port=5432", f"host=127.0.0.1 port={self._postgres.port}")
        ini = ini.replace("listen_addr = *", "listen_addr = 127.0.0.1").replace("6432", str(self.port))
        ini = ini.replace("/secrets/userlist.txt", str(users))
        (self.directory / "pgbouncer.ini").write_text(f"{ini}\nlogfile = {self.directory / 'log'}\n{self._more}")
        for path in (self.directory, *self.directory.iterdir()):
            os.chown(path, owner().pw_uid, owner().pw_gid)

    def login(self, user: str, password: str) -> dict[str, Any]:
        """For asyncpg."""
        return {
            "host": "127.0.0.1", "port": self.port, "database": "postgres", "user": user, "password": password,
            "statement_cache_size": 0,
        }  # fmt: skip


async def test_pgbouncer_asks_postgresql_for_passwords_of_applications_only(postgres: Deployed, tmp_path: Path) -> None:
    await postgres.sql("create role app login password 'for the app'")
    async with Pooler(tmp_path / "pgbouncer", postgres) as pooler:
        connection = await asyncpg.connect(**pooler.login("app", "for the app"))
        assert await connection.fetchval("select current_user") == "app"
        await connection.close()
        with pytest.raises(asyncpg.PostgresError):
            await asyncpg.connect(**pooler.login("root", "root"))


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
        await eventually(lambda: is_primary(restored))  # before that it answers while it still replays
        assert await rows_of(restored) == list(range(1, 2001))
        assert await rows_of(postgres) == []
    finally:
        restored.kill()


async def is_primary(server: PostgresServer) -> bool:
    return not bool(await server.value("select pg_is_in_recovery()"))


class Redis(OwnProcess):
    """`start` of deploy/databases, as a container runs it; with certificates as in production."""

    def __init__(self, folder: Path, variant: str, *options: str, tls: Certificates | None = None) -> None:
        self.folder, self.port = folder, free_port()
        self._program = program_of(variant)
        self._options = options
        self._tls = tls

    async def __aenter__(self) -> "Redis":
        for name in ("run", "data", "secrets"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for name, secret in SECRETS.items():
            (self.folder / "secrets" / name).write_text(f"{secret}\n")
        log = self.folder / "log"
        command = [FOLDER / "redis" / "start", self._program, FOLDER / "redis" / "redis.conf"]
        port = "--port" if self._tls is None else "--tls-port"
        options = [port, self.port, "--dir", self.folder / "data", "--maxmemory", "100mb", *self._options]
        environment = {**os.environ, "SECRETS": str(self.folder / "secrets"), "RUN": str(self.folder / "run")}
        if self._tls is not None:
            environment["MORE"] = str(self._tls_conf(self._tls))
        with log.open("ab") as out:
            self._process = spawn([str(each) for each in (*command, *options)], env=environment, stdout=out, stderr=out)
        await until_ready(self._process, lambda: accepts(self.port), log)
        return self

    def _tls_conf(self, tls: Certificates) -> Path:
        text = (FOLDER / "redis" / "tls.conf").read_text()
        for name, path in (("ca.crt", tls.ca), ("tls.crt", tls.server), ("tls.key", tls.server_key)):
            text = text.replace(f"/tls/{name}", str(path))
        (self.folder / "tls.conf").write_text(text)
        return self.folder / "tls.conf"

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    @property
    def address(self) -> list[str]:
        """For redis-cli."""
        tls = [] if self._tls is None else ["--tls", "--cacert", str(self._tls.ca)]
        return ["-p", str(self.port), *tls]

    def cli(self, user: str, *words: str) -> str:
        command = [str(need("redis-cli")), *self.address, "--user", user, "--no-auth-warning", *words]
        environment = {**os.environ, "REDISCLI_AUTH": SECRETS[user]}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
        return (done.stdout + done.stderr).strip()


@pytest.mark.parametrize(("variant", "in_production"), [("valkey", False), ("redis-7.0", True)])
async def test_redis_gives_each_user_the_least_rights(tmp_path: Path, variant: str, *, in_production: bool) -> None:
    tls = Certificates(tmp_path) if in_production else None
    async with Redis(tmp_path / "master", variant, tls=tls) as master:
        assert master.cli("app", "SET", "cart", "1") == "OK"
        assert "NOPERM" in master.cli("app", "FLUSHALL")
        assert "NOPERM" in master.cli("app", "CONFIG", "GET", "*")
        assert "redis_version" in master.cli("kgents", "INFO")
        assert "NOPERM" in master.cli("kgents", "GET", "cart")
        assert "NOPERM" in master.cli("replica", "GET", "cart")
        assert "NOAUTH" in anonymous(*master.address)
        if in_production:
            assert "PONG" not in (found := anonymous("-p", str(master.port)))
            assert "NOAUTH" not in found, "without TLS nothing answers"
        of_master = ("--replicaof", f"127.0.0.1 {master.port}")
        async with Redis(tmp_path / "replica", variant, *of_master, tls=tls) as replica:
            await eventually(lambda: replica.cli("app", "GET", "cart") == "1")
            assert "READONLY" in replica.cli("app", "SET", "cart", "2")


def anonymous(*address: str) -> str:
    """What one who does not log in is told."""
    done = subprocess.run(
        [str(need("redis-cli")), *address, "PING"], capture_output=True, text=True, timeout=30, check=False
    )
    return done.stdout + done.stderr


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
