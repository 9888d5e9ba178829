"""The machine as it is: its processes, sockets, control groups and file systems, read for real."""

import asyncio
import os
import shutil
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import structs

from kgents_collector_host.config import Config
from kgents_collector_host.place import place_of
from kgents_collector_host.proc import Mount
from kgents_collector_host.sample import Process, Sample, Socket, Space
from kgents_collector_host.source import Source, netlink, processes
from kgents_collector_host.source.files import Root
from kgents_collector_host.source.owners import EVERYWHERE_EVERY, Owners
from kgents_collector_host.source.space import Spaces
from kgents_shared.runtime.clock import SystemClock
from support.fuse_mount import DEVICE, hanging_mount
from support.host_collector import may_unshare
from support.process import spawn, spawn_async
from support.waiting import eventually, within

UNIFIED = next(
    (each for each in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified") if Path(each, "cgroup.procs").exists()), ""
)
needs_root = pytest.mark.skipif(not may_unshare(), reason="needs to mount: root, outside of a container")


@asynccontextmanager
async def opened(config: Config | None = None) -> AsyncIterator[Source]:
    async with Source.open(config or Config(), SystemClock()) as source:
        yield source


async def test_this_process_is_among_what_is_read() -> None:
    async with opened() as source:
        now = await source.read()
    assert now.processes is not None
    found = next(each for each in now.processes if each.pid == os.getpid())
    assert found.command == Path("/proc/self/comm").read_text(encoding="utf-8").strip()
    assert found.rss_bytes > 1_000_000
    assert found.cpu_s > 0
    assert found.files is None or found.files >= 3
    assert now.memory["MemAvailable"] < now.memory["MemTotal"]
    assert now.machine.id not in ("", Path("/etc/machine-id").read_text(encoding="utf-8").strip())


async def test_the_clock_is_judged_as_the_kernel_tells_anyone() -> None:
    """As `ntp_gettime` has it, another function of the C library, whose result 5 is that nothing keeps the clock."""
    program = (
        "import ctypes; room = ctypes.create_string_buffer(512); libc = ctypes.CDLL(None); "
        "print(libc.ntp_gettime(room), *(ctypes.c_long * 4).from_buffer(room)[2:4])"
    )
    process = await spawn_async(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    state, max_error_us, estimated_error_us = map(int, output.split())
    async with opened() as source:
        found = (await source.read()).clock
    assert found is not None
    assert found.max_error_s == pytest.approx(max_error_us / 1e6, abs=1)  # it grows by the second
    assert found.estimated_error_s == pytest.approx(estimated_error_us / 1e6, abs=1)
    assert found.is_synchronized or state == 5


async def test_a_clock_that_a_sandbox_hides_is_not_known_and_is_no_finding() -> None:
    """As the usual filter of containers does it: the kernel refuses to be asked."""
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from support.seccomp import refuse\nfrom kgents_collector_host.source.clock import kernel_clock\n"
        "before = kernel_clock()\nrefuse('adjtimex', 'clock_adjtime')\nprint(before is None, kernel_clock())"
    )
    process = await spawn_async(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output.split() == [b"False", b"None"]


async def test_processes_that_end_while_they_are_read_are_left_out() -> None:
    async with opened() as source:
        stop = False

        async def fork() -> None:
            while not stop:
                process = await spawn_async("true")
                await process.wait()

        forking = asyncio.create_task(fork())
        for _ in range(20):
            assert (await source.read()).processes
        stop = True
        await forking


async def test_processes_are_listed_once_the_kernel_has_made_one_and_what_ended_is_noticed_without() -> None:
    found = processes.Processes(Root("/"))

    async def pids(forks: int | None) -> set[int]:
        return {each.pid for each in (await found.read(forks))[0]}

    assert os.getpid() in await pids(7)
    process = await spawn_async("sleep", "60")
    assert process.pid not in await pids(7), "the count says that there is none"
    assert process.pid in await pids(8)
    process.kill()
    await process.wait()
    assert process.pid not in await pids(8)
    process = await spawn_async("sleep", "60")
    assert process.pid in await pids(None), "a kernel that does not count"
    process.kill()
    await process.wait()
    found.close()


WORKER = """
import sys, threading, time

def work():
    began_s = time.thread_time()
    while time.thread_time() < began_s + 0.05:
        pass

for line in sys.stdin:
    if line == "thread\\n":
        threading.Thread(target=lambda: [work() for _ in sys.stdin]).start()
        threading.Event().wait()
    work()
"""


@pytest.mark.parametrize("has_threads", [False, True])
async def test_a_process_that_works_after_a_rest_is_read_again(
    *, has_threads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "SETTLED_S", 0.0)  # a young one is read at each poll
    monkeypatch.setattr(processes, "THREADS_EVERY", 1_000_000)
    monkeypatch.setattr(processes, "SLEEPERS_EVERY", 1_000_000)
    process = await spawn_async(sys.executable, "-c", WORKER, stdin=asyncio.subprocess.PIPE)
    assert process.stdin is not None

    async def found(source: Source) -> Process:
        return next(each for each in (await source.read()).processes or () if each.pid == process.pid)

    async with opened() as source:
        if has_threads:
            process.stdin.write(b"thread\n")
            await eventually(lambda: len([*Path(f"/proc/{process.pid}/task").iterdir()]) > 1)
        before = await found(source)
        for _ in range(2):  # it rests, is read once more, and rests
            before = await found(source)
            process.stdin.write(b"work\n")
            now = before
            async with within(10.0):
                while now.cpu_s <= before.cpu_s:
                    now = await found(source)
    process.kill()
    await process.wait()


async def test_a_connection_that_is_made_or_ends_between_two_polls_is_seen() -> None:
    sockets = netlink.Sockets(Root("/"))

    def inodes() -> set[int]:
        return {each.inode for each in sockets.read() or ()}

    with socket.create_server(("127.0.0.1", 0)) as server:
        for _ in range(netlink.CONNECTED_EVERY + 1):  # whichever poll lists all of them in any case
            assert inodes()
            with socket.create_connection(server.getsockname()) as client:
                inode = os.fstat(client.fileno()).st_ino
                assert inode in inodes()
                assert inode in inodes()
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # it ends at once
            assert inode not in inodes()


async def test_both_ends_of_a_connection_are_found_with_their_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            async with opened() as source:
                await source.read()  # a short one is not searched for
                now = await source.read()
            listening, connected = server.getsockname(), client.getsockname()
    assert now.sockets is not None
    by_ends = {(each.local, each.remote): each for each in now.sockets}
    ends = [(listening, ("0.0.0.0", 0)), (connected, listening), (listening, connected)]  # noqa: S104
    assert [now.owners[by_ends[each].inode] for each in ends] == [os.getpid()] * 3
    assert [by_ends[each].is_listening for each in ends] == [True, False, False]


class Counting(Root):
    """Counts the processes whose files are searched."""

    def __init__(self) -> None:
        super().__init__("/")
        self.searched: list[str] = []

    def names(self, path: str) -> list[str]:
        if path.endswith("/fd"):
            self.searched.append(path)
        return super().names(path)


async def test_a_socket_is_searched_for_once_in_what_has_run_since_it_was_not_and_a_short_one_never() -> None:
    owners = Owners(root := Counting())
    ours, others = (Process(pid, "a", 1, 0.1, 0, 0, group) for pid, group in ((os.getpid(), "/ours"), (1, "/others")))

    async def searched(*sockets: Socket, ran: bool = False) -> int:
        nonlocal ours
        ours = structs.replace(ours) if ran else ours
        root.searched.clear()
        await owners.find(sockets, [ours, others], {7: "/ours"})
        return len(root.searched)

    early, short, lasting, late = (Socket(("10.0.0.1", 1), ("10.0.0.2", 1), inode=(1 << 40) + n) for n in range(4))
    listening = Socket(("10.0.0.1", 1), ("0.0.0.0", 0), inode=(1 << 40) + 4)  # noqa: S104 - what a socket says
    assert await searched(early) == 0, "it may be a short one"
    assert await searched(early) == 2, "of what was there before the first poll, all may have made it"
    assert await searched(short, ran=True) == 0, "it may be gone before anyone would know of it"
    assert [await searched(lasting, ran=not n) for n in range(4)] == [0, 1, 0, 0]
    assert [await searched(lasting, late) for _ in range(2)] == [0, 0], "no process that we see has run"
    both = [await searched(lasting, listening, ran=True) for _ in range(3)]
    assert both == [1, 1, 0], "others may be connected to one that listens"
    polls = [await searched(listening) for _ in range(EVERYWHERE_EVERY)]
    assert [each for each in polls if each] == [2], "by now one that sleeps may have it all the same"


async def test_a_socket_whose_process_has_ended_is_searched_for_everywhere() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        inode = os.fstat(server.fileno()).st_ino
        process = await spawn_async("sleep", "60", pass_fds=(server.fileno(),))
        owners = Owners(Root("/"))
        listening = Socket(server.getsockname(), ("0.0.0.0", 0), inode=inode)  # noqa: S104 - what a socket says
        ours, other = (Process(pid, "a", 1, 0.1, 0, 0, "/") for pid in (os.getpid(), process.pid))
        assert await owners.find([listening], [other, ours], {}) == {inode: process.pid}
        process.kill()
        await process.wait()
        assert await owners.find([listening], [ours], {}) == {inode: os.getpid()}


@needs_root
@pytest.mark.skipif(not UNIFIED, reason="needs version 2 of control groups")
async def test_a_process_that_is_moved_after_its_start_is_in_its_new_control_group() -> None:
    group = Path(UNIFIED) / f"kgents-moved-{os.getpid()}.service"
    group.mkdir()
    process = spawn(["sleep", "600"])
    try:
        async with opened() as source:

            async def unit() -> str:
                found = [each for each in (await source.read()).processes or () if each.pid == process.pid]
                return place_of(found[0].cgroup).unit if found else ""

            assert await unit() != group.name
            (group / "cgroup.procs").write_text(str(process.pid))
            assert await unit() == group.name
    finally:
        process.kill()
        process.wait()
        await eventually(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def test_an_address_of_ipv4_that_ipv6_holds_is_one_of_ipv4() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            every = netlink.Sockets(Root("/")).read() or ()
            found = [each for each in every if port in (each.local[1], each.remote[1])]
    assert {each.local[0] for each in found} == {"::", "127.0.0.1"}


async def test_the_space_of_a_file_system_is_as_df_has_it(tmp_path: Path) -> None:
    spaces = Spaces(SystemClock())
    found = await spaces.ask(str(tmp_path))
    await spaces.close()
    process = await spawn_async(
        "df", "-B1", "--output=used,avail,itotal", str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    used, available, inodes = map(int, output.split()[-3:])
    assert isinstance(found, Space)
    assert found.inodes == inodes
    assert found.used_bytes == pytest.approx(used, rel=0.05)  # others write meanwhile
    assert found.available_bytes == pytest.approx(available, rel=0.05)


async def test_a_mount_point_that_is_gone_is_a_fault_and_not_an_end() -> None:
    spaces = Spaces(SystemClock())
    assert "ENOENT" in str(await spaces.ask("/nowhere at all\n"))
    assert isinstance(await spaces.ask("/"), Space)
    await spaces.close()


async def test_the_hottest_sensor_counts_and_one_that_says_nothing_does_not(tmp_path: Path) -> None:
    spaces = Spaces(SystemClock())
    assert await spaces.heat(str(tmp_path)) is None
    sensors = tmp_path / "sys/class/hwmon/hwmon0"
    sensors.mkdir(parents=True)
    for name, content in (
        ("temp1_input", "48000\n"),
        ("temp2_input", "61500\n"),
        ("temp3_input", ""),
        ("temp4_crit", "9"),
    ):
        (sensors / name).write_text(content)
    assert await spaces.heat(str(tmp_path)) == 61.5
    await spaces.close()


@needs_root
@pytest.mark.skipif(not DEVICE.exists(), reason="this kernel has no FUSE")
async def test_a_dead_mount_delays_a_poll_once_and_hides_nothing_else(tmp_path: Path) -> None:
    point = tmp_path / "dead"
    async with opened(Config(remote_file_systems=True)) as source:
        with hanging_mount(point):
            now = await source.read()
            asked = [each.mount.point for each in now.file_systems]
            again = await source.read()
    by_point = {each.mount.point: each for each in now.file_systems}
    assert by_point[str(point)].space is None
    assert "does not answer" in by_point[str(point)].fault
    assert by_point["/"].space is not None
    assert asked[-1] == str(point), "what may hang is asked last"
    assert again.file_systems == now.file_systems


async def test_what_is_written_to_a_disk_is_seen_at_its_device(tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    name = f"{os.major(device)}:{os.minor(device)}"
    async with opened() as source:
        before = (await source.read()).disks
        if name not in before:
            pytest.skip("the directory of tests is on no disk that the kernel counts")
        with (tmp_path / "file").open("wb") as file:
            file.write(os.urandom(4 << 20))
            os.fsync(file.fileno())
        now = (await source.read()).disks
    assert now[name].written_bytes - before[name].written_bytes >= 4 << 20
    assert now[name].transfers > before[name].transfers


@needs_root
async def test_a_file_system_that_is_full_says_so(tmp_path: Path) -> None:
    point = tmp_path / "disk"
    point.mkdir()
    mounting = await spawn_async("mount", "-t", "tmpfs", "-o", "size=64m", "none", str(point))
    assert await mounting.wait() == 0
    try:
        with pytest.raises(OSError, match="No space"):
            (point / "file").write_bytes(b"x" * (65 << 20))
        async with opened() as source:
            now = await source.read()
    finally:
        await (await spawn_async("umount", "-l", str(point))).wait()
    found = next(each for each in now.file_systems if each.mount.point == str(point))
    assert found.mount == Mount(found.mount.device, "/", str(point), "tmpfs", "none", is_read_only=False)
    assert found.space is not None
    assert found.space.used_bytes / found.space.size_bytes > 0.99


async def test_the_command_line_and_the_environment_of_a_process_are_never_read() -> None:
    canary = "canary-4711"
    process = spawn(
        [sys.executable, "-c", "import time; time.sleep(600)", canary], env={**os.environ, "SECRET": canary}
    )
    try:
        async with opened() as source:

            async def is_seen() -> Sample | None:
                now = await source.read()
                return now if any(each.pid == process.pid for each in now.processes or ()) else None

            found = await eventually(is_seen)
    finally:
        process.kill()
        process.wait()
    assert canary not in repr(found)


IN_A_NETWORK = """
import socket, time
server = socket.create_server(("10.9.8.7", 5000))
client = socket.create_connection(server.getsockname())
accepted, _ = server.accept()
time.sleep(600)
"""


@needs_root
@pytest.mark.skipif(shutil.which("ip") is None, reason="needs ip, of iproute2")
async def test_sockets_of_another_network_namespace_are_read_through_a_process_in_it() -> None:
    script = f"ip link set lo up && ip address add 10.9.8.7/32 dev lo && exec {sys.executable} -c '{IN_A_NETWORK}'"
    moves = 'sleep 0.5; exec unshare --net bash -c "$1"'  # seen before, as the first process of a container may be
    process = spawn(["bash", "-c", moves, "-", script])
    try:
        async with opened() as source:

            async def is_seen() -> Sample | None:
                now = await source.read()
                owned = [each for each in ends(now) if each.inode in now.owners]  # mostly at the second sight
                return now if len(owned) == 3 else None

            now = await eventually(is_seen)
    finally:
        process.kill()
        process.wait()
    assert now is not None
    (number,) = {each.namespace for each in ends(now)}
    assert number != 0
    assert now.namespaces[number] == ("10.9.8.7",)
    assert {now.owners[each.inode] for each in ends(now)} == {process.pid}


def ends(now: Sample) -> list[Socket]:
    return [each for each in now.sockets or () if each.local[0] == "10.9.8.7"]


MEMORY = Path("/sys/fs/cgroup/memory")


@needs_root
@pytest.mark.skipif(not MEMORY.is_dir(), reason="needs version 1 of the memory controller")
async def test_what_is_killed_for_memory_is_known_by_name() -> None:
    group = MEMORY / f"kgents-test-{os.getpid()}" / "shop.service"
    group.mkdir(parents=True)
    try:
        (group / "memory.limit_in_bytes").write_text(str(16 << 20))
        async with opened() as source:
            before = await source.read()
            script = f"echo $$ > {group}/cgroup.procs; exec {sys.executable} -c 'bytearray(1 << 30)'"
            process = await spawn_async("bash", "-c", script)
            assert await process.wait() == -signal.SIGKILL
            now = await source.read()
    finally:
        group.rmdir()
        group.parent.rmdir()
    assert now.oom_kills is not None
    assert before.oom_kills is not None
    assert now.oom_kills > before.oom_kills
    assert [place_of(each.cgroup).unit for each in now.victims if each.command.startswith("python")] == ["shop.service"]
