"""A real PgBouncer before a test's PostgreSQL."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Self

from support.ports import free_port
from support.postgres_server import PASSWORD, PostgresServer, own_directory, owner
from support.process import OwnProcess, accepts, spawn, until_ready
from support.programs import need


class PgbouncerServer(OwnProcess):
    """`async with PgbouncerServer(directory, postgres) as pooler`; user `kgents` may read its console."""

    def __init__(self, directory: Path, postgres: PostgresServer, **settings: object) -> None:
        self._program = need("pgbouncer")
        self.port = free_port()
        self.directory = directory
        self._postgres = postgres
        self._settings = settings

    async def __aenter__(self) -> Self:
        self.directory = own_directory(self.directory)
        self._write()
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _write(self) -> None:
        settings = {
            "listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": "", "auth_type": "scram-sha-256",
            "auth_file": self.directory / "users", "stats_users": "kgents", "admin_users": "root",
            "pool_mode": "transaction", "logfile": self.directory / "log",
            "server_tls_sslmode": "disable", **self._settings,
        }  # fmt: skip
        lines = [f"{name} = {value}" for name, value in settings.items()]
        (self.directory / "pgbouncer.ini").write_text(
            f"[databases]\npostgres = host=127.0.0.1 port={self._postgres.port}\n[pgbouncer]\n" + "\n".join(lines)
        )
        users = {"kgents": PASSWORD, "root": "root", "other": "other"}
        quoted = [f'"{name}" "{password.replace(chr(34), chr(34) * 2)}"' for name, password in users.items()]
        (self.directory / "users").write_text("\n".join(quoted) + "\n")
        if os.geteuid() == 0:
            for path in (self.directory, *self.directory.iterdir()):
                os.chown(path, owner().pw_uid, owner().pw_gid)

    async def start(self) -> None:
        self._process = spawn(
            [str(self._program), str(self.directory / "pgbouncer.ini")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._postgres.identity(),
        )  # fmt: skip
        await until_ready(self._process, lambda: accepts(self.port), self.directory / "log")
