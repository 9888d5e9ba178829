"""When what is done every few seconds has its turn."""

import time

import pytest

from kgents_shared.bus import turns
from kgents_shared.bus.turns import TURN_S, at_least_a_turn_s, until_turn_s


@pytest.mark.parametrize("begun_s", [0.0, 0.02, 1.4, 2.5, 2.9, 2.99])
def test_all_that_waits_for_a_few_seconds_wakes_at_one_of_the_same_moments(
    begun_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "_BEGAN_S", 100.0)
    monkeypatch.setattr(time, "monotonic", lambda: 100.0 + begun_s)
    for pause_s in (3.0, 5.0, 10.0, 15.0, 30.0):
        within_s, after_s = until_turn_s(pause_s), until_turn_s(pause_s, or_later=True)
        assert pause_s - TURN_S <= within_s <= pause_s + 0.1, "never late by more than a timer is"
        assert pause_s - 0.1 <= after_s <= pause_s + TURN_S
        for each in (within_s, after_s):
            assert (begun_s + each) % TURN_S == pytest.approx(0.0, abs=1e-6) or (begun_s + each) % TURN_S > 2.999


def test_what_wakes_at_its_turn_waits_for_all_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_BEGAN_S", 100.0)
    for early_s in (-0.001, 0.0, 0.001):  # timers fire a moment early or late
        monkeypatch.setattr(time, "monotonic", lambda at=106.0 + early_s: at)
        assert until_turn_s(3.0) == pytest.approx(3.0, abs=0.01)
        assert until_turn_s(15.0) == pytest.approx(15.0, abs=0.01)
        assert until_turn_s(5.0, or_later=True) == pytest.approx(6.0, abs=0.01)


def test_what_is_shorter_than_a_turn_is_not_moved() -> None:
    assert (until_turn_s(0.0), until_turn_s(2.0), until_turn_s(1.0, or_later=True)) == (0.0, 2.0, 1.0)


def test_longer_turns_last_as_long_as_their_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_BEGAN_S", 100.0)
    monkeypatch.setattr(time, "monotonic", lambda: 110.001)
    assert at_least_a_turn_s(3.0) == 3.0
    with turns.longer(5.0):
        assert at_least_a_turn_s(3.0) == 5.0
        assert at_least_a_turn_s(7.0) == 7.0
        assert until_turn_s(5.0, or_later=True) == pytest.approx(5.0, abs=0.01)
        assert until_turn_s(15.0) == pytest.approx(15.0, abs=0.01)
        assert until_turn_s(3.0) == 3.0
    assert at_least_a_turn_s(3.0) == 3.0
    assert until_turn_s(3.0) == pytest.approx(1.999, abs=0.01)
