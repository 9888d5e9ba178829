"""What collector-host measures: the machine, its file systems, units and programs."""

from typing import Final

from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures.figure import CUSTOM, Field

_FIELD: Final = Field("host")

_host = _FIELD.section(CUSTOM, kinds.HOST).figure
MEMORY_AVAILABLE_RATIO: Final = _host(
    "memory_available_ratio", "1", "Memory that programs can still have, files that the kernel would drop among it."
)
SWAP_USED_BYTES: Final = _host("swap_used_bytes", "By", "Memory that was moved to disk.")
LOAD_1M: Final = _host("load_1m", "{task}", "Tasks that run or wait to, on average over a minute.")
LOAD_5M: Final = _host("load_5m", "{task}", "Tasks that run or wait to, on average over five minutes.")
CPU_PRESSURE_RATIO: Final = _host(
    "cpu_pressure_ratio", "1", "Time in which a task waited for a processor, since the last pulse."
)
MEMORY_PRESSURE_RATIO: Final = _host(
    "memory_pressure_ratio", "1", "Time in which every task waited for memory, since the last pulse."
)
IO_PRESSURE_RATIO: Final = _host(
    "io_pressure_ratio", "1", "Time in which every task waited for disks, since the last pulse."
)
OOM_KILLS: Final = _host("oom_kills", "{process}", "Processes that the kernel killed for memory since its start.")
OOM_KILLS_RECENT: Final = _host(
    "oom_kills_recent", "{process}", "Processes that the kernel killed for memory in the last ten minutes."
)
CELSIUS: Final = _host("temperature_celsius", "Cel", "Temperature of the hottest sensor, where the machine has one.")
PIDS_RATIO: Final = _host("pid_numbers_ratio", "1", "Processes as a share of those that the kernel can number.")
CLOCK_SKEW_S: Final = _host(
    "clock_skew_s", "s", "By how much its clock differs from that of the NATS server, as far as that is certain."
)
CLOCK_MAX_ERROR_S: Final = _host(
    "clock_max_error_s", "s", "By how much its clock is wrong at most, as the kernel knows; 16: nothing keeps it right."
)
CLOCK_ESTIMATED_ERROR_S: Final = _host(
    "clock_estimated_error_s", "s", "By how much its clock is wrong as is estimated, where what keeps it says so."
)
CLOCK_UNSYNCHRONIZED_S: Final = _host(
    "clock_unsynchronized_s", "s", "For how long nothing has kept its clock right, as far as that was seen."
)
ZOMBIES: Final = _host("zombies", "{process}", "Processes that have ended and whose parents have not asked how.")

_programs = _FIELD.section(CUSTOM, kinds.HOST, kinds.PROCESS).figure
PROCESSES: Final = _programs("processes", "{process}", "Processes that exist, threads of the kernel apart.")
OPEN_FILES_RATIO: Final = _programs(
    "open_files_ratio", "1", "Open files as a share of what is allowed; of a program, in that process with most."
)

_unit = _FIELD.section(CUSTOM, kinds.UNIT).figure
UNIT_RESTARTS_RECENT: Final = _unit(
    "unit_restarts_recent", "{restart}", "Restarts by systemd itself in the last ten minutes."
)

_file_system = _FIELD.section(CUSTOM, kinds.FILESYSTEM).figure
USED_RATIO: Final = _file_system("used_ratio", "1", "Space used, of what programs that are not root's may use.")
USED_BYTES: Final = _file_system("used_bytes", "By", "Space used.")
AVAILABLE_BYTES: Final = _file_system("available_bytes", "By", "Space left to programs that are not root's.")
INODES_USED_RATIO: Final = _file_system(
    "inodes_used_ratio", "1", "Files and directories, as a share of what it holds at most."
)
DISK_READ_BYTES_PER_SEC: Final = _file_system(
    "disk_read_bytes_per_sec", "By/s", "What its device reads, for all that is on that device."
)
DISK_WRITTEN_BYTES_PER_SEC: Final = _file_system(
    "disk_written_bytes_per_sec", "By/s", "What its device writes, for all that is on that device."
)
DISK_TRANSFER_S: Final = _file_system(
    "disk_transfer_s", "s", "How long a read or write of its device takes on average, waiting included."
)
FULL_IN_S: Final = _file_system(
    "full_in_s", "s", "When it is full if it goes on as within the last hour, half hour and ten minutes alike."
)

FIGURES: Final = tuple(_FIELD.figures)
