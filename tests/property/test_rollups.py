"""Laws of what is kept of figures: parts add up however they are divided, counters grow over resets, null is no 0."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kgents_archiver.rollup import Carries, Fold, Tally

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
SUBJECT = "kgents.pulse.test.db.database._.orders"
values = st.one_of(st.none(), st.integers(0, 1_000).map(float))


@given(st.lists(values, max_size=60), st.integers(1, 20))
def test_parts_add_up_however_they_are_divided(samples: list[float | None], size: int) -> None:
    whole, divided = Tally(), [Tally() for _ in range(0, len(samples), size)]
    for number, value in enumerate(samples):
        whole.add(value)
        divided[number // size].add(value)
    known = [value for value in samples if value is not None]
    assert (whole.n, whole.nulls) == (len(known), len(samples) - len(known))
    assert (whole.min, whole.max) == (min(known, default=None), max(known, default=None))
    assert whole.sum == (sum(known) if known else None), "nothing known is no zero"
    assert (sum(each.n for each in divided), sum(each.nulls for each in divided)) == (whole.n, whole.nulls)
    assert sum(each.sum or 0.0 for each in divided) == (whole.sum or 0.0)


@given(st.lists(st.tuples(st.floats(0, 1_000), st.booleans()), min_size=1, max_size=60), st.integers(1, 90))
def test_a_counter_grows_by_what_was_counted_over_borders_and_resets(
    steps: list[tuple[float, bool]], every_s: int
) -> None:
    """The sum of all minutes is what the source counted, but for what came before its first sample."""
    carries: Carries = {}
    fold = Fold()
    count, counted = 0.0, 0.0
    for number, (grown, has_reset) in enumerate(steps):
        before = count
        count = grown if has_reset else count + grown
        is_seen = has_reset and count < before  # a reset that nobody can see looks like growth
        if number:
            counted += count if is_seen else count - before
        fold.add(SUBJECT, BEGAN + timedelta(seconds=number * every_s), {"morphisms": count, "gauge": count}, carries)
    found = [part.figures["morphisms"].increase for part in fold.parts()]
    assert abs(sum(each or 0.0 for each in found) - counted) <= 1e-6 * max(counted, 1.0)
    assert all(part.figures["gauge"].increase is None for part in fold.parts()), "a gauge does not grow"


def test_a_sample_that_came_late_is_no_reset() -> None:
    carries: Carries = {}
    fold = Fold()
    for second, value in ((0, 10.0), (30, 30.0), (15, 20.0), (45, 40.0)):
        fold.add(SUBJECT, BEGAN + timedelta(seconds=second), {"morphisms": value}, carries)
    (part,) = fold.parts()
    assert (part.figures["morphisms"].increase, part.figures["morphisms"].n) == (30.0, 4)


def test_a_name_that_no_table_takes_is_written_otherwise() -> None:
    fold = Fold()
    fold.add(SUBJECT, BEGAN, {"a\x00b": 1.0, "x" * 500: 2.0}, {})
    assert sorted(map(len, fold.parts()[0].figures)) == [3, 200]
    assert not any("\x00" in name for name in fold.parts()[0].figures)
