"""NATS was away: no time passed for the scorer, and what collectors kept meanwhile is history."""

import pytest

from kgents_health_scorer.attested import SETTLING
from kgents_health_scorer.source import SILENT_AFTER_S
from support.health_inputs import INTERVAL_S, Watch, entity, pulse

LIMIT_S = INTERVAL_S + SILENT_AFTER_S
SILENT = "KG-006"
AWAY_S = 21.0
BACK_S = 600.0
WAS_HIGH = (0.99, 0.99, 0.99, 0.99)


@pytest.fixture
def watch() -> Watch:
    watch = Watch()
    watch.entity(entity())
    watch.memory(0.5, 0.5, 0.5, start_s=0)
    return watch


def late(watch: Watch, *ratios: float, stored_s: float) -> None:
    """Samples taken one interval apart from 30 s on, all stored at one moment."""
    for index, ratio in enumerate(ratios):
        taken_s = 30 + index * INTERVAL_S
        watch.pulse(pulse(taken_s, memory=ratio), delay_s=stored_s - taken_s)


def test_no_source_is_silent_for_an_outage_and_is_after_it(watch: Watch) -> None:
    watch.away(AWAY_S, BACK_S)
    for after_s in (0, SETTLING.total_seconds(), LIMIT_S - 1):
        assert watch.tick(BACK_S + after_s) == []
    watch.tick(BACK_S + LIMIT_S + 1)
    assert SILENT in watch.checks()


def test_a_source_that_was_silent_before_an_outage_still_is(watch: Watch) -> None:
    watch.tick(20 + LIMIT_S)
    assert SILENT in watch.checks()
    watch.away(20 + LIMIT_S + 1, BACK_S)
    assert watch.tick(BACK_S + 20) == []
    assert SILENT in watch.checks()


def test_two_outages_with_hardly_a_moment_in_between_are_one(watch: Watch) -> None:
    watch.away(AWAY_S, BACK_S)
    watch.away(BACK_S + 1, 2 * BACK_S)
    assert watch.tick(2 * BACK_S + LIMIT_S - 1) == []


def test_a_state_that_ends_during_an_outage_lasted_no_longer(watch: Watch) -> None:
    watch.entity(entity(status="pending", at_s=21), 21)
    before = watch.states()
    watch.away(25, BACK_S)
    assert watch.tick(BACK_S + 1) == []
    watch.entity(entity(status="running", at_s=BACK_S + 2), BACK_S + 2)
    watch.memory(0.5, start_s=BACK_S + 3)
    assert (watch.health().level, watch.states()) == ("healthy", before)


def test_samples_that_waited_raise_no_alert(watch: Watch) -> None:
    watch.away(AWAY_S, BACK_S)
    late(watch, *WAS_HIGH, stored_s=BACK_S)
    watch.memory(0.5, start_s=BACK_S)
    assert (watch.health().level, watch.states()) == ("healthy", {})


def test_samples_that_waited_end_no_alert(watch: Watch) -> None:
    watch.memory(*WAS_HIGH, start_s=30)
    before = watch.states()
    assert before == {"KG-101": "firing"}
    watch.away(100, BACK_S)
    for index in range(20):
        watch.pulse(pulse(100 + index * INTERVAL_S, memory=0.1), delay_s=BACK_S)
    assert watch.states() == before
    watch.memory(0.1, 0.1, 0.1, start_s=2 * BACK_S)
    assert watch.states() == {"KG-101": "resolved"}


def test_while_samples_that_waited_arrive_their_source_is_not_silent(watch: Watch) -> None:
    watch.away(AWAY_S, BACK_S)
    late(watch, 0.5, stored_s=BACK_S + LIMIT_S - 10)
    watch.tick(BACK_S + LIMIT_S + 10)
    assert SILENT not in watch.checks()


def test_a_sample_that_waited_for_less_than_an_interval_counts(watch: Watch) -> None:
    for at_s in (30, 40):
        watch.pulse(pulse(at_s, memory=0.99), delay_s=INTERVAL_S - 1)
    assert watch.states() == {"KG-101": "firing"}
