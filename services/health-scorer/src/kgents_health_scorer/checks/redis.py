"""KG-330 to KG-359 and KG-380 to KG-399, Redis and Valkey: room left, replication, whether it does its job."""

from typing import Final

from msgspec import UNSET

from kgents_health_scorer.checks.check import Check, SampleCheck, State, StateCheck, Thresholds, custom
from kgents_shared.contract.pulse import ALL, DatabasePulse, Pulse, Reading
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import redis as attribute
from kgents_shared.contract.vocabulary.figures import database
from kgents_shared.contract.vocabulary.figures import redis as figure

_DATABASE: Final = frozenset({kinds.DATABASE})

_MISSION: Final = "The absolute profile."


def _replication(pulse: Pulse, name: str) -> Reading:
    """PostgreSQL has figures of the same name, which are judged by checks of its own."""
    if not isinstance(pulse, DatabasePulse) or pulse.backend not in ("redis", "valkey"):
        return UNSET
    return pulse.replication.get(name, UNSET)


def _link_down_s(pulse: Pulse, name: str) -> Reading:
    """How long a replica has been without its master; 0 while the link is up."""
    return 0.0 if _replication(pulse, database.LINK_UP) == 1.0 else _replication(pulse, name)


def _rejects_us(pulse: Pulse, name: str) -> Reading:
    """Whether it rejects even us; whatever else it rejects has a figure and a check of its own."""
    rejects = custom(pulse, name)
    return rejects if ALL in pulse.unread or not rejects else 0.0


def _snapshot_failed(state: State) -> str | None:
    failed = state.entity.attributes.get(attribute.RDB_LAST_SAVE) == "err"
    return "the last background save failed" if failed else None


