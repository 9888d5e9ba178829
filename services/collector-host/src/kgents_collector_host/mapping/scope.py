"""What every mapping gets beside the samples → refs and pulses."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct

from kgents_collector_host.sample import Sample
from kgents_shared.contract.entity import Connection, Entity, Ref
from kgents_shared.contract.pulse import ResourcePulse, unread_of
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.figures.figure import FigureName

SOURCE: Final = "host"
"""The source of one machine is `host-<its name>`: each is observed, and attested, by itself."""


class Fact(Struct, frozen=True):
    """One entity and its figures (None: it has none)."""

    entity: Entity
    pulse: ResourcePulse | None = None


class Scope(Struct, frozen=True):
    """The frame of one observation."""

    cluster: str
    host: str
    interval_s: float
    at: datetime
    published: Mapping[Ref, Entity]

    @property
    def source(self) -> str:
        """Of this machine."""
        return f"{SOURCE}-{self.host}"

    @property
    def host_ref(self) -> Ref:
        """The machine itself."""
        return Ref(self.cluster, kinds.HOST, self.host)

    def ref(self, kind: str, name: str) -> Ref:
        """What is on the machine: its name is the namespace."""
        return Ref(self.cluster, kind, name, self.host)

    def runs_on(self, evidence: str) -> Connection:
        """The edge to the machine."""
        return Connection(kind=edges.RUNS_ON, peer=self.host_ref, evidence=evidence)

    def pulse(
        self,
        entity: Entity,
        figures: Mapping[FigureName, float | None],
        *,
        cpu_percent: float | None = None,
        memory_bytes: int | None = None,
        memory_limit_bytes: int | None = None,
        rx_bytes: float | None = None,
        tx_bytes: float | None = None,
        unread: Mapping[str, float | None] | None = None,
    ) -> ResourcePulse:
        """The pulse of an entity. Of `unread`, fields that apply, those that are None are not known now."""
        return ResourcePulse(
            ref=entity.ref,
            source=self.source,
            timestamp=self.at,
            interval_s=self.interval_s,
            uid=entity.uid,
            cpu_percent=cpu_percent,
            memory_bytes=memory_bytes,
            memory_limit_bytes=memory_limit_bytes,
            network_rx_bytes=rx_bytes,
            network_tx_bytes=tx_bytes,
            custom={str(name): value for name, value in figures.items()},
            unread=unread_of(**(unread or {})),
        )


def elapsed(before: Sample | None, now: Sample) -> float:
    """Seconds between two samples of one run of the machine; 0: nothing can be compared."""
    is_same_run = before is not None and before.machine.boot_id == now.machine.boot_id
    return now.time_s - before.time_s if before is not None and is_same_run else 0.0


def per_second(before: float | None, now: float | None, elapsed_s: float) -> float | None:
    """The rate of a counter. None: it is not known, or was set back meanwhile."""
    if before is None or now is None or elapsed_s <= 0 or now < before:
        return None
    return (now - before) / elapsed_s


def ratio(used: float | None, limit: float | None) -> float | None:
    """The used share; None without a limit."""
    return used / limit if used is not None and limit else None
