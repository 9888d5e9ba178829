"""What every kind's mapping gets besides the samples: names, times, and what is published → refs and pulses."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct

from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.vocabulary.figures import nats as figure
from kgents_shared.contract.vocabulary.figures.figure import FigureName

SOURCE: Final = "nats"
_DEFAULT_ACCOUNT: Final = "$G"

Figures = dict[FigureName, float | None]

_ALWAYS: Final = frozenset({figure.SLOW_CONSUMERS_PER_MIN})
"""Figures that apply wherever they are named, and that a check judges: None is "not known now"."""


class Fact(Struct, frozen=True):
    """One entity and its figures (None: not measured this time)."""

    entity: Entity
    pulse: ResourcePulse | None = None


class Scope(Struct, frozen=True):
    """The frame of one observation."""

    cluster: str
    interval_s: float
    at: datetime
    published: Mapping[Ref, Entity]
    """Our entities as published: for values that must not change without reason."""

    def ref(self, kind: str, name: str, account: str = "") -> Ref:
        """The ref of an entity in an account: accounts are NATS's namespaces, and the default one has no name."""
        return Ref(self.cluster, kind, name, "" if account == _DEFAULT_ACCOUNT else account)

    def pulse(
        self,
        entity: Entity,
        figures: Figures,
        *,
        cpu_percent: float | None = None,
        memory_bytes: int | None = None,
        rx_bytes: float | None = None,
        tx_bytes: float | None = None,
    ) -> ResourcePulse:
        """The entity's pulse; a figure that is None does not apply, or is not known if it is one of _ALWAYS."""
        return ResourcePulse(
            ref=entity.ref,
            source=SOURCE,
            timestamp=self.at,
            interval_s=self.interval_s,
            uid=entity.uid,
            cpu_percent=cpu_percent,
            memory_bytes=memory_bytes,
            network_rx_bytes=rx_bytes,
            network_tx_bytes=tx_bytes,
            custom={name: value for name, value in figures.items() if value is not None or name in _ALWAYS},
        )