CHECKS: Final[tuple[Check, ...]] = (
    SampleCheck(
        id="KG-330",
        name="Redis down",
        applies_to=_DATABASE,
        figure=figure.UP,
        is_fact=True,
        thresholds=Thresholds(crit=0.5, fatal=0.0),
        unit="{answer}",
        worse="lower",
        text="Redis is down: {entity} does not answer.",
        why="The pulse's cause says how: refused (nothing listens), frozen (it listens and does not answer), "
        "unreachable (the network). A rejected login is not this: then its state is not known.",
        source="redis_up < 1, as every exporter has it; full and starting servers count as up.",
        alerts=False,  # KG-001 is the alert
    ),
    SampleCheck(
        id="KG-331",
        name="Redis near its connection limit",
        applies_to=_DATABASE,
        figure=figure.CLIENTS_RATIO,
        thresholds=Thresholds(warn=0.8, crit=0.95, fatal=1.0),
        unit="1",
        text="{entity} uses {value} of its `maxclients` (threshold {threshold}).",
        why="At `maxclients` it rejects clients. Find a client that reconnects without closing.",
        source="Ratios in place of the fixed 500: a server may allow 100 or 100,000.",
    ),
    SampleCheck(
        id="KG-332",
        name="Redis rejects connections",
        applies_to=_DATABASE,
        figure=figure.REJECTED_CONNECTIONS,
        thresholds=Thresholds(crit=1.0),
        unit="{connection}",
        text="{entity} rejected {value} since the last sample.",
        why="It has reached `maxclients`: each one is an application that could not connect.",
        source="Ours: a single one is an error that a user saw.",
    ),
    SampleCheck(
        id="KG-333",
        name="Redis short of memory",
        applies_to=_DATABASE,
        figure=figure.MEMORY_HARD_RATIO,
        thresholds=Thresholds(warn=0.85, crit=0.95, fatal=1.0),
        unit="1",
        text="{entity} uses {value} of its memory limit (threshold {threshold}).",
        why="At the limit it rejects writes (`noeviction`), or the kernel kills it. A cache that evicts is "
        "full by design and is not judged here.",
        source="Ratios of the real limit, `maxmemory` or the container's, in place of the fixed 3 GB.",
    ),
    SampleCheck(
        id="KG-334",
        name="Redis rejects writes: memory full",
        applies_to=_DATABASE,
        figure=figure.OOM_ERRORS,
        thresholds=Thresholds(crit=1.0),
        unit="{command}",
        text="{entity} rejected {value} since the last sample: its memory is full.",
        why="Writers get `OOM command not allowed`. Raise `maxmemory`, let keys expire, or have it evict.",
        source="Ours: the server itself says that it fails its writers.",
    ),
    SampleCheck(
        id="KG-335",
        name="replica without its master",
        applies_to=_DATABASE,
        figure=figure.MASTER_LINK_DOWN_S,
        reads=_link_down_s,
        thresholds=Thresholds(warn=1.0, crit=60.0),
        unit="s",
        text="{entity} has had no link to its master for {value} (threshold {threshold}).",
        why="It serves what it knew then, older by the minute, and must not be promoted. Check the master "
        "and the network between them.",
        source="`repl-timeout` is 60 s by default: by then it is no short interruption.",
    ),
    SampleCheck(
        id="KG-336",
        name="replica lags",
        applies_to=_DATABASE,
        figure=figure.ACK_AGE_S,
        reads=_replication,
        thresholds=Thresholds(warn=10.0, crit=60.0),
        unit="s",
        text="A replica of {entity} last acknowledged {value} ago (threshold {threshold}).",
        why="What is written since then is lost if the master fails. The replica or its network is too slow.",
        source="Replicas acknowledge each second; at 60 s the master drops one (`repl-timeout`).",
    ),
    StateCheck(
        id="KG-337",
        name="Redis cannot save",
        applies_to=_DATABASE,
        find=_snapshot_failed,
        severity=0.6,
        text="{entity} cannot save its data: {value}.",
        why="By default it rejects writes until a save succeeds (`stop-writes-on-bgsave-error`). Its log "
        "says why: mostly the disk is full, not writable, or there is no memory to fork.",
        source="No threshold is involved.",
    ),
    SampleCheck(
        id="KG-338",
        name="Redis cannot append",
        applies_to=_DATABASE,
        figure=figure.AOF_LAST_WRITE_OK,
        thresholds=Thresholds(crit=0.5),
        unit="{answer}",
        worse="lower",
        text="{entity} cannot write its append-only file.",
        why="It rejects writes until it can. Mostly the disk is full.",
        source="No threshold is involved.",
    ),
    SampleCheck(
        id="KG-339",
        name="Redis cluster down",
        applies_to=_DATABASE,
        figure=figure.CLUSTER_OK,
        thresholds=Thresholds(crit=0.5, fatal=0.0),
        unit="{answer}",
        worse="lower",
        text="The cluster of {entity} is down.",
        why="Some slots have no master that answers, or this node is cut off from the majority: it rejects all keys.",
        source="`cluster_state` of CLUSTER INFO.",
    ),
    SampleCheck(
        id="KG-340",
        name="slots without a master",
        applies_to=_DATABASE,
        figure=figure.CLUSTER_SLOTS_FAIL,
        thresholds=Thresholds(crit=1.0),
        unit="{slot}",
        text="{entity} reports {value} without a working master.",
        why="Keys in them cannot be read or written. Promote a replica, or bring the master back.",
        source="Ours: one slot is a share of all keys.",
    ),
    SampleCheck(
        id="KG-341",
        name="sentinel reports masters down",
        applies_to=_DATABASE,
        figure=figure.SENTINEL_MASTERS_DOWN,
        thresholds=Thresholds(crit=1.0),
        unit="{master}",
        text="{entity} reports {value} down.",
        why="If it lasts, the sentinels do not agree, or there is no replica to promote.",
        source="Ours: the sentinel's own judgement (`sdown`, `odown`).",
    ),
    SampleCheck(
        id="KG-342",
        name="Redis near one core",
        applies_to=_DATABASE,
        figure=figure.MAIN_THREAD_CPU_RATIO,
        thresholds=Thresholds(warn=0.8, crit=0.95),
        unit="1",
        text="The main thread of {entity} is busy {value} of the time (threshold {threshold}).",
        why="More cores do not help. Read the slow log, or distribute the keys over more servers.",
        source="Ours: a queue grows without bound as its server's utilization nears 1.",
    ),
    SampleCheck(
        id="KG-343",
        name="Redis rejects work",
        applies_to=_DATABASE,
        figure=figure.OVERLOADED,
        reads=_rejects_us,
        thresholds=Thresholds(crit=1.0),
        unit="{answer}",
        text="Redis rejects connections or commands: {entity} is overloaded.",
        why="The pulse's cause says what is exhausted: connections (saturated), or a script that blocks all others.",
        source="No threshold is involved: it runs, and it rejects work.",
    ),
    SampleCheck(
        id="KG-380",
        name="Redis rejects writes: too few replicas",
        applies_to=_DATABASE,
        figure=figure.TOO_FEW_REPLICAS,
        thresholds=Thresholds(crit=1.0),
        unit="{answer}",
        text="{entity} rejects writes: fewer replicas follow it than `min-replicas-to-write` requires.",
        why="Writers get `NOREPLICAS`. Bring a replica back, or lower `min-replicas-to-write` and accept that a "
        "failure of the master loses what was written since.",
        source="The server's own count of good replicas, and its errors; no threshold is involved.",
    ),
    SampleCheck(
        id="KG-381",
        name="Redis rejects writes: cannot save",
        applies_to=_DATABASE,
        figure=figure.MISCONF_ERRORS,
        thresholds=Thresholds(crit=1.0),
        unit="{command}",
        text="{entity} rejected {value} since the last sample: it cannot save its data.",
        why="Writers get `MISCONF`. KG-337 and KG-338 are the cause: free the disk that its log names, then BGSAVE.",
        source="Ours: the server itself reports that it fails its writers.",
        alerts=False,  # KG-337 or KG-338 is the alert
    ),
    SampleCheck(
        id="KG-382",
        name="writes to a replica",
        applies_to=_DATABASE,
        figure=figure.READONLY_ERRORS,
        thresholds=Thresholds(warn=1.0),
        unit="{command}",
        text="{entity} is a read-only replica, and rejected {value} since the last sample.",
        why="Writers get `READONLY`: they missed a failover, or know a wrong address. The server works as configured.",
        source="Ours; two samples, since clients need a moment after a failover.",
    ),
    SampleCheck(
        id="KG-383",
        name="Redis commands fail",
        applies_to=_DATABASE,
        figure=figure.FAILED_COMMAND_RATIO,
        thresholds=Thresholds(warn=0.05, crit=0.5),
        unit="1",
        text="{entity} fails {value} of its commands (threshold {threshold}).",
        why="INFO errorstats counts the errors by code, INFO commandstats by command: NOPERM after a change of rights, "
        "WRONGTYPE or ERR after a release of an application.",
        source="As KG-365, with a wider margin: applications may send commands that fail. Of at least 20 commands; "
        "redirections, unknown scripts and errors with checks of their own are left out.",
    ),
    SampleCheck(
        id="KG-384",
        name="master without a replica",
        applies_to=_DATABASE,
        figure=figure.UNREPLICATED_S,
        reads=_replication,
        thresholds=Thresholds(warn=30.0),
        unit="s",
        text="{entity} has been without a replica for {value} (threshold {threshold}).",
        why="If it fails now, its data is lost or old. Restart the replica; its log says why it left. If it was "
        "removed on purpose, this ends after a day, or with the next replica.",
        source="Ours: a replica that restarts is back within 30 s. A warning: the master still answers.",
    ),
    SampleCheck(
        id="KG-385",
        name="replica lost",
        applies_to=_DATABASE,
        figure=figure.REPLICA_MISSING_S,
        reads=_replication,
        thresholds=Thresholds(warn=60.0),
        unit="s",
        text="A replica of {entity} has been missing for {value} (threshold {threshold}).",
        why="Others still follow it. If it was removed on purpose, this ends after a day.",
        source="Ours: a replica that restarts is back within a minute.",
    ),
    SampleCheck(
        id="KG-386",
        name="Redis cannot rewrite its append-only file",
        applies_to=_DATABASE,
        figure=figure.AOF_LAST_REWRITE_OK,
        thresholds=Thresholds(warn=0.5),
        unit="{answer}",
        worse="lower",
        text="{entity} cannot rewrite its append-only file.",
        why="The file grows with every write until the disk is full, and then writes fail. Its log says why: mostly "
        "there is no memory to fork, or no room for a second file.",
        source="No threshold is involved. A warning: it still appends.",
    ),
    SampleCheck(
        id="KG-387",
        name="Redis memory in client buffers",
        applies_to=_DATABASE,
        figure=figure.CLIENT_MEMORY_RATIO,
        thresholds=Thresholds(warn=0.2, crit=0.5),
        unit="1",
        text="Buffers of clients use {value} of the memory of {entity} (threshold {threshold}).",
        why="They count against `maxmemory`, so keys are evicted or writes rejected for them. CLIENT LIST shows a "
        "large `omem`: a subscriber that reads too slowly. Set `client-output-buffer-limit` or `maxmemory-clients`.",
        source="Ours: buffers of clients that read in time are a few per cent.",
    ),
    SampleCheck(
        id="KG-388",
        name="Redis disconnects clients",
        applies_to=_DATABASE,
        figure=figure.DISCONNECTED_CLIENTS,
        thresholds=Thresholds(warn=1.0),
        unit="{client}",
        text="{entity} disconnected {value} since the last sample: output buffers were full.",
        why="A subscriber that reads too slowly loses messages; a replica that is disconnected starts a full "
        "synchronisation. Its log names them.",
        source="Ours: each one is a client that lost its connection.",
    ),
    SampleCheck(
        id="KG-389",
        name="Redis clients blocked",
        applies_to=_DATABASE,
        figure=figure.BLOCKED_RATIO,
        thresholds=Thresholds(warn=0.5, crit=0.9),
        unit="1",
        text="Clients in blocking commands use {value} of the `maxclients` of {entity} (threshold {threshold}).",
        why="Waiting for a queue is their work; so many leave little room for others. CLIENT LIST names the commands.",
        source="Shares of the limit: how many may wait depends on the application.",
    ),
    SampleCheck(
        id="KG-391",
        name="Redis paused",
        applies_to=_DATABASE,
        figure=figure.PAUSED,
        thresholds=Thresholds(crit=1.0),
        unit="{answer}",
        text="{entity} is paused: commands of its clients wait.",
        why="CLIENT PAUSE, or a failover that does not end: INFO `paused_reason` says which. CLIENT UNPAUSE ends it, "
        "FAILOVER ABORT a failover.",
        source="No threshold is involved; two samples in a row, since a failover takes seconds.",
    ),
    SampleCheck(
        id="KG-390",
        name="Redis split brain",
        applies_to=_DATABASE,
        figure=figure.RIVAL_MASTERS,
        reads=_replication,
        thresholds=Thresholds(crit=1.0),
        unit="{replica}",
        text="{entity} is still a master, although {value} took over.",
        why="Both accept writes, and one of them will lose its writes. Make one a replica of the other (REPLICAOF). If "
        "it was promoted to become a separate database, DEBUG CHANGE-REPL-ID there ends this.",
        source="The replication ids of two servers that this collector polls; no threshold is involved.",
    ),
)

