"""Every check of Redis and Qdrant finds what it is for, and stays quiet otherwise."""

import pytest
from msgspec import UNSET

from kgents_health_scorer.checks import qdrant, redis
from kgents_health_scorer.checks.check import SampleCheck, StateCheck
from kgents_health_scorer.score import severity
from support.db_check_cases import PULSES, STATES, database

pytestmark = pytest.mark.unit

BY_ID = {each.id: each for each in (*redis.CHECKS, *redis.ABSOLUTE, *qdrant.CHECKS, *qdrant.ABSOLUTE)}


def finds(check_id: str, case: int) -> bool:
    check = BY_ID[check_id]
    if isinstance(check, StateCheck):
        return check.find(STATES[check_id][case]) is not None
    assert isinstance(check, SampleCheck)
    value = check.value(PULSES[check_id][case])
    assert isinstance(value, int | float)
    return severity(check, value) > 0


def test_every_check_has_a_failing_and_a_passing_case() -> None:
    assert BY_ID.keys() == PULSES.keys() | STATES.keys()


@pytest.mark.parametrize("check_id", BY_ID)
def test_check_finds_what_it_is_for_and_stays_quiet_otherwise(check_id: str) -> None:
    assert (finds(check_id, 0), finds(check_id, 1)) == (True, False)


def test_link_that_is_up_ends_the_finding_that_it_was_down() -> None:
    check = BY_ID["KG-335"]
    assert isinstance(check, SampleCheck)
    assert check.value(database({}, {"link_up": 1.0})) == 0


@pytest.mark.parametrize("check_id", ["KG-364", "KG-365"])
def test_hardly_any_requests_are_no_verdict(check_id: str) -> None:
    check = BY_ID[check_id]
    assert isinstance(check, SampleCheck)
    figures = {"qdrant_window_requests": 19.0, "qdrant_request_duration_seconds": 9.0}
    assert check.value(database({**figures, "qdrant_request_failure_ratio": 1.0})) is UNSET


def test_numbers_keep_to_their_range() -> None:
    for each in (*redis.CHECKS, *redis.ABSOLUTE):
        assert "KG-330" <= each.id <= "KG-359" or "KG-380" <= each.id <= "KG-399"
    assert all("KG-360" <= each.id <= "KG-379" for each in (*qdrant.CHECKS, *qdrant.ABSOLUTE))
