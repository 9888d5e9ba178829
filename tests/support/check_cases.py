"""For each check: what it finds something in, and what it does not."""

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from kgents_health_scorer.checks.check import Kin, State
from kgents_shared.contract.entity import Ref, Value
from kgents_shared.contract.health import UnknownFigure
from kgents_shared.contract.pulse import DatabasePulse, Pulse
from kgents_shared.contract.unread import Unread
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes, otel
from support import coherency_cases, db_check_cases
from support.health_inputs import START, at, entity, pulse, source
from support.traffic_inputs import edge, served, traffic

CRONJOB = Ref("c1", "cronjob", "backup", "shop")


def running_pod(status: str, reason: str) -> State:
    """A pod that is not over."""
    pod = entity(status=status, reason=reason, attributes={otel.K8S_POD_STATUS_PHASE: "Running"})
    return State(pod, 0, (), kin=Kin(pod=pod))


def runs(*statuses: str) -> State:
    """A CronJob whose runs ended so, the last one last."""
    jobs = tuple(
        structs.replace(entity(Ref("c1", "job", f"backup-{run}", "shop"), status=status), created_at=at(run * 3600))
        for run, status in enumerate(statuses)
    )
    return State(entity(CRONJOB), 0, (), kin=Kin(jobs=jobs))


def deployment(ready: int, desired: int, *, reason_age_s: float) -> State:
    """A Deployment of which some pods are ready."""
    counts: dict[str, Value] = {kubernetes.DEPLOYMENT_READY_PODS: ready, otel.K8S_DEPLOYMENT_DESIRED_PODS: desired}
    return State(entity(Ref("c1", "deployment", "cart", "shop"), attributes=counts), 0, (), reason_age_s=reason_age_s)


DISCARD_NEW = {"kgents.nats.discard": "new"}

# check → (a state in which it finds something, one in which it does not)
STATES = {
    "KG-001": (State(entity(status="failed", reason="Error"), 0, ()), State(entity(), 0, ())),
    "KG-002": (
        State(entity(status="failed", reason="Init:ImagePullBackOff"), 0, ()),
        State(entity(status="terminating", reason="ImagePullBackOff"), 0, ()),
    ),
    "KG-003": (State(entity(stale=["k8s"]), 0, ()), State(entity(), 0, ())),
    "KG-004": (State(entity(status="pending"), 300, ()), State(entity(status="pending"), 299, ())),
    "KG-005": (State(entity(status="unknown"), 0, ()), State(entity(status="succeeded"), 0, ())),
    "KG-006": (State(entity(), 0, ("k8s",)), State(entity(status="succeeded"), 0, ("k8s",))),
    "KG-007": (State(entity(), 0, (), (UnknownFigure("KG-101", "x", START),)), State(entity(), 0, (), ())),
    "KG-010": (State(source(Unread(reason="no heartbeat")), 0, ()), State(source(Unread(kind="pod")), 0, ())),
    "KG-011": (State(source(Unread(kind="pod")), 0, ()), State(source(), 0, ())),
    "KG-020": (State(entity(status="failed", reason="CrashLoopBackOff"), 0, ()), State(entity(), 0, ())),
    "KG-021": (running_pod("failed", "OOMKilled"), State(entity(status="failed", reason="OOMKilled"), 0, ())),
    "KG-022": (runs("succeeded", "failed"), runs("failed", "succeeded")),
    "KG-023": (deployment(9, 10, reason_age_s=300), deployment(9, 10, reason_age_s=299)),
}
DUE = "2025-12-31T23:55:00Z"
"""A time five minutes before START."""


def lasting(kind: str, status: str, reason: str, *ages_s: float, **fields: Any) -> tuple[State, State]:
    """A state that has lasted for long enough, and one that has not."""
    ref = Ref("c1", kind, "it", "shop")
    attributes = fields.pop("attributes", None)
    found = entity(ref, status, reason, attributes=attributes)
    long, short = (State(found, age_s, (), reason_age_s=age_s, **fields) for age_s in ages_s)
    return long, short


