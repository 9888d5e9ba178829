"""What a table shows of an entity of each kind, as data: kind → columns."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from kgents_cli.table import Cell
from kgents_cli.units import NOT_KNOWN, figure, plain
from kgents_shared.contract.figures import figures
from kgents_shared.contract.pulse import DatabasePulse, Pulse
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import any_entity, kubernetes, otel
from kgents_shared.contract.vocabulary.attributes import nats as nats_attributes
from kgents_shared.contract.vocabulary.attributes.attribute import AttributeName
from kgents_shared.contract.vocabulary.figures import coherency, database, docker, nats
from kgents_shared.view.entity import EntityView
from kgents_shared.view.moment import span


class Row(msgspec.Struct, frozen=True):
    """One entity, and what else its columns need."""

    view: EntityView
    now: datetime
    pulse: Pulse | None = None
    """Its last one; None if there is none, or no column needs it."""
    containers: tuple[EntityView, ...] = ()
    """Of a pod."""


class Column(msgspec.Struct, frozen=True):
    """One column."""

    heading: str
    read: Callable[[Row], str]
    is_wide: bool = False
    """Shown with `-o wide` only."""
    needs_pulse: bool = False


def attribute(heading: str, name: AttributeName, *, wide: bool = False) -> Column:
    """An attribute."""
    return Column(heading, lambda row: plain(attributes(row).get(name)), wide)


def of(heading: str, name: AttributeName, total: AttributeName) -> Column:
    """Two attributes as `2/3`."""
    return Column(heading, lambda row: f"{attributes(row).get(name) or 0}/{plain(attributes(row).get(total))}")


def pulse(heading: str, name: str, *, wide: bool = False) -> Column:
    """A figure of the last pulse."""
    return Column(heading, lambda row: figure(name, figures(row.pulse).get(name)), wide, needs_pulse=True)


def attributes(row: Row) -> dict[str, object]:
    """The attributes of a row's entity."""
    return dict(row.view.topology.attributes) if row.view.topology is not None else {}


def columns_of(kind: str, *, wide: bool) -> tuple[Column, ...]:
    """The columns of a kind, between its name and its health."""
    found = _COLUMNS.get(kind, (_STATUS, _AGE))
    return tuple(each for each in found if wide or not each.is_wide)


def health(row: Row) -> str:
    """Level and score in the colour of the level; `-` if it is not scored."""
    view = row.view
    if view.health is None:
        return NOT_KNOWN
    text = view.level if view.score is None else f"{view.level} {view.score:.2f}"
    return Cell(text, view.level)


def _ready(row: Row) -> str:
    """Containers that run out of those that should; init containers are done before."""
    apps = [
        each
        for each in row.containers
        if each.topology is not None
        and each.topology.attributes.get(kubernetes.CONTAINER_TYPE) in ("app", "sidecar", None)
    ]
    return f"{sum(each.status == 'running' for each in apps)}/{len(apps)}" if apps else NOT_KNOWN


def _age(row: Row) -> str:
    created = row.view.topology.created_at if row.view.topology is not None else None
    return span((row.now - created).total_seconds()) if created is not None else NOT_KNOWN


def _phase(row: Row) -> str:
    if not isinstance(row.pulse, DatabasePulse):
        return NOT_KNOWN
    return f"{row.pulse.phase} ({row.pulse.cause})" if row.pulse.cause else row.pulse.phase


def _connections(row: Row) -> str:
    pool = row.pulse.pool if isinstance(row.pulse, DatabasePulse) else None
    if pool is None:
        return NOT_KNOWN
    return f"{plain(pool.active)}/{plain(pool.max)}"


def _status(row: Row) -> str:
    """As kubectl has it: the reason, if there is one."""
    return row.view.reason or row.view.status


_STATUS: Final = Column("STATUS", _status)
_AGE: Final = Column("AGE", _age)
_IMAGE: Final = attribute("IMAGE", otel.CONTAINER_IMAGE_NAME, wide=True)