ABSOLUTE: Final[tuple[Check, ...]] = (
    SampleCheck(
        id="KG-357",
        name="many Redis clients",
        applies_to=_DATABASE,
        figure=figure.CONNECTED_CLIENTS,
        thresholds=Thresholds(warn=500.0),
        unit="{client}",
        text="{entity} has {value} (threshold {threshold}).",
        why="More than the platform was planned for. KG-331 judges how near its limit it is.",
        source=_MISSION,
    ),
    SampleCheck(
        id="KG-358",
        name="much Redis memory",
        applies_to=_DATABASE,
        figure=figure.MEMORY_USED_BYTES,
        thresholds=Thresholds(warn=3.0 * 1024**3),
        unit="By",
        text="{entity} uses {value} of memory (threshold {threshold}).",
        why="More than the platform was planned for. KG-333 judges how near its limit it is.",
        source=_MISSION,
    ),
    SampleCheck(
        id="KG-359",
        name="many Redis commands",
        applies_to=_DATABASE,
        figure=figure.COMMANDS_PER_SECOND,
        thresholds=Thresholds(warn=50_000.0),
        unit="{command}/s",
        text="{entity} runs {value} (threshold {threshold}).",
        why="More than the platform was planned for. KG-342 judges how near its limit it is.",
        source=_MISSION,
    ),
)
"""Opt-in: absolute figures that mean trouble on one platform and health on another."""
