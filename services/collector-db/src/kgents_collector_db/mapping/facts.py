"""What every backend's mapping is given besides its samples, and what it gives back: names and times → Facts. Pure."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.vocabulary.figures.figure import FigureName

SOURCE = "db"

Figures = dict[FigureName, float | None]
"""What one section of a pulse holds, under declared names."""


def section(figures: Figures) -> dict[str, float | None]:
    """The figures as a pulse takes them: on the wire a name is a text like any other."""
    return dict(figures.items())


class Unreachable(Struct, frozen=True):
    """Why a poll of a database gave nothing. Unreachable is not healthy, and full is not down."""

    phase: str
    """One of the contract's PHASES: `failing` (down), `overloaded` (full), `starting`, `degraded` (we may not look)."""
    cause: str
    """Short and countable: `refused`, `unreachable`, `frozen`, `saturated`, `own limit`, `starting`,
    `wrong credentials`, `missing privilege`, `pooler`, `tls`, `unreadable`."""
    text: str
    """One plain sentence: what was expected, what was found, what to try. Never a secret."""


class Scope(Struct, frozen=True):
    """The frame of one poll of one target."""

    cluster: str
    name: str
    """The database entity's name, as configured: stable across restarts."""
    namespace: str
    interval_s: float
    """Seconds from pulse to pulse."""
    at: datetime
    published: Mapping[Ref, Entity]
    """This target's entities as they are published now: the memory of what must not change without reason."""
