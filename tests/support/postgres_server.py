"""Real PostgreSQL servers for tests: every major version that can be had, on free ports, with faults on demand."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from support.ports import free_port
from support.process import spawn, until_ready
from support.programs import DEBIAN, need
from support.waiting import MACHINE

VERSIONS = (14, 15, 16, 17, 18)
SEGMENT = 6
"""The line of postmaster.pid with the key and the id of its shared memory segment."""
PASSWORD = """it's "all" \\ %s {here}; = # $x&?/@:ü """


@cache
def owner() -> pwd.struct_passwd:
    """Who runs the server: it refuses to run as root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def programs_of(version: int) -> Path:
    """The folder of initdb, postgres and pgbench; skips the test if they cannot be had."""
    debian = f"/usr/lib/postgresql/{version}/bin/postgres"
    return need(debian if debian in DEBIAN else f"postgres-{version}").parent


def own_directory(path: Path) -> Path:
    """A directory of the server's owner: the given one, unless root runs the tests for another user.

    That may not be within pytest's: every session of pytest shuts its directory to all others again.
    """
    if os.geteuid() != 0:
        path.mkdir(parents=True)
        return path
    made = Path(tempfile.mkdtemp(prefix=f"kgents-{path.name}-"))
    os.chown(made, owner().pw_uid, owner().pw_gid)
    return made


class PostgresServer:
    """`async with PostgresServer(directory, version=15) as server`. The port stays the same over `kill` and `start`.

    It has a role `kgents` with `pg_monitor` and the awkward PASSWORD, asked for over TCP.
    """

    def __init__(
        self,
        directory: Path,
        *,
        version: int = 15,
        statements: bool = True,
        sockets: Sequence[str] = (),
        **settings: Any,
    ) -> None:
        self.version = version
        self.port = free_port()
        self.directory = directory
        self._programs = programs_of(version)
        self._statements = statements and self.has("pg_stat_statements")
        self._settings = settings
        self._sockets = sockets  # directories for its unix socket beside its own
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> "PostgresServer":
        self.directory = own_directory(self.directory)
        (self.directory / "password").write_text("root")
        self.run("initdb", "-D", str(self.data), "-U", "root", "-A", "scram-sha-256", "--pwfile",
                 str(self.directory / "password"), "--no-sync", "-E", "UTF8", "--no-locale")  # fmt: skip
        self.configure()
        await self.start()
        try:
            quoted = PASSWORD.replace("'", "''")
            escape = "set standard_conforming_strings = on; "
            await self.sql(f"{escape}create role kgents login password '{quoted}' in role pg_monitor")
            if self._statements:
                await self.sql("create extension pg_stat_statements")
        except BaseException:
            self.kill()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> Path:
        return self.directory / "log"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def has(self, extension: str) -> bool:
        home = self._programs.parent
        roots = (home / "share", Path(f"/usr/share/postgresql/{self.version}"))
        return any(found for root in roots if root.exists() for found in root.rglob(f"{extension}.control"))

    def configure(self, **settings: object) -> None:
        """Write the settings; they count from the next start."""
        self._settings |= settings
        preload = {"shared_preload_libraries": "pg_stat_statements"} if self._statements else {}
        chosen = {
            "port": self.port, "listen_addresses": "127.0.0.1",
            "unix_socket_directories": ",".join([str(self.directory), *self._sockets]),
            "fsync": "off", "shared_buffers": "16MB", "wal_level": "replica", "max_wal_senders": 4,
            "hot_standby": "on", "autovacuum": "off", "lc_messages": "C",
            "dynamic_shared_memory_type": "mmap",  # in its own folder, since what is killed removes nothing
            **preload, **self._settings,
        }  # fmt: skip
        lines = [f"{name} = '{value}'" for name, value in chosen.items()]
        (self.data / "kgents.conf").write_text("\n".join(lines) + "\n")
        main = self.data / "postgresql.conf"
        if "kgents.conf" not in main.read_text():
            main.write_text(main.read_text() + "\ninclude 'kgents.conf'\n")
        hba = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\nhost replication all 127.0.0.1/32 trust\n"
        (self.data / "pg_hba.conf").write_text(hba)
        self.give(self.data / "kgents.conf", main, self.data / "pg_hba.conf")

    async def start(self, *, wait: bool = True) -> None:
        with self.log.open("ab") as log:
            self._process = spawn(
                [str(self._programs / "postgres"), "-D", str(self.data)],
                stdout=log, stderr=log, env=self.environment, **self.identity(),
            )  # fmt: skip
        if wait:
            await until_ready(self._process, self._answers, self.log)

    async def _answers(self) -> bool:
        try:
            await self.sql("select 1")
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    def kill(self) -> None:
        """kill -9 of all its processes, as a power cut does it."""
        if self._process is None:
            return
        for pid in self.processes():
            send(pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._process = None
        self._release_memory()

    def _release_memory(self) -> None:
        """What a machine does when it starts; a killed server leaves a segment, and a machine has only so many."""
        lock = self.data / "postmaster.pid"
        lines = lock.read_text().splitlines() if lock.exists() else []
        if len(lines) > SEGMENT and (words := lines[SEGMENT].split()):
            subprocess.run(["ipcrm", "-m", words[-1]], check=False, capture_output=True)
        lock.unlink(missing_ok=True)

    async def stop(self) -> None:
        """An orderly, fast shutdown."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        await asyncio.to_thread(self._process.wait, MACHINE.limit_s(60))
        self._process = None

    def pause(self) -> None:
        """SIGSTOP for all its processes: the sockets stay open, without an answer."""
        for pid in [self.pid, *self.processes()]:
            send(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in [*self.processes(), self.pid]:
            send(pid, signal.SIGCONT)

    def processes(self) -> list[int]:
        """Its children."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in children.read_text().split()] if children.exists() else []

    async def connect(self, user: str = "root", password: str = "root", **more: Any) -> Any:  # noqa: S107
        return await asyncpg.connect(
            host="127.0.0.1", port=self.port, user=user, password=password, **{"database": "postgres", **more}
        )

    async def sql(self, statement: str, *arguments: object, database: str = "postgres") -> Any:
        """One statement as the superuser; returns its rows."""
        connection = await asyncpg.connect(
            host=str(self.directory), port=self.port, user="root", database=database, timeout=5
        )
        try:
            return await (connection.fetch(statement, *arguments) if arguments else connection.execute(statement))
        finally:
            await connection.close()

    async def value(self, query: str) -> Any:
        connection = await asyncpg.connect(host=str(self.directory), port=self.port, user="root", database="postgres")
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    @asynccontextmanager
    async def standby(self, directory: Path, name: str = "standby") -> AsyncIterator["PostgresServer"]:
        """A streaming standby of this server, with a slot of its own name.

        It is copied while this server is down: not every package has pg_basebackup.
        """
        other = PostgresServer(directory, version=self.version, statements=self._statements, **self._settings)
        other.directory = own_directory(directory)
        await self.stop()
        await asyncio.to_thread(subprocess.run, ["cp", "-a", str(self.data), str(other.data)], check=True)
        await self.start()
        await self.sql(f"select pg_create_physical_replication_slot('{name}')")
        other.configure(
            primary_conninfo=f"host=127.0.0.1 port={self.port} user=root application_name={name}",
            primary_slot_name=name, wal_retrieve_retry_interval="500ms",
        )  # fmt: skip
        (other.data / "standby.signal").touch()
        other.give(other.data / "standby.signal")
        await other.start()
        try:
            yield other
        finally:
            await other.__aexit__()

    def run(self, program: str, *arguments: str, check: bool = True) -> str:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [str(self._programs / program), *arguments], capture_output=True, text=True, check=False,
            env={**self.environment, "PGPASSWORD": "root"}, timeout=120, **self.identity(),
        )  # fmt: skip
        if check and done.returncode != 0:
            raise RuntimeError(f"{program} failed:\n{done.stderr[-2000:]}")
        return done.stdout + done.stderr

    @property
    def environment(self) -> dict[str, str]:
        library = self._programs.parent / "lib"
        more = {"LD_LIBRARY_PATH": str(library)} if not str(library).startswith("/usr/lib") else {}
        return {"PATH": os.environ["PATH"], "HOME": "/tmp", "LC_ALL": "C", "LANGUAGE": "de", **more}  # noqa: S108

    def identity(self) -> dict[str, Any]:
        return {"user": owner().pw_uid, "group": owner().pw_gid, "cwd": "/"} if os.geteuid() == 0 else {}

    def give(self, *paths: Path) -> None:
        if os.geteuid() == 0:
            for path in paths:
                os.chown(path, owner().pw_uid, owner().pw_gid)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
