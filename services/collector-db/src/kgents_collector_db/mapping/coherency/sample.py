"""What one round read of both stores, and what it says of each sampled row and vector. Pure."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from msgspec import Struct

from kgents_collector_db.mapping.facts import Unreachable

Key = int | str
"""An integer; a uuid in lower case; a text."""
Revision = int | datetime
Verdict = Literal["good", "missing", "stale", "ghost", "undecided"]

TOLERANCE: Final = timedelta(seconds=1)
"""A payload may hold the time of a row in milliseconds, or in whole seconds."""


class Row(Struct, frozen=True):
    """One sampled row."""

    key: Key | None
    revision: Revision | None = None
    is_settled: bool = True
    """Whether its last change is older than `settle_s`."""
    in_page: int = 1
    """Rows of the page that it was drawn from."""


class Point(Struct, frozen=True):
    """One sampled vector."""

    id: Key
    key: Key | None
    """None: the payload has no such key."""


class Counts(Struct, frozen=True):
    """The verdicts about one sample."""

    good: int = 0
    missing: int = 0
    stale: int = 0
    ghost: int = 0
    undecided: int = 0
    is_census: bool = False
    """Whether everything was read, so that nothing is estimated."""

    @property
    def judged(self) -> int:
        return self.good + self.missing + self.stale + self.ghost


class CoherencySample(Struct, frozen=True):
    """One round."""

    at: datetime
    unreachable: Unreachable | None = None
    """Why the stores could not be compared: then nothing below is known."""
    faults: tuple[str, ...] = ()
    rows: Counts = Counts()
    points: Counts = Counts()
    rows_about: int | None = None
    points_about: int | None = None
    knows_stale: bool = False
    postgresql_s: float = 0.0
    qdrant_s: float = 0.0


def drawn(rows: Sequence[Row], random: Callable[[], float]) -> list[Row]:
    """The rows that stay of one row for each sampled page, so that every row of the table is as likely.

    A row of a full page is drawn less often than that of an empty one, so those of emptier pages are dropped as often.
    `random` gives numbers from 0 to 1.
    """
    most = max((row.in_page for row in rows), default=1)
    return [row for row in rows if random() * most < row.in_page]


def first_reading(row: Row, payloads: Sequence[object] | None, *, knows_stale: bool) -> Verdict:
    """What one reading says of a row.

    Args:
        row: as sampled.
        payloads: the revisions that the payloads of its vectors hold; None: it has no vector.
        knows_stale: whether revisions are compared.
    """
    if row.key is None or not row.is_settled:
        return "undecided"
    if payloads is None:
        return "missing"
    if not knows_stale:
        return "good"
    found = [_is_older(payload, row.revision) for payload in payloads]
    if any(found):
        return "stale"
    return "undecided" if None in found else "good"


def confirmed(
    row: Row,
    verdict: Verdict,
    now: Collection[Revision | None],
    payloads: Sequence[object] | None,
    *,
    knows_stale: bool,
) -> Verdict:
    """What a later reading leaves of a finding: it counts only if the same row is wrong in the same way.

    Args:
        row: as sampled.
        verdict: of the first reading.
        now: the revisions of the rows that have this key now.
        payloads: as for `first_reading`.
        knows_stale: as for `first_reading`.
    """
    if row.revision not in now:
        return "undecided"  # it was changed or deleted meanwhile
    again = first_reading(row, payloads, knows_stale=knows_stale)
    return again if again in (verdict, "good") else "undecided"


def confirmed_ghost(*, is_there: bool, has_row: bool) -> Verdict:
    """What a later reading leaves of a vector that had no row."""
    if has_row:
        return "good"
    return "ghost" if is_there else "undecided"


def counted(verdicts: Iterable[Verdict], *, is_census: bool) -> Counts:
    """How often each verdict was given."""
    by_verdict: Mapping[str, int] = Counter(verdicts)
    return Counts(**by_verdict, is_census=is_census and "undecided" not in by_verdict)


def _is_older(payload: object, row: Revision | None) -> bool | None:
    """Whether a vector was made of an earlier revision; None if the two cannot be compared."""
    if isinstance(row, datetime):
        try:
            made = datetime.fromisoformat(payload) if isinstance(payload, str) else None
        except ValueError:
            return None
        return None if made is None else _utc(made) + TOLERANCE < _utc(row)
    if isinstance(row, int) and isinstance(payload, int) and not isinstance(payload, bool):
        return payload < row
    return None


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
