"""KG-6xx, machines: what collector-host measures → memory, disks, files, processes. Part of the catalogue."""

from typing import Final

from msgspec import UNSET

from kgents_health_scorer.checks.check import Check, SampleCheck, Thresholds, custom
from kgents_shared.contract.pulse import Pulse, Reading
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures import host as figure

SCARCE_RATIO: Final = 0.1
"""Tasks also wait for memory while there is plenty, when files are read from disk again and again."""
SLOWLY_FULL_RATIO: Final = 0.7
"""Below this a file system that fills is not yet a finding: most that grow for an hour stop."""

_HOST: Final = frozenset({kinds.HOST})
_FILE_SYSTEM: Final = frozenset({kinds.FILESYSTEM})
_UNIT: Final = frozenset({kinds.UNIT})
_PROGRAM: Final = frozenset({kinds.PROCESS})


def _pressure_if_scarce(pulse: Pulse, name: str) -> Reading:
    available = custom(pulse, figure.MEMORY_AVAILABLE_RATIO)
    if isinstance(available, int | float) and available >= SCARCE_RATIO:
        return UNSET
    return custom(pulse, name) if available is not UNSET else UNSET


def _full_in_s_if_used(pulse: Pulse, name: str) -> Reading:
    used = custom(pulse, figure.USED_RATIO)
    if isinstance(used, int | float) and used < SLOWLY_FULL_RATIO:
        return UNSET
    return custom(pulse, name)


