"""What a screen asks of a source."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from kgents_cli.ui.rows.known import Pipeline
from kgents_cli.ui.source.then import Then
from kgents_cli.ui.world import World
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.event import Event
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.silence import Matcher
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

    @property
    def clusters(self) -> Sequence[str]:
        """Those that are selected; empty: all."""

    @property
    def read_only(self) -> str:
        """Why nothing can be decided here; empty: it can."""

    def views(self, kinds: Sequence[str]) -> list[EntityView]:
        """The entities of some kinds."""

    async def pulses(self, kinds: Sequence[str]) -> dict[Ref, Pulse]:
        """The last pulses of the entities of some kinds.

        Raises:
            KgentsError: they cannot be read.
        """

    async def pipeline(self) -> Pipeline | None:
        """How the services are that observe and publish; None: that is not known here.

        Raises:
            KgentsError: it cannot be read.
        """

    async def at(self, time: datetime) -> Then:
        """How it was at a past time.

        Raises:
            KgentsError: that cannot be read.
        """

    async def acknowledge(self, incident: Incident, note: str) -> None:
        """Store that the user takes care of it.

        Raises:
            KgentsError: it is not stored.
        """

    async def silence(self, cluster: str, matchers: Sequence[Matcher], seconds: float, reason: str) -> str:
        """Store a silence that begins now; returns its id.

        Raises:
            KgentsError: it is not stored.
        """

    async def describe(self, key: str, ref: Ref) -> Described | None:
        """All that is known of one entity; None: it is not there."""
