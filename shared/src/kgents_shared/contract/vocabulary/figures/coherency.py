"""What collector-db measures of two stores that should hold the same keys: a sample of each, looked up in the other."""

from typing import Final

from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures.figure import CUSTOM, Field

_FIELD: Final = Field("db")
_figure = _FIELD.section(CUSTOM, kinds.COMPARISON).figure

COHERENCY_RATE: Final = _figure("coherency_rate", "1", "Sampled rows that have a current vector, as a share.")
COHERENCY_RATE_LOW: Final = _figure("coherency_rate_low", "1", "Lower end of its 95 % confidence interval.")
COHERENCY_RATE_HIGH: Final = _figure("coherency_rate_high", "1", "Upper end of its 95 % confidence interval.")
GHOST_RATE: Final = _figure("coherency_ghost_rate", "1", "Sampled vectors that have no row, as a share.")
GHOST_RATE_LOW: Final = _figure("coherency_ghost_rate_low", "1", "Lower end of its 95 % confidence interval.")
GHOST_RATE_HIGH: Final = _figure("coherency_ghost_rate_high", "1", "Upper end of its 95 % confidence interval.")
MISSING: Final = _figure("coherency_missing", "{row}", "Sampled rows without a vector.")
STALE: Final = _figure(
    "coherency_stale", "{row}", "Sampled rows whose vector is older than the row; null without a configured revision."
)
GHOSTS: Final = _figure("coherency_ghosts", "{vector}", "Sampled vectors without a row.")
SAMPLED_ROWS: Final = _figure("coherency_sampled_rows", "{row}", "Sampled rows that were judged.")
SAMPLED_POINTS: Final = _figure("coherency_sampled_points", "{vector}", "Sampled vectors that were judged.")
UNDECIDED: Final = _figure(
    "coherency_undecided", "{entry}", "Sampled rows and vectors that were not judged: they changed just now."
)
ROWS: Final = _figure("coherency_rows", "{row}", "About how many rows there are; exact only of a small table.")
POINTS: Final = _figure("coherency_points", "{vector}", "About how many vectors there are, as the server says.")
POSTGRESQL_S: Final = _figure("coherency_postgresql_s", "s", "Time that PostgreSQL took to answer in this round.")
QDRANT_S: Final = _figure("coherency_qdrant_s", "s", "Time that Qdrant took to answer in this round.")

FIGURES: Final = tuple(_FIELD.figures)
