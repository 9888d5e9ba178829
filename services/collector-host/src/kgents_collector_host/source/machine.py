"""One poll of the machine → Sample."""

import os
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from kgents_collector_host import proc
from kgents_collector_host.config import Config
from kgents_collector_host.mounts import chosen
from kgents_collector_host.place import place_of
from kgents_collector_host.sample import FileSystem, Machine, Sample, Socket, Space
from kgents_collector_host.source import netlink
from kgents_collector_host.source.clock import kernel_clock
from kgents_collector_host.source.files import Root
from kgents_collector_host.source.kernel_log import KernelLog
from kgents_collector_host.source.namespaces import Namespaces
from kgents_collector_host.source.owners import Owners
from kgents_collector_host.source.processes import Processes
from kgents_collector_host.source.space import Spaces
from kgents_collector_host.source.systemd import Systemd
from kgents_shared.contract import host_identity
from kgents_shared.runtime.clock import Clock

SPACE_INTERVAL_S: Final = 30.0
SMALLEST_BYTES: Final = 64 << 20
"""File systems below are configuration: a lock directory, the variables of the firmware."""
ADDRESSES_MAX: Final = 8

_OF_CONTAINERS: Final = re.compile(r"(veth|docker|br-|cali|cilium|lxc|flannel|cni|tun|tap|virbr|kube-|dummy|ifb|lo$).*")
"""Interfaces of containers and of this machine alone: their addresses are the same on many machines."""


class Source:
    """Reads the machine, again and again."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._root = root = Root(config.root)
        self._with_remote = config.remote_file_systems
        self._clock = clock
        self._processes = Processes(root)
        self._owners = Owners(root)
        self._sockets = netlink.Sockets(root)
        self._spaces = Spaces(clock)
        self._systemd = Systemd(root, clock)
        self._namespaces = Namespaces(root)
        self._kernel_log = KernelLog(root)
        self._machine = _machine(root, config.host_name)
        self._network = root.inode("/proc/self/ns/net") or 0
        self._file_systems: tuple[FileSystem, ...] = ()
        self._spaces_at_s = float("-inf")
        self._celsius: float | None = None

    @staticmethod
    @asynccontextmanager
    async def open(config: Config, clock: Clock) -> "AsyncIterator[Source]":
        """A source, for as long as the block runs."""
        source = Source(config, clock)
        try:
            yield source
        finally:
            source._processes.close()
            source._systemd.close()
            source._kernel_log.close()
            await source._spaces.close()

    async def read(self) -> Sample:
        """Everything there is to know now."""
        root = self._root
        stat = root.read("/proc/stat") or b""
        processes, kernel_threads = await self._processes.read(proc.forks(stat))
        is_hidden = not any(each.pid == 1 for each in processes)
        elsewhere, namespaces = await self._namespaces.read(processes)
        own = self._sockets.read()
        sockets = (*own, *elsewhere) if own is not None else None
        paths = {each.cgroup for each in processes}
        cgroup_ids = self._processes.cgroup_ids(paths)
        units = await self._systemd.read()
        await self._read_spaces()
        return Sample(
            at=self._clock.now(),
            time_s=time.clock_gettime(time.CLOCK_BOOTTIME),
            machine=self._machine,
            addresses=tuple(self._addresses()),
            cpu=proc.cpu_time(stat),
            load=proc.load(root.read_once("/proc/loadavg") or b""),
            memory=proc.table(root.read("/proc/meminfo") or b""),
            oom_kills=proc.oom_kills(root.read("/proc/vmstat") or b""),
            pressure={
                name: proc.pressure(content)
                for name in ("cpu", "memory", "io")
                if (content := root.read_once(f"/proc/pressure/{name}")) is not None
            },
            interfaces=tuple(
                each
                for each in proc.interfaces(root.read("/proc/net/dev") or b"")
                if not _OF_CONTAINERS.fullmatch(each.name)
            ),
            open_files=proc.open_files(root.read_once("/proc/sys/fs/file-nr") or b""),
            celsius=self._celsius,
            clock=kernel_clock(),
            pids_max=root.number("/proc/sys/kernel/pid_max"),
            processes=None if is_hidden else processes,
            kernel_threads=kernel_threads,
            sockets=sockets,
            owners=dict(await self._owners.find(sockets or (), processes, cgroup_ids)),
            cgroup_ids=cgroup_ids,
            network=self._network,
            namespaces=namespaces,
            victims=self._kernel_log.victims(),
            groups={path: self._processes.group(path) for path in paths if place_of(path).unit},
            units=units if isinstance(units, tuple) else None,
            units_fault=units if isinstance(units, str) else "",
            disks=proc.disks(root.read("/proc/diskstats") or b""),
            file_systems=self._file_systems,
            faults=(
                *_faults(is_hidden=is_hidden, sockets=sockets),
                *(f"{each.mount.point} {each.fault}" for each in self._file_systems if each.fault),
            ),
        )

    async def _read_spaces(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._spaces_at_s < SPACE_INTERVAL_S:
            return
        self._spaces_at_s = now_s
        found: list[FileSystem] = []
        content = self._root.read("/proc/1/mountinfo") or self._root.read("/proc/self/mountinfo") or b""
        for mount in chosen(proc.mounts(content), with_remote=self._with_remote):
            answer = await self._spaces.ask(self._root.path(mount.point) or "/")
            known = answer if isinstance(answer, Space) else None
            if known is not None and known.size_bytes < SMALLEST_BYTES:
                continue
            found.append(FileSystem(mount, known, self._clock.now(), "" if isinstance(answer, Space) else answer))
        self._file_systems = tuple(found)
        self._celsius = await self._spaces.heat(self._root.path(""))

    def _addresses(self) -> list[str]:
        """At which other machines reach this one."""
        found = []
        for index, address in netlink.addresses():
            try:
                name = socket.if_indextoname(index)
            except OSError:
                continue
            if not _OF_CONTAINERS.fullmatch(name):
                found.append(address)
        return found[:ADDRESSES_MAX]


def _machine(root: Root, name: str) -> Machine:
    found = os.uname()
    machine_id = root.text("/etc/machine-id") or root.text("/var/lib/dbus/machine-id")
    boot_id = root.text("/proc/sys/kernel/random/boot_id")
    system = dict(line.partition("=")[::2] for line in root.text("/etc/os-release").splitlines())
    return Machine(
        name=name,
        id=host_identity.host_id(machine_id),
        alias=host_identity.alias(machine_id, boot_id),
        boot_id=boot_id,
        architecture=found.machine,
        kernel=found.release,
        system=system.get("PRETTY_NAME", "").strip('"'),
        cpus=os.cpu_count() or 0,
    )


def _faults(*, is_hidden: bool, sockets: tuple[Socket, ...] | None) -> Iterator[str]:
    if is_hidden:
        yield "other users' processes are hidden (hidepid): expected /proc as root mounts it; try: gid= of this user"
    if sockets is None:
        yield "the kernel lists no sockets: expected its module tcp_diag; try: modprobe tcp_diag"
