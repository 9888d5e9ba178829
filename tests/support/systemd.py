"""A real systemd for one test: process 1 of a table of processes, mounts and control groups of its own.

It runs on an overlay of `/`, so that it changes nothing of this machine. What it would do to the machine's kernel
(sysctls, modules, devices) is masked.
"""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from support.host_collector import may_unshare
from support.process import OwnProcess, descendants, spawn
from support.waiting import eventually

PROGRAM: Final = Path("/usr/lib/systemd/systemd")
_UNSHARE: Final = (
    "unshare", "--fork", "--kill-child", "--pid", "--mount", "--uts", "--ipc", "--cgroup", "--propagation", "private",
)  # fmt: skip
_MASKED: Final = (
    "systemd-sysctl.service", "systemd-binfmt.service", "systemd-modules-load.service", "systemd-remount-fs.service",
    "systemd-tmpfiles-setup.service", "systemd-tmpfiles-setup-dev.service", "systemd-sysusers.service",
    "systemd-udevd.service", "systemd-udev-trigger.service", "systemd-timesyncd.service", "systemd-journald.service",
    "systemd-journal-flush.service", "systemd-journald.socket", "systemd-journald-dev-log.socket",
    "systemd-logind.service", "dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-config.mount",
    "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-fs-fuse-connections.mount",
    "proc-sys-fs-binfmt_misc.automount", "systemd-update-utmp.service",
)  # fmt: skip
_BOOT: Final = """
set -e
mount -t tmpfs none "$1"; cd "$1"; mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root; cd root
mount -t tmpfs none run; mount -t tmpfs none tmp; mount --rbind /dev dev; mount -t sysfs none sys
mount -t cgroup2 none sys/fs/cgroup; mount -t proc none proc
cp -r "$2"/. etc/systemd/system/
for each in $3; do ln -sf /dev/null "etc/systemd/system/$each"; done
ln -sf kgents-test.target etc/systemd/system/default.target
container=kgents exec chroot . /lib/systemd/systemd --system --log-target=console
"""
_CGROUP: Final = next(
    (each for each in map(Path, ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")) if (each / "cgroup.procs").exists()), None
)


def may_boot() -> bool:
    """Whether a systemd can be started here: by root, where Debian's packages systemd and dbus are."""
    has_programs = PROGRAM.exists() and shutil.which("dbus-daemon") is not None
    return has_programs and _CGROUP is not None and may_unshare()


class Systemd(OwnProcess):
    """`async with Systemd(tmp_path, {"bad.service": "[Service]…"}) as systemd`."""

    def __init__(self, directory: Path, units: Mapping[str, str]) -> None:
        self.log = directory / "systemd.log"
        self._place, self._units = directory / "place", directory / "units"
        assert _CGROUP is not None
        self._cgroup = _CGROUP / f"kgents-test-{os.getpid()}-{directory.name}"
        self._given = {**units, "kgents-test.target": "[Unit]\nRequires=dbus.socket\nAfter=dbus.socket\n"}

    async def __aenter__(self) -> "Systemd":
        self._place.mkdir()
        self._units.mkdir()
        for name, text in self._given.items():
            (self._units / name).write_text(text, encoding="utf-8")
        cgroup = self._cgroup
        enter = f'mkdir -p {cgroup} && echo $$ > {cgroup}/cgroup.procs && exec "$@"'
        boot = ["bash", "-c", _BOOT, "boot", str(self._place), str(self._units), " ".join(_MASKED)]
        with self.log.open("wb") as log:
            self._process = spawn(["bash", "-c", enter, "enter", *_UNSHARE, *boot], stdout=log, stderr=log)
        await eventually(self._has_bus)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()
        await eventually(self._remove_cgroups)

    def _remove_cgroups(self) -> bool:
        """Deepest first; one can be removed when its last process has been reaped."""
        with suppress(OSError):
            for each in sorted((each for each in self._cgroup.rglob("*") if each.is_dir()), reverse=True):
                each.rmdir()
            self._cgroup.rmdir()
        return not self._cgroup.exists()

    def _has_bus(self) -> bool:
        return (self.root / "run/dbus/system_bus_socket").exists()

    @property
    def init_pid(self) -> int:
        """Its own process, as this machine numbers it; 0 before it is there."""
        found = (each for each in descendants(self.pid) if self._command(each) == "systemd")
        return next(found, 0)

    @property
    def root(self) -> Path:
        """Its `/`."""
        return Path(f"/proc/{self.init_pid}/root")

    def _command(self, pid: int) -> str:
        with suppress(OSError):
            return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
        return ""