STATES |= {
    "KG-040": lasting("service", "pending", "NoReadyEndpoints", 45, 44, lost_service=True),
    "KG-041": lasting("statefulset", "pending", "PodsNotReady", 45, 44, lost_service=True),
    "KG-042": lasting("service", "running", "SelectorMatchesNothing", 3600, 3599),
    "KG-043": lasting("pod", "running", "NotReady", 900, 899),
    "KG-044": lasting("node", "failed", "NotReady", 60, 59),
    "KG-045": lasting("node", "failed", "NotReady,SchedulingDisabled", 3600, 3599),
    "KG-046": lasting("node", "running", "DiskPressure,SchedulingDisabled", 60, 59),
    "KG-047": lasting("node", "running", "DiskPressure,MemoryPressure", 60, 59),
    "KG-048": lasting("node", "running", "PIDPressure", 60, 59),
    "KG-049": lasting("node", "running", "NetworkUnavailable", 60, 59),
    "KG-050": lasting("pod", "terminating", "", 630, 629, attributes={"kgents.k8s.deletion_grace_period_s": 30}),
    "KG-051": lasting(
        "cronjob", "running", "", 300, 299, now=START, attributes={"kgents.k8s.cronjob.next_schedule_time": DUE}
    ),
    "KG-052": (
        State(entity(Ref("c1", "deployment", "it"), "running", "ProgressDeadlineExceeded"), 0, ()),
        State(entity(Ref("c1", "deployment", "it"), "running", "Updating"), 0, ()),
    ),
    "KG-053": lasting("deployment", "running", "ReplicaFailure", 300, 299),
    "KG-054": lasting(kinds.HPA, "running", "TooManyReplicas", 900, 899),
    "KG-055": lasting("service", "running", "LoadBalancerPending", 900, 899),
    "KG-056": lasting("daemonset", "running", "Misscheduled", 900, 899),
    "KG-205": lasting("nats_server", "running", "JetStreamUnavailable", 30, 29),
    "KG-059": (
        State(entity(attributes={"kgents.k8s.drift": "replicas: …", "kgents.k8s.drift.since": DUE}), 0, ()),
        State(entity(attributes={"kgents.k8s.drift": None}), 0, ()),
    ),
    "KG-057": (
        State(entity(Ref("c1", "volume", "it"), "running", "NodeResizeError"), 0, ()),
        State(entity(Ref("c1", "volume", "it"), "running", "FileSystemResizePending"), 0, ()),
    ),
    "KG-058": lasting("deployment", "pending", "PodsNotReady", 299, 300, lost_service=True, is_evicted=True),
}
# check → (a pulse beyond its first threshold, one short of it)
PULSES: dict[str, tuple[Pulse, Pulse]] = {
    "KG-101": (pulse(0, memory=0.85), pulse(0, memory=0.84)),
    "KG-102": (pulse(0, cpu=0.9), pulse(0, cpu=0.89)),
    "KG-103": (pulse(0, custom={"error_rate": 0.01}), pulse(0, custom={"error_rate": 0.009})),
    "KG-201": (pulse(0, custom={"connections_ratio": 0.8}), pulse(0, custom={"connections_ratio": 0.79})),
    "KG-202": (pulse(0, custom={"slow_consumers_per_min": 1}), pulse(0, custom={"slow_consumers_per_min": 0})),
    "KG-203": (pulse(0, custom={"jetstream_storage_ratio": 0.75}), pulse(0, custom={"jetstream_storage_ratio": 0.7})),
    "KG-204": (pulse(0, custom={"jetstream_memory_ratio": 0.75}), pulse(0, custom={"jetstream_memory_ratio": 0.7})),
    "KG-211": (pulse(0, custom={"bytes_fill_ratio": 0.8}), pulse(0, custom={"bytes_fill_ratio": 0.79})),
    "KG-212": (pulse(0, custom={"messages_fill_ratio": 0.8}), pulse(0, custom={"messages_fill_ratio": 0.79})),
    "KG-221": (pulse(0, custom={"pending_messages": 10_000}), pulse(0, custom={"pending_messages": 9_999})),
    "KG-222": (pulse(0, custom={"ack_pending_ratio": 0.8}), pulse(0, custom={"ack_pending_ratio": 0.79})),
    "KG-223": (pulse(0, custom={"redelivered": 100}), pulse(0, custom={"redelivered": 99})),
    "KG-231": (pulse(0, custom={"pending_bytes": 8 * 1024**2}), pulse(0, custom={"pending_bytes": 8 * 1024**2 - 1})),
}


