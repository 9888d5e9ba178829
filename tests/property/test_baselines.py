"""Laws of what is usual: nothing is found before it is known, whatever comes; no restart makes an alert."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgents_health_scorer.baseline import LEARNT_S, Past
from kgents_health_scorer.traffic import Minute
from kgents_shared.contract.codec import HEALTH, encode
from kgents_shared.contract.pulse import EdgeSample, Inbound, TrafficPulse
from support.health_inputs import INTERVAL_S, Watch, at, entity, pulse
from support.restarted import restarted
from support.traffic_inputs import Shop, edge, histogram, served, traffic

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
        past.learn(each, RESOLUTION, 60.0)
    low, high = sorted((one, other))
    assert past.spreads_above(low, RESOLUTION) <= past.spreads_above(high, RESOLUTION)


@given(st.lists(values, min_size=1, max_size=60), st.booleans())
def test_what_is_usual_stays_between_the_samples(past_values: list[float], is_found: bool) -> None:
    past = Past()
    for each in past_values:
        past.learn(each, RESOLUTION, 60.0, adopted_s=1e6 if is_found else None)
    assert min(past_values) * 0.999 - 1e-9 <= past.usual(RESOLUTION) <= max(past_values) * 1.001 + 1e-9


calls = st.lists(st.tuples(st.integers(0, 5), st.sampled_from("ab"), st.integers(1, 900)), min_size=1, max_size=40)


@given(calls)
def test_a_minute_is_the_same_however_it_is_divided(made: list[tuple[int, str, int]]) -> None:
    """Calls in six windows of 10 s, and all of them in one of 60 s: the same sample, in whatever window they were."""
    divided, whole = Minute(), Minute()
    sample = None
    for window in range(6):
        now = [(peer, latency) for of, peer, latency in made if of == window]
        sample = divided.add(window_of(now, 10.0 * (window + 1), 10.0), 60.0)
    once = whole.add(window_of([(peer, latency) for _, peer, latency in made], 60.0, 60.0), 60.0)
    assert sample is not None
    assert once is not None
    assert {each.peer: each for each in sample.edges} == {each.peer: each for each in once.edges}
    assert (sample.inbound, sample.interval_s) == (once.inbound, once.interval_s)


def window_of(made: list[tuple[str, int]], end_s: float, interval_s: float) -> TrafficPulse:
    edges = []
    for peer in sorted({peer for peer, _ in made}):
        latencies = [float(latency) for of, latency in made if of == peer]
        n = len(latencies)
        edges.append(EdgeSample(peer=peer, kind="http", n=n, spans=n, client_ms=histogram(*latencies)))
    every = histogram(*(float(latency) for _, latency in made))
    inbound = Inbound(n=len(made), spans=len(made), latency_ms=every)
    return traffic(end_s, *edges, inbound=inbound, interval_s=interval_s)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 4000), st.integers(0, 30)), max_size=14))
def test_before_it_is_known_no_latency_is_unusual(minutes: list[tuple[int, int, int]]) -> None:
    shop = Shop()
    for n, latency, gap in minutes:
        found = shop.minute(edge(n=n, client=float(latency + gap), server=float(latency)), inbound=served(n))
        assert found == []
