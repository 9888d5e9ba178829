"""collector-host as a process that sees itself, a few programs of the test, and no other process of this machine."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from support.process import OwnProcess, descendants, spawn

UNSHARE: Final = ("unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc")
"""Of util-linux: a table of processes of its own. Control groups, sockets and disks are the machine's."""


def may_unshare() -> bool:
    """Whether this user may have processes and mounts of its own: root does, outside of most containers."""
    return subprocess.run([*UNSHARE, "true"], check=False, capture_output=True).returncode == 0


class HostCollector(OwnProcess):
    """`async with HostCollector("web-1", url, tmp_path, program="…") as collector`."""

    def __init__(self, name: str, url: str, directory: Path, *, programs: str = "", **settings: str) -> None:
        """`programs`: shell commands that start what runs beside it, each ended with `&`."""
        self.log = directory / f"collector-host.{name}.log"
        self._script = f"{programs}\nexec {sys.executable} -m kgents_cli run collector-host"
        self._environment = {
            **os.environ,
            "KGENTS__NATS__URL": url,
            "KGENTS__CLUSTER": "test",
            "KGENTS__INSTANCE": name,
            "KGENTS__DATA_DIR": str(directory / name),
            "KGENTS__COLLECTOR_HOST__NAME": name,
            "KGENTS__COLLECTOR_HOST__POLL_INTERVAL_S": "1",
            **{f"KGENTS__{each.upper()}": value for each, value in settings.items()},
        }

    async def __aenter__(self) -> "HostCollector":
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        shell = shutil.which("bash") or "/bin/sh"
        with self.log.open("ab") as log:
            self._process = spawn([*UNSHARE, shell, "-c", self._script], env=self._environment, stdout=log, stderr=log)

    def end_in_order(self) -> None:
        """SIGTERM to the collector; what runs beside it ends with it."""
        for each in descendants(self.pid)[:1]:
            os.kill(each, signal.SIGTERM)