_COLUMNS: Final[dict[str, tuple[Column, ...]]] = {
    kinds.POD: (
        Column("READY", _ready),
        _STATUS,
        attribute("RESTARTS", kubernetes.POD_RESTART_COUNT),
        _AGE,
        attribute("NODE", otel.K8S_NODE_NAME),
        attribute("IP", otel.K8S_POD_IP, wide=True),
        attribute("QOS", kubernetes.POD_QOS_CLASS, wide=True),
    ),
    kinds.CONTAINER: (_STATUS, attribute("RESTARTS", otel.K8S_CONTAINER_RESTART_COUNT), _AGE, _IMAGE),
    kinds.DEPLOYMENT: (
        of("READY", kubernetes.DEPLOYMENT_READY_PODS, otel.K8S_DEPLOYMENT_DESIRED_PODS),
        attribute("UP-TO-DATE", kubernetes.DEPLOYMENT_UPDATED_PODS),
        attribute("AVAILABLE", otel.K8S_DEPLOYMENT_AVAILABLE_PODS),
        _STATUS,
        _AGE,
    ),
    kinds.REPLICASET: (of("READY", kubernetes.REPLICASET_READY_PODS, otel.K8S_REPLICASET_DESIRED_PODS), _STATUS, _AGE),
    kinds.STATEFULSET: (of("READY", otel.K8S_STATEFULSET_READY_PODS, otel.K8S_STATEFULSET_DESIRED_PODS), _STATUS, _AGE),
    kinds.DAEMONSET: (
        of("READY", otel.K8S_DAEMONSET_READY_NODES, otel.K8S_DAEMONSET_DESIRED_SCHEDULED_NODES),
        _STATUS,
        _AGE,
    ),
    kinds.JOB: (of("COMPLETIONS", otel.K8S_JOB_SUCCESSFUL_PODS, otel.K8S_JOB_DESIRED_SUCCESSFUL_PODS), _STATUS, _AGE),
    kinds.CRONJOB: (attribute("SCHEDULE", kubernetes.CRONJOB_SCHEDULE), _STATUS, _AGE),
    kinds.SERVICE: (
        attribute("TYPE", otel.K8S_SERVICE_TYPE),
        attribute("PORTS", kubernetes.SERVICE_PORTS),
        _STATUS,
        _AGE,
    ),
    kinds.INGRESS: (attribute("CLASS", kubernetes.INGRESS_CLASS), _STATUS, _AGE),
    kinds.NODE: (
        _STATUS,
        attribute("ROLES", kubernetes.NODE_ROLES),
        _AGE,
        attribute("VERSION", kubernetes.KUBELET_VERSION),
        attribute("OS", otel.OS_DESCRIPTION, wide=True),
        attribute("KERNEL", any_entity.OS_KERNEL_VERSION, wide=True),
        attribute("RUNTIME", otel.CONTAINER_RUNTIME_NAME, wide=True),
    ),
    kinds.DATABASE: (
        attribute("TYPE", otel.DB_SYSTEM_NAME),
        attribute("VERSION", otel.SERVICE_VERSION),
        Column("PHASE", _phase, needs_pulse=True),
        Column("CONNECTIONS", _connections, needs_pulse=True),
        pulse("QUERIES", f"performance.{database.QPS}", wide=True),
        _STATUS,
    ),
    kinds.COMPARISON: (
        Column("PHASE", _phase, needs_pulse=True),
        pulse("COHERENT", coherency.COHERENCY_RATE),
        pulse("GHOSTS", coherency.GHOST_RATE),
        pulse("SAMPLED", coherency.SAMPLED_ROWS, wide=True),
        _STATUS,
    ),
    kinds.NATS_SERVER: (attribute("VERSION", otel.SERVICE_VERSION), pulse("CONNECTIONS", nats.CONNECTIONS), _STATUS),
    kinds.NATS_STREAM: (
        pulse("MESSAGES", nats.MESSAGES),
        pulse("SIZE", nats.BYTES),
        pulse("RATE", nats.MESSAGES_PER_SEC),
        attribute("REPLICAS", nats_attributes.REPLICAS),
        _STATUS,
        attribute("SUBJECTS", nats_attributes.SUBJECTS, wide=True),
    ),
    kinds.NATS_CONSUMER: (
        pulse("PENDING", nats.PENDING_MESSAGES),
        pulse("ACK-PENDING", nats.ACK_PENDING),
        pulse("REDELIVERED", nats.REDELIVERED),
        pulse("RATE", nats.DELIVERED_PER_SEC),
        _STATUS,
    ),
    kinds.NATS_CLIENT: (
        pulse("CONNECTIONS", nats.CONNECTIONS),
        pulse("SENDS", nats.IN_MSGS_PER_SEC),
        pulse("RECEIVES", nats.OUT_MSGS_PER_SEC),
        _STATUS,
        attribute("LIBRARY", nats_attributes.CLIENT_LIBRARIES, wide=True),
    ),
    kinds.HOST: (pulse("CONTAINERS", docker.CONTAINERS_RUNNING), _STATUS, _AGE),
}
"""Kind → what is shown of it; any other kind has status and age."""
