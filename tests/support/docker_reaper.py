"""Takes away what is left of a private Docker engine, once the process that started it is gone, however it went.

    python docker_reaper.py DIRECTORY NAME < a pipe that the process holds open

A dockerd outlives the process that started it, its containers outlive it, and a frozen or deadlocked one handles no
signal but SIGKILL. So this runs in a session of its own and waits for the end of the pipe: an orderly exit closes it,
and so does kill -9.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

PROGRAMS = {"dockerd", "containerd", "containerd-shim-runc-v2", "runc"}
ROUNDS = 50
SIOCSIFFLAGS, SIOCBRDELBR = 0x8914, 0x89A1


def main() -> None:
    directory, name = Path(sys.argv[1]), sys.argv[2]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdin.buffer.read()
    for _ in range(ROUNDS):
        found = processes_of(directory)
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not found:
            break
        time.sleep(0.1)
    for mount in _mounts_below(directory):
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
    for bridge in Path("/sys/class/net").glob(f"{name}-*"):
        with contextlib.suppress(OSError):
            _delete_bridge(bridge.name)
    for group in (Path("/sys/fs/cgroup") / name, *Path("/sys/fs/cgroup").glob(f"*/{name}")):
        for below, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                Path(below).rmdir()
    shutil.rmtree(directory, ignore_errors=True)


def processes_of(directory: Path) -> set[int]:
    """The engine, its containerd and shims, which name its directory, and all processes below them."""
    children: dict[int, list[int]] = {}
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid, words = int(entry.name), (entry / "cmdline").read_bytes().split(b"\0")
            if Path(os.fsdecode(words[0])).name in PROGRAMS and os.fsencode(directory) in b" ".join(words):
                found.add(pid)
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append(pid)
    waiting = list(found)
    while waiting:
        below = children.get(waiting.pop(), [])
        waiting += below
        found.update(below)
    return found


def _delete_bridge(name: str) -> None:
    """What `ip link delete` does, which a small machine may not have."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", name.encode(), 0))  # down
        fcntl.ioctl(control, SIOCBRDELBR, name.encode() + b"\0")


def _mounts_below(directory: Path) -> list[str]:
    """The innermost first."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return sorted((mount for mount in mounts if mount.startswith(f"{directory}/")), reverse=True)


if __name__ == "__main__":
    main()
