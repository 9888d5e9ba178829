"""Laws of what is usual: nothing is found before it is known, whatever comes; no restart makes an alert."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgents_health_scorer.baseline import LEARNT_S, Past
from kgents_shared.contract.codec import HEALTH, encode
from support.health_inputs import INTERVAL_S, Watch, at, entity, pulse
from support.restarted import restarted

pytestmark = pytest.mark.property

LEARNT: Final = round(LEARNT_S / INTERVAL_S)
RESOLUTION: Final = 0.01
shares = st.floats(0, 1)
values = st.floats(0, allow_nan=False, allow_infinity=False)


@given(st.lists(shares, max_size=LEARNT - 1))
def test_before_it_is_known_nothing_is_unusual(ratios: list[float]) -> None:
    watch = Watch()
    watch.entity(entity())
    for step, ratio in enumerate(ratios):
        watch.pulse(pulse(step * INTERVAL_S, cpu=min(ratio, 0.89)))
        assert watch.checks() == []


@given(st.floats(0.1, 0.25), st.lists(st.floats(-0.3, 0.3), min_size=8, max_size=8), st.sets(st.integers(0, 200)))
def test_a_restart_at_any_moment_finds_nothing_in_what_is_usual(
    usual: float, noise: list[float], restarts: set[int]
) -> None:
    watch = Watch()
    watch.entity(entity())
    for step in range(200):
        watch.pulse(pulse(step * INTERVAL_S, cpu=usual * (1 + noise[step % len(noise)])))
        assert watch.checks() == []
        if step in restarts:
            published = {ref: HEALTH.decode(encode(row)) for ref, row in watch.published.health.items()}
            watch = restarted(watch, [entity()], at(step * INTERVAL_S))
            watch.pulse(pulse(step * INTERVAL_S, cpu=usual * (1 + noise[step % len(noise)])))
            assert watch.published.health == published
    assert watch.published.alerts == {}


@given(st.lists(values, min_size=1, max_size=60), values, values)
def test_a_value_that_is_farther_away_is_never_less_unusual(past_values: list[float], one: float, other: float) -> None:
    past = Past()
    for each in past_values:
        past.learn(each, RESOLUTION, 60.0, is_found=False)
    low, high = sorted((one, other))
    assert past.spreads_above(low, RESOLUTION) <= past.spreads_above(high, RESOLUTION)


@given(st.lists(values, min_size=1, max_size=60), st.booleans())
def test_what_is_usual_stays_between_the_samples(past_values: list[float], is_found: bool) -> None:
    past = Past()
    for each in past_values:
        past.learn(each, RESOLUTION, 60.0, is_found=is_found)
    assert min(past_values) * 0.999 - 1e-9 <= past.usual(RESOLUTION) <= max(past_values) * 1.001 + 1e-9
