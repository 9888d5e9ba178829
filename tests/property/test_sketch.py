"""Laws of the exponential histogram: merging, down-scaling and quantiles, in any order and through JSON."""

from math import ceil

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgents_shared.contract.sketch import BUCKETS_MAX, SCALE, SCALE_MIN, Histogram, Sketch, merged

values = st.floats(1e-6, 1e9) | st.floats(0.1, 1000.0) | st.just(0.0) | st.floats(-1e6, -1e-6)
samples = st.lists(values, max_size=60)
positive = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=60)
scales = st.integers(SCALE_MIN, 6)
shares = st.floats(0.0, 1.0)


def sketch(found: list[float], scale: int = SCALE) -> Sketch:
    result = Sketch(scale)
    for each in found:
        result.add(each)
    return result


def counted(each: Sketch) -> object:
    """All but the sum, of which rounding depends on the order."""
    return each.scale, each.buckets, each.zeros, each.negative


@given(first=samples, second=samples, third=samples)
def test_merging_is_what_one_sketch_of_all_values_is_in_any_order(
    first: list[float], second: list[float], third: list[float]
) -> None:
    whole = sketch([*first, *second, *third])
    left = Sketch.of(sketch(first).histogram(), sketch(second).histogram())
    left.merge(sketch(third))
    right = sketch(third)
    right.merge(sketch(second))
    right.merge(sketch(first).histogram())
    assert counted(whole) == counted(left) == counted(right)
    assert left.total == pytest.approx(whole.total, abs=1e-4)


@given(found=samples, scale=scales, coarser=scales)
def test_recording_and_then_coarsening_is_recording_coarser(found: list[float], scale: int, coarser: int) -> None:
    fine = sketch(found, scale)
    fine.down_to(coarser)
    direct = sketch(found, min(scale, coarser))
    fine.down_to(direct.scale)
    direct.down_to(fine.scale)
    assert counted(fine) == counted(direct)


@given(found=positive, share=shares)
def test_a_quantile_is_within_half_a_bucket_of_the_exact_one(found: list[float], share: float) -> None:
    each = sketch(found)
    exact = sorted(found)[max(1, ceil(share * len(found))) - 1]
    base = 2 ** (2**-each.scale)
    assert each.quantile(share) == pytest.approx(exact, rel=(base - 1) / (base + 1) + 1e-9)
    assert each.scale < SCALE or (base - 1) / (base + 1) < 0.044


@given(found=samples)
def test_through_json_it_is_the_same(found: list[float]) -> None:
    histogram = sketch(found).histogram()
    decoded = msgspec.json.decode(msgspec.json.encode(histogram), type=Histogram)
    assert decoded == histogram
    assert counted(Sketch.of(decoded)) == counted(Sketch.of(histogram))
    assert decoded.n == len(found)


@given(found=st.lists(st.floats(5e-324, 1.7e308), min_size=1, max_size=40), share=shares)
def test_whatever_is_added_the_buckets_are_bounded(found: list[float], share: float) -> None:
    each = sketch(found)
    assert len(each.histogram().counts) <= BUCKETS_MAX
    assert each.n == len(found)
    assert each.quantile(share) is not None


def test_a_bucket_holds_its_upper_bound_and_not_its_lower_one() -> None:
    """As OpenTelemetry has it: at scale 0, bucket 0 is (1, 2]."""
    assert sketch([1.0], 0).buckets == {-1: 1}
    assert sketch([1.0000001, 2.0], 0).buckets == {0: 2}
    assert sketch([2.0000001, 4.0], 0).buckets == {1: 2}


def test_nothing_is_not_zero() -> None:
    assert Sketch().quantile(0.5) is None
    assert merged([None, None]) is None
    assert sketch([0.0, -1.0]).quantile(0.99) == 0.0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_makes_no_bucket(value: float) -> None:
    assert sketch([value, 3.0]).buckets == sketch([3.0]).buckets


@given(found=positive, limit=st.floats(1e-3, 1e6))
def test_how_many_do_not_exceed_a_limit_is_exact_but_for_those_within_half_a_bucket_of_it(
    found: list[float], limit: float
) -> None:
    each = sketch(found)
    base = 2 ** (2**-each.scale)
    margin = (base - 1) / (base + 1) + 1e-9
    surely, perhaps = (sum(value <= limit * part for value in found) for part in (1 - 2 * margin, 1 + 2 * margin))
    assert surely <= each.histogram().within(limit) <= perhaps
    assert each.within(1e12) == len(found)
