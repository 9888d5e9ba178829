"""Laws of a comparison: its intervals, its draw, and when a finding counts."""

from datetime import UTC, datetime, timedelta
from math import comb
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgents_collector_db.mapping.coherency.interval import wilson
from kgents_collector_db.mapping.coherency.sample import (
    TOLERANCE,
    Row,
    confirmed,
    confirmed_ghost,
    counted,
    drawn,
    first_reading,
)
from kgents_health_scorer.checks import CATALOGUE
from kgents_health_scorer.checks.check import IntervalCheck
from support.coherency_cases import interval

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
revisions = st.integers(0, 5)
payloads = st.none() | st.lists(revisions | st.none() | st.text(max_size=2), min_size=1, max_size=3)


@given(st.integers(1, 5_000), st.data())
def test_interval_holds_the_share_and_narrows_with_the_sample(of: int, data: st.DataObject) -> None:
    found = data.draw(st.integers(0, of))
    ends, more = wilson(found, of), wilson(found * 4, of * 4)
    assert ends is not None and more is not None  # noqa: PT018
    low, high = ends
    assert 0 <= low <= found / of <= high <= 1
    assert low < high
    assert more[1] - more[0] < high - low
    mirrored = wilson(of - found, of)
    assert mirrored is not None
    assert list(mirrored) == pytest.approx([1 - high, 1 - low])


def test_nothing_that_was_counted_is_no_interval() -> None:
    assert wilson(0, 0) is None
    assert list(wilson(1_000, 1_000) or ()) == pytest.approx([0.99617, 1.0], abs=1e-5)


@pytest.mark.parametrize("of", [100, 300, 1_000])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.98, 0.99])
def test_interval_is_right_as_often_as_it_says(of: int, share: float) -> None:
    """The exact probability: at no share is it far below 95 %."""
    right = 0.0
    for found in range(of + 1):
        ends = wilson(found, of)
        assert ends is not None
        if ends[0] <= share <= ends[1]:
            right += comb(of, found) * share**found * (1 - share) ** (of - found)
    assert right > 0.9


def test_rows_of_full_pages_are_drawn_as_often_as_those_of_empty_ones() -> None:
    random = Random(1).random
    pages = [[("full", n) for n in range(100)], [("empty", 0)]]
    rows = 0
    for _ in range(20_000):
        found = drawn([Row(page[0][0], in_page=len(page)) for page in pages], random)
        rows += [row.key for row in found].count("empty")
    assert rows == pytest.approx(200, rel=0.4)  # a hundredth of the draws, as one row of a hundred and one


@given(revisions, payloads, payloads, st.lists(revisions, max_size=2), st.booleans())
def test_finding_counts_only_if_the_same_row_is_wrong_twice_in_the_same_way(
    revision: int, before: list[object] | None, after: list[object] | None, now: list[int], knows_stale: bool
) -> None:
    row = Row(1, revision)
    first = first_reading(row, before, knows_stale=knows_stale)
    if first not in ("missing", "stale"):
        return
    verdict = confirmed(row, first, now, after, knows_stale=knows_stale)
    again = first_reading(row, after, knows_stale=knows_stale)
    if verdict in ("missing", "stale"):
        assert verdict == first == again
        assert revision in now
    if verdict == "good":
        assert again == "good"
    if revision not in now:
        assert verdict == "undecided"


@given(st.none() | revisions, payloads)
def test_row_that_is_not_settled_or_has_no_key_is_never_judged(
    revision: int | None, found: list[object] | None
) -> None:
    assert first_reading(Row(1, revision, is_settled=False), found, knows_stale=True) == "undecided"
    assert first_reading(Row(None, revision), found, knows_stale=True) == "undecided"


@pytest.mark.parametrize(
    ("payload", "verdict"),
    [
        (NOON.isoformat(), "good"),
        ((NOON - TOLERANCE).isoformat(), "good"),
        ((NOON - 2 * TOLERANCE).isoformat(), "stale"),
        ("2026-01-01T11:00:00Z", "stale"),
        ("2026-01-01T13:00:00+01:00", "good"),
        ("2026-01-01T12:00:00", "good"),
        ("yesterday", "undecided"),
        (1_767_268_800, "undecided"),
        (None, "undecided"),
    ],
)
def test_times_are_compared_with_the_zone_that_they_have(payload: object, verdict: str) -> None:
    assert first_reading(Row(1, NOON + timedelta(0)), [payload], knows_stale=True) == verdict


def test_vector_whose_row_is_gone_for_now_is_no_ghost_unless_it_stays() -> None:
    assert confirmed_ghost(is_there=True, has_row=False) == "ghost"
    assert confirmed_ghost(is_there=False, has_row=False) == "undecided"
    assert confirmed_ghost(is_there=True, has_row=True) == "good"


def test_sample_with_anything_undecided_is_no_census() -> None:
    assert counted(["good", "missing"], is_census=True).is_census
    assert not counted(["good", "undecided"], is_census=True).is_census


@given(st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted))
def test_interval_around_a_threshold_is_neither_found_nor_over(ends: list[float]) -> None:
    low, high = ends
    for check in CATALOGUE:
        if isinstance(check, IntervalCheck):
            pulse = interval(check.low, check.high, (low, high))
            least, most = (1 - high, 1 - low) if check.is_complement else (low, high)
            value, first = check.value(pulse), check.thresholds.given[0]
            assert (value is None) == (least < first <= most)
            assert value is None or value in (least, most)
