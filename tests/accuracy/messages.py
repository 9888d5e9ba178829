"""A day → the messages that collectors would have published: the entities once, and the pulses of each minute."""

from collections.abc import Iterator

from accuracy.day import Day, Minute, Use
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import Pulse, ResourcePulse, unread_of
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures import resource

CLUSTER = "replayed"
INTERVAL_S = 60.0


def pod(name: str) -> Ref:
    return Ref(CLUSTER, kinds.POD, name, "shop")


def entities(day: Day) -> Iterator[TopologyEntity]:
    """What there is on that day, which does not change."""
    for name in day.pods:
        yield TopologyEntity(text="", ref=pod(name), status="running", sources=["k8s"], at=day.minutes[0].at)


def pulses(minute: Minute) -> Iterator[Pulse]:
    """The samples of one minute."""
    for use in minute.uses:
        yield _resource_pulse(minute, use)


def _resource_pulse(minute: Minute, use: Use) -> ResourcePulse:
    return ResourcePulse(
        ref=pod(use.pod),
        source="k8s",
        timestamp=minute.at,
        interval_s=INTERVAL_S,
        cpu_percent=use.cpu_percent,
        memory_bytes=round(use.memory_bytes) if use.memory_bytes is not None else None,
        memory_limit_bytes=round(use.memory_limit_bytes) if use.memory_limit_bytes is not None else None,
        custom={resource.CPU_LIMIT_PERCENT: use.cpu_limit_percent},
        unread=unread_of(cpu_percent=use.cpu_percent, memory_bytes=use.memory_bytes),
    )
