"""What the mapping of every backend shares: the scope of a poll, the cause of a failed one, figures. Pure."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.vocabulary.figures.figure import FigureName

SOURCE = "db"

Figures = dict[FigureName, float | None]
"""The figures of one section of a pulse, by declared name."""


def section(figures: Figures) -> dict[str, float | None]:
    """The figures as the pulse schema has them: names are plain texts there."""
    return dict(figures.items())


class Unreachable(Struct, frozen=True):
    """Why a poll read nothing. A full server is not down, and one that refuses our login may be healthy."""

    phase: str
    """One of the contract's PHASES: `failing` (down), `overloaded` (full), `starting`, `degraded` (no access)."""
    cause: str
    """One of a small set: `refused`, `unreachable`, `frozen`, `saturated`, `own limit`, `starting`,
    `wrong credentials`, `missing privilege`, `pooler`, `tls`, `unreadable`, `unknown name`, `own network`."""
    text: str
    """One plain sentence: what was expected, what was found, what to try. Never a secret."""
    closes: bool = False
    """Whether something accepts connections there, and closes them or answers what is not understood."""

    @property
    def is_ours(self) -> bool:
        """Whether the collector's access fails: it says nothing about the database."""
        return self.phase == "degraded"


class Scope(Struct, frozen=True):
    """The context of one poll of one target."""

    cluster: str
    name: str
    """The database entity's name, as configured: stable across restarts."""
    namespace: str
    interval_s: float
    """Seconds from pulse to pulse."""
    at: datetime
    published: Mapping[Ref, Entity]
    """This target's entities as published now. The mapping compares with them, so that it needs no state of its own."""
