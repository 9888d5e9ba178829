"""What is replayed to every contender: entities, and the messages of each minute, with what was done when."""

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary import kinds

MINUTE: Final = timedelta(minutes=1)


class Fault(Struct, frozen=True, order=True):
    """What was injected: a fault, or what only resembles one."""

    at: datetime
    kind: str
    """`cpu_contention`, `network_delay`, …"""
    service: str
    what: str = ""
    """More of it, to read."""


class Moment(Struct, frozen=True):
    """The messages of one minute."""

    at: datetime
    pulses: list[Pulse]
    entities: list[TopologyEntity] = []
    """What has changed of the topology."""


class Replay(Struct, frozen=True):
    """A day, or a part of one."""

    entities: list[TopologyEntity]
    """The topology at the beginning."""
    moments: list[Moment]
    faults: list[Fault]
    look_alikes: list[Fault] = []
    """Nothing is wrong then: what is found is a false alarm."""
    is_complete: bool = False
    """Whether nothing else was wrong than what is labelled, so that there are no holes."""

    @property
    def services(self) -> list[str]:
        """The names of everything that can be at fault."""
        kinds_at_fault = (kinds.APP, kinds.DATABASE)
        return sorted({each.ref.name for each in self.entities if each.ref.kind in kinds_at_fault})


def service_of(pod: str) -> str:
    """`cartservice-579f59597d-wc2lz` → `cartservice`."""
    return pod.rsplit("-", 2)[0]


def name_of(ref: Ref) -> str:
    """The service that an entity is, or is a part of."""
    return service_of(ref.name) if ref.kind == kinds.POD else ref.name
