"""The health of one entity, and why: `kgents.health.<cluster>.<kind>.<namespace>.<name>`."""

from typing import Annotated, Final

import msgspec

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.wire import REMOVE, Time, Wire, stated

LEVELS: Final = ("healthy", "warning", "critical", "unknown")
HEALTHY_FROM: Final = 0.8
WARNING_FROM: Final = 0.5

Score = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Reason(Wire, frozen=True):
    """One check that found something, worst first."""

    check: str
    """The check's number in the catalogue: `KG-101`."""
    text: str
    """One plain sentence with value and threshold."""
    severity: Score
    """0 fine, 0.2 at the warning threshold, 0.5 at the critical one, 1 fatal."""
    value: float | str | None = None
    threshold: float | str | None = None
    unit: str = ""
    """UCUM: `1` for a ratio, `s`, `By`, `{message}`."""
    evidence: str = ""
    """`<stream>:<sequence>` of the message that shows it."""


class KindHealth(Wire, frozen=True):
    """All entities of one kind."""

    count: int
    health: Score | None = None
    """The mean score, for a trend line only: one dead database among a hundred still gives 0.99."""
    worst: Score | None = None
    healthy: int = 0
    warning: int = 0
    critical: int = 0
    unknown: int = 0


class Aggregate(Wire, frozen=True):
    """All entities of one cluster. Alert on `status`, never on `overall`."""

    status: str
    """`critical` if anything is critical, else `moderate` if anything is warning or unknown, else `healthy`."""
    status_breakdown: dict[str, int]
    """Level → how many."""
    overall: Score | None = None
    """The mean score; None when nothing is observed, which is not health."""
    by_kind: dict[str, KindHealth] = {}


class Health(Wire, frozen=True):
    """`score = 1 − the worst severity`: the worst finding decides, and every finding is named."""

    text: str
    ref: Ref
    op: str = stated("upsert")
    score: Score = msgspec.field(default_factory=lambda: 0.5)
    """0..1; exactly 0.5 when the level is unknown."""
    level: str = stated("unknown")
    """`healthy` from 0.8, `warning` from 0.5, else `critical`; `unknown` when what was needed is missing."""
    reasons: list[Reason] = []
    evaluated: int = 0
    """How many checks had the data they need …"""
    applicable: int = 0
    """… out of how many that apply to this kind."""
    since: Time | None = None
    """Since when it has this level."""
    uid: str = ""
    aggregate: Aggregate | None = None
    """Only in the message of kind `cluster`, which sums up all others."""

    @property
    def is_removal(self) -> bool:
        """Whether the entity is gone, and its health with it."""
        return self.op == REMOVE


def level_of(score: float) -> str:
    """The level of a known score."""
    if score >= HEALTHY_FROM:
        return "healthy"
    return "warning" if score >= WARNING_FROM else "critical"
