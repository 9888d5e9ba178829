"""What a screen asks of a source."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from kgents_cli.ui.world import World
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.event import Event
from kgents_shared.contract.pulse import Pulse
from kgents_shared.view.entity import EntityView
from kgents_shared.view.paths import Edge


class Described(msgspec.Struct, frozen=True):
    """One entity, and what else is shown of it."""

    view: EntityView
    edges: Sequence[Edge] = ()
    pulses: Sequence[Pulse] = ()
    """Of the last minutes, oldest first."""
    events: Sequence[Event] = ()
    """Oldest first."""
    unknown: Sequence[str] = ()
    """What could not be read of it, and why."""


class Source(Protocol):
    """Keeps a world up to date, and answers questions about one entity."""

    @property
    def name(self) -> str:
        """Where it reads, for the header."""

    def now(self) -> datetime:
        """The time by which ages count."""

    async def run(self, world: World) -> None:
        """Keep it up to date until cancelled, over any failure."""

    async def describe(self, key: str, ref: Ref) -> Described | None:
        """All that is known of one entity; None: it is not there."""
