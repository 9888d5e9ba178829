"""The health of one entity, and why: `kgents.health.<cluster>.<kind>.<namespace>.<name>`."""

from typing import Annotated, Final

import msgspec

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.wire import REMOVE, Time, Wire, stated

LEVELS: Final = ("healthy", "warning", "critical", "unknown")
HEALTHY_FROM: Final = 0.8
WARNING_FROM: Final = 0.5
UNKNOWN_SCORE: Final = 0.5

Score = Annotated[float, msgspec.Meta(ge=0, le=1)]


class UnknownFigure(Wire, frozen=True):
    """A figure that is not known any more and by which a check had found something."""

    check: str
    """The check that had found it."""
    figure: str
    since: Time


class Edge(Wire, frozen=True):
    """One connection of the entity, by the kind and the peer that its traffic is reported under."""

    kind: str
    peer: Ref | str


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
    unknown: list[UnknownFigure] = []
    """Only in the reason that figures are not known any more: which."""
    edge: Edge | None = None
    """Of a finding on a connection: which; the worst one, if there are several."""


class Occurrences(Wire, frozen=True):
    """How often something happened within five minutes."""

    at: Time
    """The beginning of the five minutes."""
    count: int


class Recurrence(Wire, frozen=True):
    """What one check has found lately, again and again: a restarted scorer goes on from it."""

    check: str
    occurrences: list[Occurrences] = []
    """Of the last hour, oldest first."""
    begins: list[Time] = []
    """The last times at which the finding began, at most three."""
    cleared_at: Time | None = None
    """Since when it has not been so; None: it is so now."""
    is_lasting: bool = False
    """Whether the finding stays until it has not been so for the calm time."""
    severity: Score = 0.0
    """Of the last finding."""
    value: float | str | None = None
    """Of the last finding; of restarts how the last run ended."""
    evidence: str = ""
    """Of the last finding."""
    edge: Edge | None = None
    """Of the last finding, if it was on a connection: on another one it is another finding."""


class Eviction(Wire, frozen=True):
    """That pods of an entity were evicted on purpose, as by a drain."""

    since: Time
    until: Time
    """Until when what it serves may be lost because of that: they were given this time to end."""


class Observed(Wire, frozen=True):
    """What an entity was judged by, if that is anything but that it runs and counts no restarts."""

    status: str
    reason: str = ""
    status_since: Time | None = None
    """Since when it has this status; None for `running`."""
    reason_since: Time | None = None
    """Since when status and reason are what they are; None if it runs without a reason."""
    restarts: int | None = None
    """As its source counts them; None: it counts none."""
    incarnation: str = ""
    """The `uid` of the entity, or of its pod: what restarts and recurrences are counted of."""
    lost_service: bool = False
    """Whether it served until its status became what it is, and was neither scaled, moved nor updated."""
    last_exit: str = ""
    """How its last run ended, if its source says so: `last exit 1 (Error)`."""
    evicted: Eviction | None = None
    """The last one of pods behind it; None: none that still matters."""


class Baseline(Wire, frozen=True):
    """What is usual for one figure of the entity: a restarted scorer goes on from it.

    Published when it has moved by half a spread, or is made of twice as many samples.
    """

    check: str
    source: str
    edge: Edge | None = None
    version: int = 1
    """Of the way it is computed: one of another version is not used."""
    samples: int = 0
    seconds: float = 0.0
    """The time that these samples cover."""
    centre: float = 0.0
    """Natural logarithm of what is usual, plus the figure's resolution."""
    spread: float = 0.0
    """Mean distance from it."""
    found_s: float = 0.0
    """For how long it has been found to be unusual without a break; 0 while it is not."""
    found_centre: float = 0.0
    found_spread: float = 0.0
    """Centre and spread of this time alone."""


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


class Root(Wire, frozen=True):
    """What most probably began what is unwell at once. A hint: it hides nothing, and changes no level and no alert."""

    ref: Ref
    text: str
    """One plain sentence."""
    reasons: list[str] = []
    """What was found of it, and what its callers' findings say of it."""
    explains: list[Ref] = []
    """Unwell entities that need it, directly or through others; at most 20."""
    explained: int = 0
    """How many there are."""


class Aggregate(Wire, frozen=True):
    """All entities of one cluster. Alert on `status`, never on `overall`."""

    status: str
    """`critical` if anything is critical, else `moderate` if anything is warning or unknown, else `healthy`."""
    status_breakdown: dict[str, int]
    """Level → how many."""
    overall: Score | None = None
    """The mean score; None when nothing is observed, which is not health."""
    by_kind: dict[str, KindHealth] = {}
    roots: list[Root] = []
    """The most probable origins of what is unwell now, the one that explains most first; at most five."""


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
    observed: Observed | None = None
    recurrences: list[Recurrence] = []
    baselines: list[Baseline] = []
    """What is usual for it, as far as checks compare with that."""
    learning: list[str] = []
    """Checks that do not know yet what is usual, and so find nothing."""
    aggregate: Aggregate | None = None
    """Only in the message of kind `cluster`, which sums up all others."""
    cut: list[str] = []
    """What was left out because the whole message would exceed the server's max_payload. Empty: it is whole."""

    @property
    def is_removal(self) -> bool:
        """Whether the entity is gone, and its health with it."""
        return self.op == REMOVE


STALE: Final = "KG-003"
"""The reason that readers give for the level of an entity that is stale. It is in no message."""


def unattested(level: str, score: float) -> tuple[str, float]:
    """Level and score of an entity that its source does not attest now. What was critical stays so."""
    return (level, score) if level == "critical" else ("unknown", UNKNOWN_SCORE)


def level_of(score: float) -> str:
    """The level of a known score."""
    if score >= HEALTHY_FROM:
        return "healthy"
    return "warning" if score >= WARNING_FROM else "critical"
