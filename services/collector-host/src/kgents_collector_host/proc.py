"""The files of `/proc`, as bytes → what they say. Pure, and total: a file that says something else says nothing.

Nothing here, and nothing that calls it, reads arguments or environments of a process (`cmdline`, `environ`), nor what
stops it while it is read (`smaps`, `maps`).
"""

import re
import struct
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from kgents_shared.contract import address

_KERNEL_THREAD: Final = 0x0020_0000
"""PF_KTHREAD."""
_STAT_FIELDS: Final = 22
_US_PER_S: Final = 1e6
_ESCAPE: Final = re.compile(rb"\\([0-7]{3})")
_FORKS: Final = re.compile(rb"^processes ([0-9]+)$", re.MULTILINE)
_OOM_KILLS: Final = re.compile(rb"^oom_kill ([0-9]+)$", re.MULTILINE)


class Stat(Struct, frozen=True, gc=False):
    """`/proc/<pid>/stat`."""

    command: str
    """At most 15 bytes, chosen by the program itself."""
    state: str
    """`R`, `S`, `D`, `Z`, …"""
    is_kernel: bool
    """A thread of the kernel."""
    cpu_ticks: int
    """Processor time since its start, in user and kernel mode."""
    start_ticks: int
    """When it started, since the boot: with its pid it is never another process."""
    rss_pages: int
    """Resident memory; what it shares with others counts for each of them."""
    threads: int


def stat(content: bytes) -> Stat | None:
    """One process. Its command may hold any byte, brackets and newlines among them: the last bracket ends it."""
    opening, closing = content.find(b"("), content.rfind(b")")
    fields = content[closing + 1 :].split(None, _STAT_FIELDS)
    if not 0 < opening < closing or len(fields) < _STAT_FIELDS:
        return None
    try:
        flags, user, system = int(fields[6]), int(fields[11]), int(fields[12])
        threads, start, pages = int(fields[17]), int(fields[19]), int(fields[21])
    except ValueError:
        return None
    return Stat(
        command=content[opening + 1 : closing].decode("utf-8", "replace"),
        state=fields[0].decode("ascii", "replace"),
        is_kernel=bool(flags & _KERNEL_THREAD),
        cpu_ticks=user + system,
        start_ticks=start,
        rss_pages=max(pages, 0),
        threads=threads,
    )


def cgroup(content: bytes) -> str:
    """The control group of a process, of `/proc/<pid>/cgroup`; `/`: none.

    That of version 2, unless it is the root; else systemd's, else that of the memory controller.
    """
    begin = content.find(b"0::/")  # on nearly every machine this is all, or the last line of many
    if begin == 0 or content[begin - 1 : begin] == b"\n":
        path_2 = content[begin + 3 :].partition(b"\n")[0]
        if path_2 != b"/":
            return path_2.decode("utf-8", "replace")
    paths: dict[str, str] = {}
    for line in content.decode("utf-8", "replace").splitlines():
        number, _, rest = line.partition(":")
        names, colon, path = rest.partition(":")  # a path may hold colons
        if colon and path.startswith("/"):
            for name in names.split(",") if names else ["" if number == "0" else "?"]:
                paths[name] = path
    return next((path for name in ("", "name=systemd", "memory") if (path := paths.get(name, "/")) != "/"), "/")


def table(content: bytes) -> dict[str, int]:
    """`name value …` in each line, as in `/proc/meminfo`, `/proc/vmstat` and `cpu.stat`; `kB` are bytes."""
    found: dict[str, int] = {}
    for line in content.decode("utf-8", "replace").splitlines():
        name, *rest = line.replace(":", " ", 1).split()[:3] or [""]
        if rest and rest[0].isdecimal():
            found[name] = int(rest[0]) * (1024 if rest[1:] == ["kB"] else 1)
    return found


def oom_kills(content: bytes) -> int | None:
    """Of `/proc/vmstat`, which has some 200 lines: how many processes were killed for memory since the boot."""
    found = _OOM_KILLS.search(content)
    return int(found[1]) if found is not None else None


class CpuTime(Struct, frozen=True, gc=False):
    """The first line of `/proc/stat`, in ticks of all processors together."""

    busy_ticks: int
    idle_ticks: int


