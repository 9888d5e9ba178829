"""What collectors state of containers and engines and OpenTelemetry has no name for."""

from typing import Final

from kgents_shared.contract.vocabulary.attributes.attribute import Attributes

_OURS: Final = Attributes()
_attribute = _OURS.attribute

BINDS: Final = _attribute(
    "kgents.docker.binds", "Of a connection: directories of the host that are mounted, `host:container`."
)
CGROUP_VERSION: Final = _attribute("kgents.docker.cgroup_version", "`1` or `2`.")
COMPOSE_CONDITION: Final = _attribute(
    "kgents.docker.compose.condition", "Of a connection: what `depends_on` waits for."
)
COMPOSE_PROJECT: Final = _attribute("kgents.docker.compose.project", "Compose project.")
COMPOSE_SERVICE: Final = _attribute("kgents.docker.compose.service", "Compose service.")
CPU_LIMIT_CORES: Final = _attribute("kgents.docker.cpu_limit_cores", "Cores it may use.")
CPUS: Final = _attribute("kgents.docker.cpus", "Cores that the engine has.")
EXIT_CODE: Final = _attribute("kgents.docker.exit_code", "Exit code of a container that has ended.")
FINISHED_AT: Final = _attribute("kgents.docker.finished_at", "When its last run ended.")
HEALTH: Final = _attribute("kgents.docker.health", "State of its health check.")
IMAGE_REFERENCE: Final = _attribute(
    "kgents.docker.image.reference", "Of a connection: the image as the container names it, `shop/cart:1.2`."
)
IMAGE_SIZE_BYTES: Final = _attribute("kgents.docker.image.size_bytes", "Size of the image.")
MEMORY_BYTES: Final = _attribute("kgents.docker.memory_bytes", "Memory that the engine has.")
MEMORY_LIMIT_BYTES: Final = _attribute("kgents.docker.memory_limit_bytes", "Memory it may use.")
MOUNTS: Final = _attribute("kgents.docker.mounts", "Of a connection: where a volume is mounted.")
NETWORK_ADDRESSES: Final = _attribute(
    "kgents.docker.network.addresses", "Of a connection: its addresses in the network, when it has several."
)
NETWORK_ALIASES: Final = _attribute("kgents.docker.network.aliases", "Of a connection: its names in the network.")
NETWORK_DRIVER: Final = _attribute("kgents.docker.network.driver", "`bridge`, `overlay`, …")
NETWORK_INTERNAL: Final = _attribute("kgents.docker.network.internal", "Whether it has no way out.")
NETWORK_SCOPE: Final = _attribute("kgents.docker.network.scope", "`local` or `swarm`.")
NETWORK_SUBNETS: Final = _attribute("kgents.docker.network.subnets", "Its address ranges.")
OOM_KILLED_AT: Final = _attribute(
    "kgents.docker.oom_killed_at", "When the kernel last killed a process of it for its memory, in any of its runs."
)
OOM_KILLED: Final = _attribute("kgents.docker.oom_killed", "Whether the kernel killed it for its memory.")
PORTS: Final = _attribute(
    "kgents.docker.ports", "As `docker ps` shows them: `0.0.0.0:8080->80/tcp`, `53/udp` if it is only exposed."
)
RESTART_COUNT: Final = _attribute(
    "kgents.docker.restart_count", "Restarts by the engine since the container was last started by request."
)
RESTART_POLICY: Final = _attribute("kgents.docker.restart_policy", "`always`, `on-failure`, `unless-stopped`.")
STARTED_AT: Final = _attribute("kgents.docker.started_at", "When its last run began.")
STATE: Final = _attribute("kgents.docker.state", "As the engine reports it: `running`, `exited`, …")
STORAGE_DRIVER: Final = _attribute("kgents.docker.storage_driver", "`overlay2`, …")
VOLUME_DRIVER: Final = _attribute("kgents.docker.volume.driver", "Driver that provides the volume.")
VOLUME_SCOPE: Final = _attribute("kgents.docker.volume.scope", "`local` or `global`.")

ATTRIBUTES: Final = tuple(_OURS.declared)
