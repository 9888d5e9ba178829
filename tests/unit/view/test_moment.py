from datetime import UTC, datetime, timedelta

import pytest

from kgents_shared.view.moment import duration_s, moment, span
from support.build import NOW


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("1.5m", 90), ("2h", 7_200), ("1d", 86_400)])
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "10 m", "-10m", "1w", "1m30s"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 30s"):
        duration_s(text)


def test_a_moment_is_so_long_ago_or_rfc_3339() -> None:
    assert moment("-10m", NOW) == NOW - timedelta(minutes=10)
    assert moment("2026-11-21T09:00:00+01:00", NOW) == datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("noon", "expected a time such as"),
        ("-10", "expected a duration"),
        ("-9999999d", "expected a time since the year 1"),
        (f"-{9**30}d", "expected a time since the year 1"),
        (f"-{10**400}s", "expected a time since the year 1"),
        ("0001-01-01T00:00:00+23:59", "expected a time since the year 1"),
        ("2026-11-21T09:00:00", "with its zone"),
        ("2026-11-21T09:00:01Z", "that has been"),
    ],
)
def test_what_is_no_moment_of_the_past_says_why(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        moment(text, NOW)


def test_times_are_written_in_utc() -> None:
    assert moment("2026-11-21T09:00:00+01:00", NOW).isoformat() == "2026-11-21T08:00:00+00:00"


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m"), (7_199, "1h"), (1e6, "11d")]
)
def test_a_span_is_in_its_largest_unit(seconds: float, text: str) -> None:
    assert span(seconds) == text