def cpu_time(content: bytes) -> CpuTime | None:
    """Time in which a guest ran is part of `user`; waiting for I/O is idle."""
    fields = content.split(b"\n", 1)[0].split()
    if fields[:1] != [b"cpu"] or len(fields) < 5 or not all(each.isdigit() for each in fields[1:]):
        return None
    user, nice, system, idle, *more = map(int, fields[1:])
    waiting, interrupts = more[0] if more else 0, sum(more[1:4])
    return CpuTime(busy_ticks=user + nice + system + interrupts, idle_ticks=idle + waiting)


def forks(content: bytes) -> int | None:
    """Of `/proc/stat`: how many tasks were made since the boot. None: the kernel does not count them."""
    found = _FORKS.search(content)
    return int(found[1]) or None if found is not None else None


class Pressure(Struct, frozen=True, gc=False):
    """`/proc/pressure/<resource>`: seconds in which work waited for it, since the boot. None: the kernel says none."""

    some_s: float | None = None
    """In which at least one task waited."""
    full_s: float | None = None
    """In which every task waited that was not idle."""


def pressure(content: bytes) -> Pressure:
    """Either line may be missing: older kernels have none of `full` for the processors."""
    totals: dict[str, float] = {}
    for line in content.decode("ascii", "replace").splitlines():
        name, _, rest = line.partition(" ")
        total = rest.rpartition("total=")[2]
        if total.isdecimal():
            totals[name] = int(total) / _US_PER_S
    return Pressure(totals.get("some"), totals.get("full"))


def load(content: bytes) -> tuple[float, float, float] | None:
    """`/proc/loadavg`: over one, five and fifteen minutes."""
    fields = content.split()[:3]
    try:
        one, five, fifteen = (float(each) for each in fields)
    except ValueError:
        return None
    return one, five, fifteen


class Interface(Struct, frozen=True, gc=False):
    """A line of `/proc/net/dev`, since the interface is there."""

    name: str
    rx_bytes: int
    tx_bytes: int


def interfaces(content: bytes) -> Iterator[Interface]:
    """All of them, virtual ones too."""
    for line in content.decode("utf-8", "replace").splitlines():
        name, colon, rest = line.partition(":")
        fields = rest.split()
        if colon and len(fields) >= 9 and fields[0].isdecimal() and fields[8].isdecimal():
            yield Interface(name.strip(), int(fields[0]), int(fields[8]))


class TcpCounts(Struct, frozen=True, gc=False):
    """Of `/proc/net/snmp`: what differs once a connection of a network namespace was made or ended."""

    opened: int
    accepted: int
    established: int


def tcp_counts(content: bytes) -> TcpCounts | None:
    """Two lines, of names and of values, for each protocol."""
    lines = [line.split() for line in content.splitlines() if line.startswith(b"Tcp:")]
    if len(lines) != 2:
        return None
    found = dict(zip(*lines, strict=False))
    try:
        return TcpCounts(int(found[b"ActiveOpens"]), int(found[b"PassiveOpens"]), int(found[b"CurrEstab"]))
    except (KeyError, ValueError):
        return None


class Disk(Struct, frozen=True, gc=False):
    """A line of `/proc/diskstats`, since the device is there."""

    read_bytes: int
    written_bytes: int
    transfers: int
    """Reads and writes that were completed."""
    waited_s: float
    """How long all of them took together."""


_SECTOR_BYTES: Final = 512
"""Of this file, whatever the device has."""
_DISK_FIELDS: Final = 11


def disks(content: bytes) -> dict[str, Disk]:
    """By `major:minor`, as mounts name them, and by name: some file systems have numbers of their own."""
    found: dict[str, Disk] = {}
    for line in content.decode("utf-8", "replace").splitlines():
        fields = line.split(None, _DISK_FIELDS)[:_DISK_FIELDS]
        if len(fields) < _DISK_FIELDS or not all(each.isdecimal() for each in (*fields[:2], *fields[3:])):
            continue
        reads, _, read, reading_ms, writes, _, written, writing_ms = map(int, fields[3:])
        disk = Disk(_SECTOR_BYTES * read, _SECTOR_BYTES * written, reads + writes, (reading_ms + writing_ms) / 1_000)
        found[f"{fields[0]}:{fields[1]}"] = found[fields[2]] = disk
    return found


class Mount(Struct, frozen=True, gc=False):
    """A line of `/proc/<pid>/mountinfo`."""

    device: str
    """`major:minor`: the same for every mount of one file system."""
    root: str
    """The directory of the file system that is mounted; `/` is all of it."""
    point: str
    type: str
    """`ext4`, `nfs4`, `fuse.sshfs`, …"""
    source: str
    """`/dev/vda1`, `server:/export`, …"""
    is_read_only: bool