CHECKS: Final[tuple[Check, ...]] = (
    SampleCheck(
        id="KG-601",
        name="machine short of memory",
        applies_to=_HOST,
        figure=figure.MEMORY_PRESSURE_RATIO,
        reads=_pressure_if_scarce,
        thresholds=Thresholds(warn=0.05, crit=0.2),
        unit="1",
        text="{entity} has under 10 % of its memory left, and all work waits for it {value} of the time "
        "(threshold {threshold}).",
        why="The kernel moves memory to and fro instead of working, and kills a process next. Find what grows among "
        "the machine's programs, or give it more memory.",
        source="Pressure stall information of the kernel, `full`. systemd-oomd kills at 60 % for 30 s; users wait "
        "long before.",
    ),
    SampleCheck(
        id="KG-602",
        name="processes killed for memory",
        applies_to=_HOST,
        figure=figure.OOM_KILLS_RECENT,
        thresholds=Thresholds(warn=1.0, crit=5.0),
        unit="{process}",
        is_fact=True,
        text="On {entity} the kernel killed {value} for memory within ten minutes (threshold {threshold}).",
        why="A control group reached its limit, or the machine had no memory left. The kernel's log says which "
        "process; a container's own finding says so too.",
        source="`oom_kill` of /proc/vmstat. One is a failure of some program, several a machine that cannot go on.",
    ),
    SampleCheck(
        id="KG-603",
        name="all work waits for disks",
        applies_to=_HOST,
        figure=figure.IO_PRESSURE_RATIO,
        thresholds=Thresholds(warn=0.4),
        unit="1",
        text="On {entity} all work waits for disks {value} of the time (threshold {threshold}).",
        why="A disk is slower than what is asked of it, or fails. Never critical: a backup does the same.",
        source="Pressure stall information of the kernel, `full`.",
    ),
    SampleCheck(
        id="KG-604",
        name="machine near its limit of open files",
        applies_to=_HOST,
        figure=figure.OPEN_FILES_RATIO,
        thresholds=Thresholds(warn=0.8, crit=0.95),
        unit="1",
        text="{entity} has {value} of the files open that its kernel allows (threshold {threshold}).",
        why="At the limit no program opens a file or a connection. Find the program that does not close its own, or "
        "raise `fs.file-max`.",
        source="netdata and node-mixin warn at 70 to 80 %.",
    ),
    SampleCheck(
        id="KG-605",
        name="machine near its limit of processes",
        applies_to=_HOST,
        figure=figure.PIDS_RATIO,
        thresholds=Thresholds(warn=0.8, crit=0.95),
        unit="1",
        text="{entity} has {value} of the processes that its kernel can number (threshold {threshold}).",
        why="At the limit nothing can be started, a login included. Find the program that starts them, or raise "
        "`kernel.pid_max`.",
        source="As KG-604.",
    ),
    SampleCheck(
        id="KG-606",
        name="clock differs from that of NATS",
        applies_to=_HOST,
        figure=figure.CLOCK_SKEW_S,
        thresholds=Thresholds(warn=2.0, crit=300.0),
        unit="s",
        text="The clock of {entity} differs by {value} from that of the NATS server (threshold {threshold}).",
        why="Logs of machines no longer agree in their order, and certificates, tokens and logins are refused. Find "
        "out which of the two is wrong, and whether it keeps time: `timedatectl`, `chronyc tracking`.",
        source="The server stores a message after it was sent and before it is acknowledged: only what is outside of "
        "that counts, so a slow link is none. etcd warns from 1 s on, Kerberos refuses from five minutes on.",
    ),
    SampleCheck(
        id="KG-607",
        name="nothing keeps the clock right",
        applies_to=_HOST,
        figure=figure.CLOCK_UNSYNCHRONIZED_S,
        thresholds=Thresholds(warn=600.0),
        unit="s",
        is_fact=True,
        text="Nothing has kept the clock of {entity} right for {value} (threshold {threshold}).",
        why="It drifts by seconds a day, until logs, certificates and logins suffer (KG-606). No chrony, "
        "systemd-timesyncd or ntpd runs, or it reaches no server (UDP 123).",
        source="As `timedatectl` and NodeClockNotSynchronising of node-mixin have it: the kernel's bound of the error "
        "is 16 s, so nine hours after its clock was last set, or from the start on. Ten minutes are for a start.",
    ),
    SampleCheck(
        id="KG-611",
        name="file system nearly full",
        applies_to=_FILE_SYSTEM,
        figure=figure.USED_RATIO,
        thresholds=Thresholds(warn=0.9, crit=0.95, fatal=1.0),
        unit="1",
        text="{entity} is {value} full (threshold {threshold}).",
        why="When it is full, what writes there fails. Delete or move files, or enlarge it.",
        source="As `df` counts, without what is reserved for root. The usual 90 %.",
    ),
    SampleCheck(
        id="KG-612",
        name="file system short of inodes",
        applies_to=_FILE_SYSTEM,
        figure=figure.INODES_USED_RATIO,
        thresholds=Thresholds(warn=0.9, crit=0.95, fatal=1.0),
        unit="1",
        text="{entity} has {value} of its inodes in use (threshold {threshold}).",
        why="Without a free inode no file can be made, however much space is left. Very many small files do that.",
        source="As KG-611.",
    ),
    SampleCheck(
        id="KG-613",
        name="file system is full soon",
        applies_to=_FILE_SYSTEM,
        figure=figure.FULL_IN_S,
        reads=_full_in_s_if_used,
        thresholds=Thresholds(warn=86_400.0, crit=4 * 3600.0),
        unit="s",
        worse="lower",
        text="{entity} is full in {value} if it goes on so (threshold {threshold}).",
        why="It has grown alike for ten minutes, half an hour and an hour. Find what writes there while there is time.",
        source="As in node-mixin, 24 h and 4 h; the rate is the smallest of three windows, since single copies and "
        "nightly jobs stop by themselves.",
    ),
    SampleCheck(
        id="KG-621",
        name="program near its limit of open files",
        applies_to=_PROGRAM,
        figure=figure.OPEN_FILES_RATIO,
        thresholds=Thresholds(warn=0.8, crit=0.95),
        unit="1",
        text="A process of {entity} has {value} of the files open that it may have (threshold {threshold}).",
        why="At the limit it opens no file and takes no connection. It does not close some, or needs a higher "
        "`LimitNOFILE`.",
        source="As KG-604.",
    ),
    SampleCheck(
        id="KG-631",
        name="unit is restarted again and again",
        applies_to=_UNIT,
        figure=figure.UNIT_RESTARTS_RECENT,
        thresholds=Thresholds(warn=3.0, crit=10.0),
        unit="{restart}",
        is_fact=True,
        text="{entity} was restarted {value} within ten minutes (threshold {threshold}).",
        why="It ends soon after each start. `journalctl -u` of the unit says why.",
        source="Ours. systemd gives up after five within ten seconds, unless the unit sets another limit.",
    ),
)
