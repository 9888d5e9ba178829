"""Whatever the order, the gaps, the repeats and the resets: what is counted was really added, once, or is not known."""

from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgents_collector_otel.mapping.distribution import Amount, Explicit, Exponential, grown
from kgents_collector_otel.mapping.growth import (
    UNKNOWN_START,
    Growth,
    Mark,
    Point,
    Repeated,
    cumulative,
    delta,
    followed,
)

pytestmark = pytest.mark.property

BOUNDS = (1.0, 5.0, 25.0)


@dataclass(frozen=True)
class Life:
    """What a process counts from one start to the next: the values of each step, one step a time unit."""

    steps: list[list[float]]


values = st.lists(st.floats(0.001, 100.0), max_size=4)
lives = st.lists(st.builds(Life, st.lists(values, min_size=1, max_size=6)), min_size=1, max_size=4)
orders = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 3)), max_size=40)
kinds = st.sampled_from(["number", "explicit", "exponential"])


def amount_of(kind: str, found: list[float], scale: int = 3) -> Amount:
    if kind == "number":
        return float(len(found))
    if kind == "explicit":
        below = [sum(value <= bound for value in found) for bound in BOUNDS]
        counts = [now - before for before, now in zip([0, *below], [*below, len(found)], strict=True)]
        return Explicit(BOUNDS, tuple(map(float, counts)), sum(found))
    recorded = Exponential(20, {}, 0.0)
    for value in found:
        recorded = recorded_with(recorded, value)
    return recorded.at(scale, 0.0)


def recorded_with(before: Exponential, value: float) -> Exponential:
    buckets = dict(before.positive)
    index = index_of(value, before.scale)
    buckets[index] = buckets.get(index, 0.0) + 1.0
    return Exponential(before.scale, buckets, before.zero_count)


def index_of(value: float, scale: int) -> int:
    """By its definition: base ** index < value <= base ** (index + 1)."""
    return ceil(log2(value) * 2.0**scale) - 1


def count_of(amount: Amount) -> float:
    return amount if isinstance(amount, float) else amount.count


def cumulative_points(kind: str, found: list[Life], *, is_start_stated: bool) -> list[Point]:
    """What an honest sender sends; the scale of its exponential histogram falls with its age."""
    points: list[Point] = []
    time = 1
    for life in found:
        start = time
        so_far: list[float] = []
        for age, step in enumerate(life.steps):
            time += 1
            so_far = [*so_far, *step]
            points.append(Point(time, amount_of(kind, so_far, 6 - age), start if is_start_stated else UNKNOWN_START))
        time += 1
    return points


def disturbed(points: list[Point], order: list[tuple[int, int]]) -> list[Point]:
    """Some of the points, in any order, some of them several times."""
    return [points[place % len(points)] for place, times in order for _ in range(times)]


def counted(points: list[Point], *, is_delta: bool = False) -> list[Growth]:
    mark, found = None, []
    for point in points:
        result = delta(mark, point) if is_delta else cumulative(mark, point)
        if isinstance(result, Growth):
            mark = Mark(point.time, point.amount)
            found.append(result)
    return found


def truly(found: list[Life], start: int, end: int) -> int:
    """How many values were added after `start`, until `end`."""
    time, number = 1, 0
    for life in found:
        for step in life.steps:
            time += 1
            number += len(step) if start < time <= end else 0
        time += 1
    return number


@given(kinds, lives, orders)
def test_a_cumulative_series_gives_what_was_added_or_says_that_it_is_not_known(
    kind: str, found: list[Life], order: list[tuple[int, int]]
) -> None:
    for each in counted(disturbed(cumulative_points(kind, found, is_start_stated=True), order)):
        if each.amount is not None:
            assert count_of(each.amount) == truly(found, each.start, each.end)


@given(kinds, lives, orders)
def test_without_a_stated_start_it_never_gives_more_than_was_added_and_nothing_negative(
    kind: str, found: list[Life], order: list[tuple[int, int]]
) -> None:
    for each in counted(disturbed(cumulative_points(kind, found, is_start_stated=False), order)):
        if each.amount is not None:
            assert 0 <= count_of(each.amount) <= truly(found, each.start, each.end)