def one_of(name: str, beyond: float, short: float, **beside: float) -> tuple[Pulse, Pulse]:
    """A pulse with this figure beyond the first threshold, and one short of it."""
    long, near = (pulse(0, custom={name: value, **beside}) for value in (beyond, short))
    return long, near


PULSES |= {
    "KG-601": one_of("memory_pressure_ratio", 0.05, 0.04, memory_available_ratio=0.09),
    "KG-602": one_of("oom_kills_recent", 1, 0),
    "KG-603": one_of("io_pressure_ratio", 0.4, 0.39),
    "KG-604": one_of("open_files_ratio", 0.8, 0.79),
    "KG-605": one_of("pid_numbers_ratio", 0.8, 0.79),
    "KG-206": one_of("certificate_remaining_s", 14 * 86_400, 14 * 86_400 + 1),
    "KG-606": one_of("clock_skew_s", 2.0, 1.9),
    "KG-607": one_of("clock_unsynchronized_s", 600, 599),
    "KG-611": one_of("used_ratio", 0.9, 0.89),
    "KG-612": one_of("inodes_used_ratio", 0.9, 0.89),
    "KG-613": one_of("full_in_s", 86_400, 86_401, used_ratio=0.7),
    "KG-621": one_of("open_files_ratio", 0.8, 0.79),
    "KG-631": one_of("unit_restarts_recent", 3, 2),
}


def database(*, phase: str = "healthy", replication: Mapping[str, float] | None = None, **custom: Any) -> DatabasePulse:
    return DatabasePulse(
        ref=Ref("c1", "database", "orders"), source="db", backend="postgres", timestamp=START, interval_s=10,
        phase=phase, replication=dict(replication or {}), custom=dict(custom),
    )  # fmt: skip


def two(name: str, beyond: float, short: float) -> tuple[DatabasePulse, DatabasePulse]:
    """A pulse with this figure beyond the first threshold, and one short of it."""
    given: tuple[dict[str, Any], ...] = ({name: beyond}, {name: short})
    return database(**given[0]), database(**given[1])


def two_of_replication(name: str, beyond: float, short: float) -> tuple[DatabasePulse, DatabasePulse]:
    return database(replication={name: beyond}), database(replication={name: short})


