"""What collector-docker measures: containers, and the engine itself."""

from typing import Final

from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures.figure import CUSTOM, Field

_FIELD: Final = Field("docker")

_container = _FIELD.section(CUSTOM, kinds.CONTAINER).figure
CPU_OF_LIMIT_PERCENT: Final = _container("cpu_of_limit_percent", "%", "CPU used, of its limit.")
CPU_OF_HOST_PERCENT: Final = _container("cpu_of_host_percent", "%", "CPU used, of all that the host has.")
CPU_THROTTLED_RATIO: Final = _container(
    "cpu_throttled_ratio", "1", "Scheduling periods in which the CPU limit was reached, since the last pulse."
)
BLOCK_READ_BYTES_PER_SEC: Final = _container(
    "block_read_bytes_per_sec", "By/s", "Read from disks, since the last pulse."
)
BLOCK_WRITE_BYTES_PER_SEC: Final = _container(
    "block_write_bytes_per_sec", "By/s", "Written to disks, since the last pulse."
)
PIDS: Final = _container("pids", "{process}", "Processes and threads.")
PIDS_RATIO: Final = _container("pids_ratio", "1", "Processes and threads as a share of their limit.")
RESTARTS: Final = _container("restarts", "{restart}", "Restarts by the engine since the container was created.")

_engine = _FIELD.section(CUSTOM, kinds.HOST).figure
CONTAINERS: Final = _engine("containers", "{container}", "Containers that exist.")
CONTAINERS_RUNNING: Final = _engine("containers_running", "{container}", "Containers that run.")
CONTAINERS_PAUSED: Final = _engine("containers_paused", "{container}", "Containers that are paused.")
CONTAINERS_CPU_PERCENT: Final = _engine("containers_cpu_percent", "%", "CPU used by all containers, of one core.")
CONTAINERS_MEMORY_BYTES: Final = _engine("containers_memory_bytes", "By", "Memory used by all containers.")
ENGINE_CPU_PERCENT: Final = _engine("engine_cpu_percent", "%", "CPU used by the engine's own process, of one core.")
OBSERVER_REQUESTS_PER_SEC: Final = _engine(
    "observer_requests_per_sec", "{request}/s", "Requests of the collector to the engine."
)
OBSERVER_BYTES_PER_SEC: Final = _engine("observer_bytes_per_sec", "By/s", "Bytes the collector reads from the engine.")
OBSERVER_WAITING_RATIO: Final = _engine(
    "observer_waiting_ratio",
    "1",
    "Time that requests of the collector wait; over 1 when several wait at once.",
)
OBSERVER_FAILED_SAMPLES: Final = _engine(
    "observer_failed_samples", "{container}", "Containers that gave no figures in the last round."
)

FIGURES: Final = tuple(_FIELD.figures)
