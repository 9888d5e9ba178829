"""A limit of CPU as a container engine sets it: a control group (version 1, as root) that its processes share."""

import ctypes
import platform
import struct
from pathlib import Path
from typing import Final

GROUPS: Final = Path("/sys/fs/cgroup/cpu")
PERIOD_US: Final = 100_000
"""As engines have it: what is used up before its end has to wait for it."""
SHARES: Final = 256 * 1024
"""The most there is: within its limit a group comes before all else on the machine, of whatever niceness."""


class CpuLimit:
    """So many cores for the processes that are added to it, and for what these start."""

    def __init__(self, name: str, cores: float) -> None:
        """Make it.

        Raises:
            RuntimeError: none can be made on this machine.
        """
        self._folder = GROUPS / name
        try:
            self._folder.mkdir()
        except OSError as error:
            raise RuntimeError(f"expected control groups of version 1 in {GROUPS}, as root, found {error}") from error
        settings = {"cfs_period_us": PERIOD_US, "cfs_quota_us": round(PERIOD_US * cores), "shares": SHARES}
        for setting, value in settings.items():
            (self._folder / f"cpu.{setting}").write_text(str(value))

    def add(self, pid: int) -> None:
        """Put a process into it."""
        (self._folder / "cgroup.procs").write_text(str(pid))

    @property
    def throttled_s(self) -> float:
        """For how long its processes have waited since they had used up what they may use."""
        lines = dict(line.split() for line in (self._folder / "cpu.stat").read_text().splitlines())
        return int(lines["throttled_time"]) / 1e9

    def remove(self) -> None:
        """Remove it; its processes have ended, or left."""
        self._folder.rmdir()


def without_limit(pid: int) -> None:
    """Take a process out of any group."""
    (GROUPS / "cgroup.procs").write_text(str(pid))


SLICE_NS: Final = 100_000
"""The shortest that the kernel takes."""
_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}
_ATTRIBUTES: Final = "=IIQiIQQQII"
"""`struct sched_attr`: size, policy, flags, nice, priority, runtime, deadline, period, and two of utilisation."""


def in_short_slices(nice: int) -> None:
    """Let this process, and what it starts, run as soon as it can go on instead of when others have had their slice.

    It gets no more of the CPU by that. An older kernel takes no notice.
    """
    attributes = struct.pack(_ATTRIBUTES, 56, 0, 0, nice, 0, SLICE_NS, 0, 0, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(_SCHED_SETATTR[platform.machine()], 0, attributes, 0):
        raise OSError(ctypes.get_errno(), "sched_setattr")