@given(kinds, lives)
def test_nothing_between_the_points_of_one_life_is_lost(kind: str, found: list[Life]) -> None:
    growths = counted(cumulative_points(kind, found[:1], is_start_stated=True))
    known = [count_of(each.amount) for each in growths if each.amount is not None]
    assert sum(known) == sum(len(step) for step in found[0].steps[1:])
    assert [each.amount for each in growths[:1]] == [None]


@given(kinds, lives, orders)
def test_no_time_is_counted_twice(kind: str, found: list[Life], order: list[tuple[int, int]]) -> None:
    growths = counted(disturbed(cumulative_points(kind, found, is_start_stated=True), order))
    assert all(before.end <= now.start for before, now in pairwise(growths))


@given(kinds, lives)
def test_a_start_that_moves_with_every_point_is_no_reset(kind: str, found: list[Life]) -> None:
    honest = cumulative_points(kind, found[:1], is_start_stated=True)
    moving = [Point(each.time, each.amount, each.time - 1) for each in honest]
    assert [each.amount for each in counted(moving)] == [each.amount for each in counted(honest)]


@given(kinds, st.lists(values, min_size=1, max_size=10), orders)
def test_a_delta_series_counts_each_time_once(
    kind: str, steps: list[list[float]], order: list[tuple[int, int]]
) -> None:
    points = [Point(place + 2, amount_of(kind, step), place + 1) for place, step in enumerate(steps)]
    for each in counted(disturbed(points, order), is_delta=True):
        assert each.amount is not None
        assert count_of(each.amount) == len(steps[each.end - 2])
    assert sum(count_of(each.amount or 0.0) for each in counted(points, is_delta=True)) == sum(map(len, steps))


@given(kinds, st.lists(values, min_size=1, max_size=8))
def test_times_that_follow_each_other_add_up(kind: str, steps: list[list[float]]) -> None:
    growths = [Growth(place, place + 1, amount_of(kind, step, scale=6 - place)) for place, step in enumerate(steps)]
    total = reduce(followed, growths)
    whole = amount_of(kind, [value for step in steps for value in step], scale=7 - len(steps))
    assert (total.start, total.end) == (0, len(steps))
    assert total.amount is not None
    assert list(total.amount.buckets() if not isinstance(total.amount, float) else [total.amount]) == (
        list(whole.buckets()) if not isinstance(whole, float) else [whole]
    )


def test_a_series_that_begins_while_its_sender_is_watched_counts_from_its_start() -> None:
    assert cumulative(None, Point(30, 4.0, 20), absent_at=15) == Growth(20, 30, 4.0)
    assert cumulative(None, Point(30, 4.0, 10), absent_at=15) == Growth(30, 30, None)


def test_a_start_after_the_last_point_is_a_reset_and_what_did_not_fall_is_not_known() -> None:
    assert cumulative(Mark(20, 4.0), Point(30, 9.0, 25)) == Growth(20, 30, None)
    assert cumulative(Mark(20, 4.0), Point(30, 3.0, 25)) == Growth(25, 30, 3.0)


def test_deltas_of_two_senders_under_one_name_are_refused_and_said() -> None:
    assert delta(Mark(20), Point(25, 1.0, 15)) == Repeated(overlaps=True)
    assert delta(Mark(20), Point(20, 1.0, 10)) == Repeated()


@given(values, st.integers(0, 6), st.integers(-4, 0))
def test_recorded_then_scaled_down_is_recorded_at_the_lower_scale(found: list[float], high: int, low: int) -> None:
    def at(scale: int) -> Exponential:
        recorded = Exponential(scale, {})
        for value in found:
            recorded = recorded_with(recorded, value)
        return recorded

    assert at(high).at(low, 0.0).positive == at(low).positive


def test_the_zero_bucket_takes_what_a_higher_threshold_covers() -> None:
    before = Exponential(0, {-3: 2.0, 4: 1.0}, 1.0, 0.0)  # two values of at most 0.25
    now = Exponential(0, {4: 3.0}, 5.0, 0.25)
    assert grown(before, now) == Exponential(0, {4: 2.0}, 2.0, 0.25)
    assert grown(now, before) is None
    assert grown(Exponential(0, {4: 1.0}, 1.0, 0.25), Exponential(0, {4: 3.0}, 2.0, 0.0)) is None
