"""What was read of the machine in one poll, unchanged: source/ → Sample → mapping. Pure."""

from datetime import datetime
from typing import Final

from msgspec import Struct

from kgents_collector_host.proc import CpuTime, Disk, Interface, Mount, Pressure

SETTLED_S: Final = 30.0
"""How old a process is when its program is shown: what ends sooner comes and goes with every command."""
GIVEN_UP_S: Final = 16.0
"""The kernel's limit of the error of its clock; what nothing has ever set begins with it."""


class Machine(Struct, frozen=True):
    """What does not change while it runs."""

    name: str
    """As the configuration calls it, else its host name."""
    id: str = ""
    """Made of its machine id, which itself is confidential; empty: it has none."""
    alias: str = ""
    """What each collector calls it until it is started again; empty: not known."""
    boot_id: str = ""
    """New at every start of the kernel."""
    architecture: str = ""
    kernel: str = ""
    system: str = ""
    """`Debian GNU/Linux 12 (bookworm)`."""
    cpus: int = 0


class Process(Struct, frozen=True, gc=False):
    """One process of a program."""

    pid: int
    command: str
    start_ticks: int
    """When it started, in ticks since the boot."""
    started_s: float
    """The same in seconds."""
    cpu_s: float
    """Processor time since then."""
    rss_bytes: int
    """Resident memory; what it shares with others counts for each of them."""
    cgroup: str
    """Its control group; `/`: none."""
    network: int = 0
    """The number of its network namespace; 0: not known, as of one that has ended."""
    threads: int = 1
    """Of one with several, not all that it does shows in what is read of it."""
    is_zombie: bool = False
    """It has ended, and its parent has not asked how."""
    files: int | None = None
    """Files that it has open; None: this user may not see it."""
    files_max: int | None = None

    @property
    def key(self) -> tuple[int, int]:
        """Its pid and its start: never another process."""
        return self.pid, self.start_ticks


class Socket(Struct, frozen=True, gc=False):
    """A TCP socket that listens or is connected."""

    local: tuple[str, int]
    """Address and port."""
    remote: tuple[str, int]
    """Of one that listens: the wildcard address and 0."""
    inode: int
    cgroup_id: int = 0
    """Of the process that made it; 0: the kernel does not say."""
    namespace: int = 0
    """The number of its network namespace; 0: that of the machine."""
    cgroup: str = ""
    """Of another namespace: the control group of all its processes, if it is one."""

    @property
    def is_listening(self) -> bool:
        """Whether it takes connections."""
        return self.remote[1] == 0


class Victim(Struct, frozen=True, gc=False):
    """A process that the kernel killed for memory."""

    command: str
    cgroup: str


class Space(Struct, frozen=True, gc=False):
    """What `statvfs` says of a file system."""

    size_bytes: int
    """Without what is reserved for root, as `df` has it."""
    used_bytes: int
    available_bytes: int
    """To programs that are not root's."""
    inodes: int = 0
    """0: it has no fixed number of them."""
    inodes_free: int = 0


class KernelClock(Struct, frozen=True, gc=False):
    """What the kernel knows of the machine's clock from the program that keeps it."""

    max_error_s: float
    """By how much it is wrong at most. It grows by 0.5 ms a second until that program informs the kernel again."""
    estimated_error_s: float
    """By how much it is wrong as is estimated; 0: that program does not say."""

    @property
    def is_synchronized(self) -> bool:
        """Whether it is kept right, as `timedatectl` has it: the kernel gives up at 16 s, after nine hours."""
        return self.max_error_s < GIVEN_UP_S


class FileSystem(Struct, frozen=True, gc=False):
    """A file system, at the mount point that stands for it."""

    mount: Mount
    space: Space | None
    """None: it did not answer in time."""
    read_at: datetime
    """Less often than the rest."""
    fault: str = ""


class Group(Struct, frozen=True, gc=False):
    """Figures of one control group: what its processes use, the short-lived ones too. None: it does not say."""

    cpu_s: float | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None


class Unit(Struct, frozen=True, gc=False):
    """A service of systemd, in its words."""

    name: str
    """`nginx.service`."""
    state: str
    """`active`, `activating`, `deactivating`, `reloading`, `failed`."""
    sub_state: str
    """`running`, `exited`, `auto-restart`, …"""
    result: str = "success"
    """How its last run ended: `exit-code`, `signal`, `oom-kill`, `timeout`, …"""
    exit_status: int = 0
    """Of the main process: its exit code, or the signal."""
    restarts: int = 0
    """By systemd itself, since it was last started by request."""
    cgroup: str = ""


class Sample(Struct, frozen=True):
    """One poll."""

    at: datetime
    """By the server's clock, as far as it is known: the time of the pulses."""
    time_s: float
    """By a clock that no one sets and that goes on in standby: what rates are computed by."""
    machine: Machine
    addresses: tuple[str, ...] = ()
    """At which other machines reach it."""
    cpu: CpuTime | None = None
    load: tuple[float, float, float] | None = None
    memory: dict[str, int] = {}
    """`/proc/meminfo`, in bytes."""
    oom_kills: int | None = None
    """Processes that the kernel killed for memory since its start; None: it does not count them."""
    pressure: dict[str, Pressure] = {}
    """Of `cpu`, `memory` and `io`."""
    interfaces: tuple[Interface, ...] = ()
    """Those of hardware, and what joins them; not those of containers."""
    open_files: tuple[int, int] | None = None
    pids_max: int | None = None
    celsius: float | None = None
    """Of the hottest sensor; None: the machine has none."""
    clock_skew_s: float | None = None
    """From the clock of the NATS server; None: not known."""
    clock: KernelClock | None = None
    """None: the kernel does not say."""
    processes: tuple[Process, ...] | None = None
    """None: the others are hidden from this user."""
    kernel_threads: int = 0
    sockets: tuple[Socket, ...] | None = None
    """None: they cannot be read."""
    owners: dict[int, int] = {}
    """Inode of a socket → pid, as far as this user may see it."""
    cgroup_ids: dict[int, str] = {}
    """Number of a control group → its path."""
    network: int = 0
    """The kernel's number of the network namespace of the machine; 0: not known."""
    namespaces: dict[int, tuple[str, ...]] = {}
    """Number of another network namespace → its addresses, those of its loopback apart."""
    victims: tuple[Victim, ...] = ()
    """Since the sample before, as far as this user may read the kernel's log."""
    groups: dict[str, Group] = {}
    """Path of a control group of a unit or container → what it uses."""
    units: tuple[Unit, ...] | None = None
    """None: there is no systemd, or it does not answer, which is a fault then."""
    units_fault: str = ""
    disks: dict[str, Disk] = {}
    """By `major:minor`, and by name."""
    file_systems: tuple[FileSystem, ...] = ()
    faults: tuple[str, ...] = ()
    """What else could not be read."""
