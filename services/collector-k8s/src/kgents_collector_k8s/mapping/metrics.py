"""Usage: answers of metrics.k8s.io and what pods may use → pulses of pods, containers and nodes. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime

from kgents_collector_k8s.mapping.fragment import SOURCE, Scope
from kgents_collector_k8s.objects.metrics import NodeMetrics, PodMetrics
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.pulse import ResourcePulse, unread_of
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes as attribute
from kgents_shared.contract.vocabulary.attributes import otel
from kgents_shared.contract.vocabulary.attributes.attribute import AttributeName, Family
from kgents_shared.contract.vocabulary.figures import kubernetes as figure
from kgents_shared.contract.vocabulary.figures import resource
from kgents_shared.contract.vocabulary.figures.figure import FigureName
from kgents_shared.kubernetes.quantity import integer, number

Usage = tuple[float | None, int | None]
"""CPU in cores, memory in bytes."""


def pod_pulses(
    found: PodMetrics, entity_of: Callable[[Ref], Entity | None], scope: Scope, *, interval_s: float
) -> list[ResourcePulse]:
    """The pulses of a pod and its containers.

    Args:
        found: one item of the answer.
        entity_of: returns our entities; their attributes hold requests and limits. Without one there is no pulse: the
            object is not known yet, or no longer.
        scope: the cluster.
        interval_s: when to expect the next answer.
    """
    name, namespace = found.metadata.name, found.metadata.namespace
    usages = {each.name: _usage(each.usage) for each in found.containers or ()}
    pulses = [
        _pulse(entity, usage, otel.K8S_CONTAINER_RESOURCE, found.timestamp, interval_s)
        for container, usage in usages.items()
        if (entity := entity_of(Ref(scope.cluster, kinds.CONTAINER, f"{name}/{container}", namespace))) is not None
    ]
    pod = entity_of(Ref(scope.cluster, kinds.POD, name, namespace))
    if pod is not None and usages:
        pulses.insert(0, _pulse(pod, _total(usages), attribute.POD_RESOURCE, found.timestamp, interval_s))
    return pulses


def node_pulse(
    found: NodeMetrics, entity_of: Callable[[Ref], Entity | None], scope: Scope, *, interval_s: float
) -> ResourcePulse | None:
    """The pulse of a node, relative to its capacity; None for a node that is not among our entities."""
    entity = entity_of(Ref(scope.cluster, kinds.NODE, found.metadata.name))
    if entity is None:
        return None
    cpu, memory_bytes = _usage(found.usage)
    cores, room_bytes = (_figure(entity, attribute.NODE_CAPACITY.named(resource=each)) for each in ("cpu", "memory"))
    cpu_allocatable, memory_allocatable = (
        _figure(entity, otel.K8S_NODE_ALLOCATABLE.named(resource=each)) for each in ("cpu", "memory")
    )
    custom = {
        resource.CPU_LIMIT_PERCENT: cores * 100 if cores else None,
        figure.CPU_ALLOCATABLE_RATIO: _ratio(cpu, cpu_allocatable),
        figure.MEMORY_ALLOCATABLE_RATIO: _ratio(memory_bytes, memory_allocatable),
    }
    limit_bytes = int(room_bytes) if room_bytes else None
    return _made(entity, (cpu, memory_bytes), limit_bytes, custom, found.timestamp, interval_s)


def _pulse(entity: Entity, usage: Usage, allowed: Family, at: datetime, interval_s: float) -> ResourcePulse:
    cpu, memory_bytes = usage
    cpu_request, cpu_limit, memory_request, memory_limit = (
        _figure(entity, allowed.named(resource=each, bound=bound))
        for each in ("cpu", "memory")
        for bound in ("request", "limit")
    )
    custom = {
        resource.CPU_LIMIT_PERCENT: cpu_limit * 100 if cpu_limit else None,
        figure.CPU_REQUEST_RATIO: _ratio(cpu, cpu_request),
        figure.CPU_LIMIT_RATIO: _ratio(cpu, cpu_limit),
        figure.MEMORY_REQUEST_RATIO: _ratio(memory_bytes, memory_request),
        figure.MEMORY_LIMIT_RATIO: _ratio(memory_bytes, memory_limit),
    }
    return _made(entity, usage, int(memory_limit) if memory_limit else None, custom, at, interval_s)


def _made(
    entity: Entity,
    usage: Usage,
    memory_limit_bytes: int | None,
    custom: Mapping[FigureName, float | None],
    at: datetime,
    interval_s: float,
) -> ResourcePulse:
    cpu, memory_bytes = usage
    return ResourcePulse(
        ref=entity.ref,
        source=SOURCE,
        timestamp=at,
        interval_s=interval_s,
        uid=entity.uid,
        cpu_percent=round(cpu * 100, 4) if cpu is not None else None,
        memory_bytes=memory_bytes,
        memory_limit_bytes=memory_limit_bytes,
        custom={name: value for name, value in custom.items() if value is not None},
        unread=unread_of(cpu_percent=cpu, memory_bytes=memory_bytes),
    )


def _usage(quantities: Mapping[str, str] | None) -> Usage:
    found = quantities or {}
    return number(found.get("cpu")), integer(found.get("memory"))


def _total(usages: Mapping[str, Usage]) -> Usage:
    """The sum over containers; None if it is not known for one of them."""
    cpus = [cpu for cpu, _ in usages.values() if cpu is not None]
    memories = [memory for _, memory in usages.values() if memory is not None]
    return (
        round(sum(cpus), 9) if len(cpus) == len(usages) else None,
        sum(memories) if len(memories) == len(usages) else None,
    )


def _figure(entity: Entity, name: AttributeName) -> float | None:
    value = entity.attributes.get(name)
    return value if isinstance(value, int | float) else None


def _ratio(used: float | None, of: float | None) -> float | None:
    return round(used / of, 6) if used is not None and of else None