STATES |= db_check_cases.STATES | {
    "KG-347": (
        State(entity(attributes={"kgents.postgresql.unread": ["databases"]}), 0, ()),
        State(entity(), 0, ()),
    ),
    "KG-316": (State(entity(reason="wrong credentials"), 0, ()), State(entity(reason="refused"), 0, ())),
}
PULSES |= (
    db_check_cases.PULSES
    | coherency_cases.PULSES
    | {
        "KG-300": two("postgres_up", 0, 1),
        "KG-301": two("postgres_connections_ratio", 0.8, 0.79),
        "KG-302": two("postgres_blocked_seconds", 30, 29),
        "KG-303": two("postgres_long_blocked_sessions", 5, 4),
        "KG-304": two("postgres_transaction_duration_seconds", 900, 899),
        "KG-305": two("postgres_idle_in_transaction_seconds", 60, 59),
        "KG-306": two("postgres_wraparound_ratio", 0.5, 0.49),
        "KG-307": two_of_replication("lag_s", 30, 29),
        "KG-308": two_of_replication("link_down_s", 5, 4),
        "KG-309": two_of_replication("slots_lost", 1, 0),
        "KG-310": two_of_replication("slot_safe_ratio", 0.2, 0.21),
        "KG-317": two_of_replication("slot_retained_ratio", 10, 9),
        "KG-323": two("pgbouncer_paused_wait_seconds", 5, 4),
        "KG-324": two("pgbouncer_pools_cut_off", 1, 0),
        "KG-344": two("postgres_commit_wait_seconds", 5, 4),
        "KG-345": two("postgres_read_only", 1, 0),
        "KG-346": two("postgres_log_disk_full", 1, 0),
        "KG-348": two("postgres_subscriptions_failing", 1, 0),
        "KG-349": two_of_replication("writable_primaries", 2, 1),
        "KG-350": two_of_replication("standby_missing_s", 60, 59),
        "KG-351": two("postgres_database_connections_ratio", 1, 0.9),
        "KG-352": two("postgres_role_connections_ratio", 1, 0.9),
        "KG-353": two("postgres_log_error_ratio", 0.2, 0.19),
        "KG-354": two_of_replication("slot_idle_s", 3600, 3599),
        "KG-355": two_of_replication("slot_xmin_ratio", 0.25, 0.24),
        "KG-356": two("postgres_temp_files_ratio", 1, 0.9),
        "KG-318": two("postgres_archive_waiting_ratio", 1, 0.9),
        "KG-319": two("postgres_log_rejected_logins", 1, 0),
        "KG-311": two("postgres_archiving_failing", 1, 0),
        "KG-312": two("postgres_deadlocks", 1, 0),
        "KG-313": two("postgres_damaged_lately", 1, 0),
        "KG-314": two("postgres_dead_tuples_worst_ratio", 0.5, 0.49),
        "KG-315": two("postgres_prepared_transaction_seconds", 300, 299),
        "KG-320": two("pgbouncer_exhausted_wait_seconds", 1, 0.9),
        "KG-321": two("pgbouncer_clients_ratio", 0.8, 0.79),
        "KG-322": two("pgbouncer_up", 0, 1),
        "KG-325": two("postgres_connections", 800, 799),
        "KG-326": two("postgres_locks", 200, 199),
        "KG-327": two("postgres_transaction_duration_seconds", 2, 1.9),
        "KG-328": two("postgres_transaction_rate", 5000, 4999),
    }
)


def requests(*, latency: float = 20.0, errors: float = 0.0) -> Pulse:
    return traffic(0, inbound=served(latency=latency, errors=errors))


def calls(*, n: int = 600, client: float = 8.0, server: float | None = 4.0, failed: float = 0.0) -> Pulse:
    return traffic(0, edge(n=n, client=client, server=server, failed=failed), inbound=served(600))


# check → (what is usual, a pulse beyond it), and the same with one short of it
SERIES: dict[str, tuple[tuple[Pulse, Pulse], tuple[Pulse, Pulse]]] = {
    "KG-111": ((pulse(0, cpu=0.2), pulse(0, cpu=0.7)), (pulse(0, cpu=0.1), pulse(0, cpu=0.59))),
    "KG-401": ((requests(), requests(errors=30)), (requests(), requests(errors=29))),
    "KG-402": ((requests(), requests(latency=75)), (requests(), requests(latency=58))),
    "KG-411": ((calls(), calls(client=30)), (calls(), calls(client=16))),
    "KG-412": (
        (calls(server=None), calls(server=None, client=40)),
        (calls(server=None), calls(server=None, client=30)),
    ),
    "KG-413": ((calls(), calls(failed=30)), (calls(), calls(failed=29))),
    "KG-414": (
        (calls(server=None), calls(server=None, failed=30)),
        (calls(server=None), calls(server=None, failed=29)),
    ),
    "KG-415": ((calls(), calls(n=2700)), (calls(), calls(n=2100))),
    "KG-416": ((calls(), calls(n=110)), (calls(), calls(n=140))),
}