def mounts(content: bytes) -> Iterator[Mount]:
    """In the order in which they were mounted: the last one at a place covers the others."""
    for line in content.splitlines():
        before, dash, after = line.partition(b" - ")
        fields, types = before.split(b" "), after.split(b" ")
        if not dash or len(fields) < 6 or len(types) < 3:
            continue
        root, point, source = (_unescaped(each) for each in (fields[3], fields[4], types[1]))
        options = {*fields[5].split(b","), *types[2].split(b",")}
        yield Mount(
            fields[2].decode("ascii", "replace"),
            root,
            point,
            types[0].decode("ascii", "replace"),
            source,
            b"ro" in options,
        )


def _unescaped(text: bytes) -> str:
    r"""`\040` is a space."""
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), text).decode("utf-8", "replace")


_ENDPOINT: Final = re.compile(rb"([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})")
_IPV4_BYTES: Final = 4
_ESTABLISHED: Final = b"01"
_LISTENING: Final = b"0A"

Endpoint = tuple[str, int]
"""Address and port."""


def sockets(content: bytes) -> Iterator[tuple[Endpoint, Endpoint, int]]:
    """`/proc/<pid>/net/tcp` and `tcp6`: both ends and the inode of each that listens or is connected."""
    for line in content.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] not in (_ESTABLISHED, _LISTENING) or not fields[9].isdigit():
            continue
        local, remote = _ENDPOINT.fullmatch(fields[1]), _ENDPOINT.fullmatch(fields[2])
        if local is not None and remote is not None:
            yield _endpoint(local), _endpoint(remote), int(fields[9])


def _endpoint(found: re.Match[bytes]) -> Endpoint:
    """An address is words of 32 bits, each as this machine orders its bytes."""
    words = [found[1][at : at + 8] for at in range(0, len(found[1]), 8)]
    raw = b"".join(struct.pack("=I", int(word, 16)) for word in words)
    return _host(raw), int(found[2], 16)


def _host(raw: bytes) -> str:
    if len(raw) == _IPV4_BYTES:
        return address.normalised(".".join(map(str, raw)))
    return address.normalised(":".join(f"{each:x}" for each in struct.unpack("!8H", raw)))


_LOCAL: Final = re.compile(rb"\|-- ([0-9.]+)\s+/32 host LOCAL")


def addresses(content: bytes) -> Iterator[str]:
    """`/proc/<pid>/net/fib_trie`: the IPv4 addresses of a network namespace, loopback apart."""
    for found in _LOCAL.findall(content):
        text = found.decode("ascii")
        if address.is_ip(text) and not address.is_loopback(text):
            yield address.normalised(text)


def addresses_6(content: bytes) -> Iterator[str]:
    """`/proc/<pid>/net/if_inet6`: the global IPv6 addresses of a network namespace."""
    for line in content.splitlines():
        fields = line.split()
        if len(fields) == 6 and len(fields[0]) == 32 and fields[3] == b"00" and _HEX.fullmatch(fields[0]):
            yield _host(bytes.fromhex(fields[0].decode("ascii")))


_HEX: Final = re.compile(rb"[0-9a-f]+")
_KILLED: Final = re.compile(rb"oom-kill:.*[,]task_memcg=(/[^,\n]*),task=([^\n]{1,15}?),pid=\d+,uid=\d+")


def killed(record: bytes) -> tuple[str, str] | None:
    """A record of `/dev/kmsg` → command and control group of what was killed for memory; None: it is another one."""
    found = _KILLED.search(record)
    if found is None:
        return None
    return found[2].decode("utf-8", "replace"), found[1].decode("utf-8", "replace")


def open_files(content: bytes) -> tuple[int, int] | None:
    """`/proc/sys/fs/file-nr`: how many files are open, and how many may be."""
    fields = content.split()
    if len(fields) != 3 or not all(each.isdigit() for each in fields):
        return None
    return int(fields[0]), int(fields[2])


def files_limit(content: bytes) -> int | None:
    """The soft limit of open files, of `/proc/<pid>/limits`; None: unlimited, or not known."""
    for line in content.decode("ascii", "replace").splitlines():
        if line.startswith("Max open files"):
            soft = line.removeprefix("Max open files").split()[:1]
            return int(soft[0]) if soft and soft[0].isdecimal() else None
    return None
