"""The engine's answers, unchanged: source/ → Inventory, Stats, EngineEvent → mapping. Pure.

The Structs name only what the mapping reads. All else is skipped while decoding: environment, command line, options,
health check output and build arguments never become objects in this process.
"""

from datetime import datetime
from typing import Final

from msgspec import Struct, field

NEVER: Final = 1
"""The year of Go's zero time, which the engine writes for what has not happened."""
FAULTS_SHOWN: Final = 3
"""Reasons named in one sentence."""


class Version(Struct, frozen=True):
    """`GET /version`."""

    api: str = field(name="ApiVersion")
    min_api: str = field(name="MinAPIVersion", default="")


class Info(Struct, frozen=True, rename="pascal"):
    """`GET /info`: the engine and the machine it runs on."""

    id: str = field(name="ID", default="")
    """The engine's own, kept in its data directory; older than 20.10 give none. Podman gives another one each time."""
    name: str = ""
    """The machine's host name."""
    server_version: str = ""
    operating_system: str = ""
    os_type: str = field(name="OSType", default="")
    architecture: str = ""
    kernel_version: str = ""
    driver: str = ""
    cgroup_version: str = ""
    ncpu: int = field(name="NCPU", default=0)
    mem_total: int = 0
    system_time: datetime | None = None
    """The engine's own clock."""
    buildah_version: str = ""
    """Podman's builder; no other engine has it."""

    @property
    def lasting_id(self) -> str:
        """The id if it is the same at the next poll, else empty."""
        return "" if self.buildah_version else self.id

    @property
    def runtime(self) -> str:
        """Parts of the engine, to recognise Podman by."""
        return "podman" if self.buildah_version else "docker"


class Health(Struct, frozen=True, rename="pascal"):
    """`State.Health`; absent without a health check."""

    status: str = ""


class State(Struct, frozen=True, rename="pascal"):
    """`State` of a container."""

    status: str = ""
    exit_code: int = 0
    oom_killed: bool = field(name="OOMKilled", default=False)
    """Whether the kernel killed a process of it for lack of memory, since its last start."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    health: Health | None = None


class Nothing(Struct, frozen=True):
    """An object of which nothing is read."""


class Settings(Struct, frozen=True, rename="pascal"):
    """`Config` of a container: only these fields."""

    image: str = ""
    labels: dict[str, str] | None = None
    exposed_ports: dict[str, Nothing] | None = None
    """`80/tcp`, as its image or its creator states."""
    stop_signal: str = ""
    """Empty: TERM."""


class RestartPolicy(Struct, frozen=True, rename="pascal"):
    """`HostConfig.RestartPolicy`."""

    name: str = ""


class HostConfig(Struct, frozen=True, rename="pascal"):
    """`HostConfig`: the limits, 0 for none."""

    network_mode: str = ""
    nano_cpus: int = 0
    cpu_quota: int = 0
    cpu_period: int = 0
    cpuset_cpus: str = ""
    """`0-3,7`; empty: all there are."""
    memory: int = 0
    pids_limit: int | None = None
    restart_policy: RestartPolicy | None = None


class PortBinding(Struct, frozen=True, rename="pascal"):
    """Where a port of a container is published on the host."""

    host_ip: str = ""
    host_port: str = ""


class Endpoint(Struct, frozen=True, rename="pascal"):
    """A container in one network; without addresses while it does not run."""

    network_id: str = field(name="NetworkID", default="")
    ip_address: str = field(name="IPAddress", default="")
    global_ipv6_address: str = field(name="GlobalIPv6Address", default="")
    aliases: list[str] | None = None


class NetworkSettings(Struct, frozen=True, rename="pascal"):
    """`NetworkSettings`: network name → endpoint, `80/tcp` → where it is published (null: only exposed)."""

    networks: dict[str, Endpoint | None] | None = None
    ports: dict[str, list[PortBinding] | None] | None = None


class Mount(Struct, frozen=True, rename="pascal"):
    """One mount."""

    type: str = ""
    name: str = ""
    source: str = ""
    destination: str = ""
    rw: bool = field(name="RW", default=True)


class Container(Struct, frozen=True, rename="pascal"):
    """`GET /containers/<id>/json`."""

    id: str
    name: str
    """With a leading slash."""
    image: str = ""
    """The image's id."""
    created: datetime | None = None
    restart_count: int | None = None
    """Restarts by its restart policy since a person last started it; None: it was not inspected."""
    state: State = State()
    config: Settings = Settings()
    host_config: HostConfig = HostConfig()
    network_settings: NetworkSettings = NetworkSettings()
    mounts: list[Mount] | None = None

    @property
    def own_name(self) -> str:
        """Its name without the slash."""
        return self.name.removeprefix("/")

    @property
    def labels(self) -> dict[str, str]:
        """All its labels, unfiltered."""
        return self.config.labels or {}


class Network(Struct, frozen=True, rename="pascal"):
    """One entry of `GET /networks`."""

    id: str
    name: str
    created: datetime | None = None
    scope: str = ""
    driver: str = ""
    internal: bool = False
    ipam: "Ipam | None" = field(name="IPAM", default=None)
    labels: dict[str, str] | None = None


class Ipam(Struct, frozen=True, rename="pascal"):
    """`IPAM` of a network."""

    config: "list[IpamConfig] | None" = None


class IpamConfig(Struct, frozen=True, rename="pascal"):
    """One range of addresses."""

    subnet: str = ""


