"""What a table shows of an entity of each kind, as data: kind → columns."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from kgents_cli.moment import span
from kgents_cli.table import Cell
from kgents_cli.units import NOT_KNOWN, figure, plain
from kgents_shared.contract.pulse import DatabasePulse, Pulse
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures import docker, nats, resource
from kgents_shared.view.entity import EntityView


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


def attribute(heading: str, name: str, *, wide: bool = False) -> Column:
    """An attribute."""
    return Column(heading, lambda row: plain(attributes(row).get(name)), wide)


def of(heading: str, name: str, total: str) -> Column:
    """Two attributes as `2/3`."""
    return Column(heading, lambda row: f"{attributes(row).get(name) or 0}/{plain(attributes(row).get(total))}")


def pulse(heading: str, name: str, *, wide: bool = False) -> Column:
    """A figure of the last pulse."""
    return Column(heading, lambda row: figure(name, figures(row.pulse).get(name)), wide, needs_pulse=True)


def attributes(row: Row) -> dict[str, object]:
    """The attributes of a row's entity."""
    return dict(row.view.topology.attributes) if row.view.topology is not None else {}


def figures(pulse: Pulse | None) -> dict[str, float | None]:
    """Every figure of a pulse by its name, those of a section as `pool.active`."""
    if pulse is None:
        return {}
    own: dict[str, float | None]
    if isinstance(pulse, DatabasePulse):
        own = {f"{section}.{name}": value for section in _SECTIONS for name, value in _section(pulse, section).items()}
        own["morphisms"] = pulse.morphisms
    else:
        own = {name: getattr(pulse, name) for name in RESOURCES}
    return {**{name: value for name, value in own.items() if value is not None}, **pulse.custom}


def _section(pulse: DatabasePulse, name: str) -> dict[str, float | None]:
    values = getattr(pulse, name)
    found: dict[str, float | None] = msgspec.to_builtins(values) if values is not None else {}
    return found


RESOURCES: Final = (
    resource.CPU_PERCENT,
    resource.MEMORY_BYTES,
    resource.MEMORY_LIMIT_BYTES,
    resource.NETWORK_RX_BYTES,
    resource.NETWORK_TX_BYTES,
)
"""The fields of a resource pulse."""
_SECTIONS: Final = ("pool", "memory", "collections", "performance", "storage", "pubsub", "replication")


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
        if each.topology is not None and each.topology.attributes.get("k8s.container.type") in ("app", "sidecar", None)
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
_IMAGE: Final = attribute("IMAGE", "container.image.name", wide=True)

_COLUMNS: Final[dict[str, tuple[Column, ...]]] = {
    kinds.POD: (
        Column("READY", _ready),
        _STATUS,
        attribute("RESTARTS", "k8s.pod.restart_count"),
        _AGE,
        attribute("NODE", "k8s.node.name"),
        attribute("IP", "k8s.pod.ip", wide=True),
        attribute("QOS", "k8s.pod.qos_class", wide=True),
    ),
    kinds.CONTAINER: (_STATUS, attribute("RESTARTS", "k8s.container.restart_count"), _AGE, _IMAGE),
    kinds.DEPLOYMENT: (
        of("READY", "k8s.deployment.ready_pods", "k8s.deployment.desired_pods"),
        attribute("UP-TO-DATE", "k8s.deployment.updated_pods"),
        attribute("AVAILABLE", "k8s.deployment.available_pods"),
        _STATUS,
        _AGE,
    ),
    kinds.REPLICASET: (of("READY", "k8s.replicaset.ready_pods", "k8s.replicaset.desired_pods"), _STATUS, _AGE),
    kinds.STATEFULSET: (of("READY", "k8s.statefulset.ready_pods", "k8s.statefulset.desired_pods"), _STATUS, _AGE),
    kinds.DAEMONSET: (of("READY", "k8s.daemonset.ready_nodes", "k8s.daemonset.desired_scheduled_nodes"), _STATUS, _AGE),
    kinds.JOB: (of("COMPLETIONS", "k8s.job.successful_pods", "k8s.job.desired_successful_pods"), _STATUS, _AGE),
    kinds.CRONJOB: (attribute("SCHEDULE", "k8s.cronjob.schedule"), _STATUS, _AGE),
    kinds.SERVICE: (attribute("TYPE", "k8s.service.type"), attribute("PORTS", "k8s.service.ports"), _STATUS, _AGE),
    kinds.INGRESS: (attribute("CLASS", "k8s.ingress.class"), _STATUS, _AGE),
    kinds.NODE: (
        _STATUS,
        attribute("ROLES", "k8s.node.roles"),
        _AGE,
        attribute("VERSION", "k8s.kubelet.version"),
        attribute("OS", "os.description", wide=True),
        attribute("KERNEL", "os.kernel.version", wide=True),
        attribute("RUNTIME", "container.runtime.name", wide=True),
    ),
    kinds.DATABASE: (
        attribute("TYPE", "db.system.name"),
        attribute("VERSION", "db.system.version"),
        Column("PHASE", _phase, needs_pulse=True),
        Column("CONNECTIONS", _connections, needs_pulse=True),
        pulse("QUERIES", "performance.queries_per_sec", wide=True),
        _STATUS,
    ),
    kinds.NATS_SERVER: (attribute("VERSION", "service.version"), pulse("CONNECTIONS", nats.CONNECTIONS), _STATUS),
    kinds.NATS_STREAM: (
        pulse("MESSAGES", nats.MESSAGES),
        pulse("SIZE", nats.BYTES),
        pulse("RATE", nats.MESSAGES_PER_SEC),
        attribute("REPLICAS", "nats.replicas"),
        _STATUS,
        attribute("SUBJECTS", "nats.subjects", wide=True),
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
        attribute("LIBRARY", "nats.client_libraries", wide=True),
    ),
    kinds.HOST: (pulse("CONTAINERS", docker.CONTAINERS_RUNNING), _STATUS, _AGE),
}
"""Kind → what is shown of it; any other kind has status and age."""
