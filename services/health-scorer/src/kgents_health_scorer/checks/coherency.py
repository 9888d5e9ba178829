"""KG-392 to KG-393, comparisons: what collector-db measures → a table and a vector collection that do not agree."""

from typing import Final

from kgents_health_scorer.checks.check import Check, IntervalCheck, Thresholds
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures import coherency as figure

_COMPARISON: Final = frozenset({kinds.COMPARISON})

CHECKS: Final[tuple[Check, ...]] = (
    IntervalCheck(
        id="KG-392",
        name="vectors missing or stale",
        applies_to=_COMPARISON,
        figure=figure.COHERENCY_RATE,
        low=figure.COHERENCY_RATE_LOW,
        high=figure.COHERENCY_RATE_HIGH,
        is_complement=True,
        thresholds=Thresholds(warn=0.01, crit=0.1),
        at_once=0.1,
        unit="1",
        text="At least {value} of the rows of {entity} have no current vector (threshold {threshold}).",
        why="A search does not find these rows, or finds what they used to be. Check whether what makes the vectors "
        "runs and keeps up, and whether either store was restored from a backup; then index the rows again.",
        source="Ours. A bound of the 95 % confidence interval decides, so a small sample alone is no finding; it ends "
        "when the other bound is within the threshold, and in between it is kept, then not known.",
    ),
    IntervalCheck(
        id="KG-393",
        name="vectors without row",
        applies_to=_COMPARISON,
        figure=figure.GHOST_RATE,
        low=figure.GHOST_RATE_LOW,
        high=figure.GHOST_RATE_HIGH,
        thresholds=Thresholds(warn=0.01, crit=0.1),
        at_once=0.1,
        unit="1",
        text="At least {value} of the vectors of {entity} have no row (threshold {threshold}).",
        why="A search finds what was deleted. Check whether deletions reach the collection, and whether PostgreSQL was "
        "restored from an older backup; then delete these vectors.",
        source="As KG-392.",
    ),
)