class Volume(Struct, frozen=True, rename="pascal"):
    """One entry of `GET /volumes`. Its options are not named: they may hold the password of a network share."""

    name: str
    driver: str = ""
    scope: str = ""
    labels: dict[str, str] | None = None


class Volumes(Struct, frozen=True, rename="pascal"):
    """`GET /volumes`."""

    volumes: list[Volume] | None = None
    warnings: list[str] | None = None
    """Not empty: a volume driver did not answer, and its volumes are missing from the list."""


class Image(Struct, frozen=True, rename="pascal"):
    """`GET /images/<id>/json`."""

    id: str
    repo_tags: list[str] | None = None
    repo_digests: list[str] | None = None
    architecture: str = ""
    os: str = ""
    size: int = 0


class End(Struct, frozen=True):
    """The last signs of an end of one container: times in nanoseconds by the engine's clock, 0 for never."""

    died_ns: int = 0
    oom_ns: int = 0
    """When the kernel last killed a process of it for its memory."""
    stopped_ns: int = 0
    """When it had been stopped by a request (`docker stop`, Compose, Swarm): reported after its end."""
    signals: dict[int, int] = {}
    """Signal → when it was last sent through the engine."""


NO_SIGN: Final = End()


class Inventory(Struct, frozen=True):
    """All objects of one engine, as last read."""

    info: Info
    containers: dict[str, Container]
    """By id."""
    networks: dict[str, Network]
    """By id."""
    volumes: dict[str, Volume]
    """By name."""
    images: dict[str, Image]
    """By id; those that a container was made from."""
    ends: dict[str, End] = {}
    """Container id → what events said of its end."""
    unread: dict[str, str] = {}
    """Kind → why it could not be listed completely: nothing of it may be removed."""
    unknown: dict[str, str] = {}
    """Id of a container or image → why it cannot be read: it exists, and is as it was, or as the list has it."""
    uninspected: frozenset[str] = frozenset()
    """Containers that are known by the list alone."""

    @property
    def fault(self) -> str:
        """What is missing, and why; empty when nothing is."""
        return "; ".join([*self.unread.values(), *self.unknown.values()][:FAULTS_SHOWN])


class Attributes(Struct, frozen=True):
    """The actor's attributes. A container's labels are mixed in, and override all but `name`."""

    name: str = ""
    exit_code: str = field(name="exitCode", default="")
    signal: str = ""
    container: str = ""
    """In network events, the id of the container."""
    project: str = field(name="com.docker.compose.project", default="")


class Actor(Struct, frozen=True):
    """The object of an event."""

    id: str = field(name="ID", default="")
    attributes: Attributes | None = field(name="Attributes", default=None)


class EngineEvent(Struct, frozen=True):
    """One line of `GET /events`."""

    type: str = field(name="Type", default="")
    action: str = field(name="Action", default="")
    actor: Actor = field(name="Actor", default=Actor())
    time_ns: int = field(name="timeNano", default=0)

    @property
    def attributes(self) -> Attributes:
        """The attributes, also when there are none."""
        return self.actor.attributes or Attributes()

    @property
    def about(self) -> str:
        """The id of its object; of a volume the name, which Podman has in another field."""
        return self.actor.id or self.attributes.name

    @property
    def key(self) -> str:
        """Equal for one event, however often it is reported."""
        # In a container's event this would be a label of that name, with any text.
        container = self.attributes.container if self.type == "network" else ""
        return f"{self.type}:{self.about[:12]}:{container[:12]}:{self.action}:{self.time_ns}"


class CpuUsage(Struct, frozen=True):
    """Nanoseconds since the start."""

    total_usage: int = 0


class Throttling(Struct, frozen=True):
    """Periods of the CPU limit, and in how many of them it was reached."""

    periods: int = 0
    throttled_periods: int = 0


class CpuStats(Struct, frozen=True):
    """`cpu_stats`."""

    cpu_usage: CpuUsage = CpuUsage()
    throttling_data: Throttling = Throttling()


class MemoryParts(Struct, frozen=True):
    """`memory_stats.stats`: the part that is cache, which the kernel frees on demand."""

    total_inactive_file: int | None = None
    """With cgroup v1."""
    inactive_file: int | None = None
    """With cgroup v2; with v1 without the cgroup's children."""
    total_active_file: int | None = None
    active_file: int | None = None
    """Likewise: files that were read more than once."""


class MemoryStats(Struct, frozen=True):
    """`memory_stats`."""

    usage: int | None = None
    stats: MemoryParts = MemoryParts()


class Traffic(Struct, frozen=True):
    """One interface."""

    rx_bytes: int = 0
    tx_bytes: int = 0


class BlockEntry(Struct, frozen=True):
    """One device and operation."""

    op: str = ""
    value: int = 0


class BlockStats(Struct, frozen=True):
    """`blkio_stats`."""

    io_service_bytes_recursive: list[BlockEntry] | None = None


class PidsStats(Struct, frozen=True):
    """`pids_stats`."""

    current: int | None = None


class Stats(Struct, frozen=True):
    """`GET /containers/<id>/stats?stream=false&one-shot=true`: counters since the container's start."""

    read: datetime
    """The engine's own clock; the zero time when the container does not run."""
    cpu_stats: CpuStats = CpuStats()
    memory_stats: MemoryStats = MemoryStats()
    networks: dict[str, Traffic] | None = None
    blkio_stats: BlockStats = BlockStats()
    pids_stats: PidsStats = PidsStats()
