"""Times of the week in time zones, in the nights in which clocks change too."""

from datetime import UTC, datetime, timedelta

import pytest

from kgents_alert_notifier.routing.window import WindowConfig, days_of, is_within, minutes_of, oddities
from kgents_shared.contract.section import InvalidSectionError

BERLIN = "Europe/Berlin"
MINUTE = timedelta(minutes=1)


def minutes(window: WindowConfig, begin: datetime, hours: int) -> int:
    """How many minutes of some hours are within."""
    return sum(is_within(window, begin + number * MINUTE) for number in range(hours * 60))


@pytest.mark.parametrize(
    ("zone", "begin", "end", "night", "expected"),
    [
        (BERLIN, "01:00", "04:00", datetime(2026, 6, 10, 20, tzinfo=UTC), 180),
        (BERLIN, "01:00", "04:00", datetime(2026, 3, 28, 20, tzinfo=UTC), 120),  # clocks go forward
        (BERLIN, "01:00", "04:00", datetime(2026, 10, 24, 20, tzinfo=UTC), 240),  # and back
        (BERLIN, "02:10", "02:40", datetime(2026, 3, 28, 20, tzinfo=UTC), 0),  # within the missing hour
        (BERLIN, "02:10", "02:40", datetime(2026, 10, 24, 20, tzinfo=UTC), 60),  # within the repeated one
        (BERLIN, "22:00", "06:00", datetime(2026, 10, 24, 12, tzinfo=UTC), 540),
        ("Australia/Lord_Howe", "01:00", "03:00", datetime(2026, 4, 4, 10, tzinfo=UTC), 150),  # half an hour back
        ("Australia/Lord_Howe", "01:00", "03:00", datetime(2026, 10, 3, 10, tzinfo=UTC), 90),
        ("Asia/Kolkata", "01:00", "04:00", datetime(2026, 3, 28, 15, tzinfo=UTC), 180),
        ("UTC", "00:00", "24:00", datetime(2026, 12, 31, 12, tzinfo=UTC), 1_440),
    ],
)
def test_a_window_is_as_long_as_clocks_make_it(zone: str, begin: str, end: str, night: datetime, expected: int) -> None:
    assert minutes(WindowConfig(zone=zone, begin=begin, end=end), night, 24) == expected


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    window = WindowConfig(zone="UTC", days="fri", begin="22:00", end="06:00")
    friday = datetime(2026, 11, 20, tzinfo=UTC)
    assert [is_within(window, friday + timedelta(hours=each)) for each in (5, 21, 22, 29, 30)] == [
        False, False, True, True, False
    ]  # fmt: skip


def test_a_window_over_the_end_of_the_year_goes_on() -> None:
    window = WindowConfig(zone=BERLIN, begin="22:00", end="06:00")
    assert minutes(window, datetime(2026, 12, 31, 12, tzinfo=UTC), 24) == 480


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon-fri", {0, 1, 2, 3, 4}),
        ("sat,sun", {5, 6}),
        ("fri-mon", {4, 5, 6, 0}),
        ("mon-mon", {0}),
        ("Mon - Wed, sun", {0, 1, 2, 6}),
        ("", None),
        ("monday", None),
        ("mon-", None),
    ],
)
def test_days_are_ranges_and_lists(text: str, days: set[int] | None) -> None:
    assert days_of(text) == days


@pytest.mark.parametrize(
    ("text", "expected"),
    [("00:00", 0), ("8:05", 485), ("24:00", 1_440), ("24:01", None), ("7", None), ("08:60", None), ("", None)],
)
def test_a_time_of_day_is_hours_and_minutes(text: str, expected: int | None) -> None:
    assert minutes_of(text) == expected


def test_what_clocks_do_to_a_window_is_known_before() -> None:
    window = WindowConfig(zone=BERLIN, begin="02:10", end="02:40")
    assert oddities(window, datetime(2026, 1, 1, tzinfo=UTC)) == [
        "2026-03-29: does not occur, clocks change",
        "2026-10-25: occurs twice, clocks change",
    ]
    assert oddities(WindowConfig(zone=BERLIN, begin="08:00", end="18:00"), datetime(2026, 1, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize(
    ("zone", "days", "begin", "end", "expected"),
    [
        (BERLIN, "mon-sun", "00:00", "24:00", []),
        (BERLIN, "sat,sun", "00:00", "24:00", []),  # it goes on from saturday, and occurs on sunday all the same
        (BERLIN, "mon-sun", "22:00", "06:00", []),
        (BERLIN, "mon-fri", "02:10", "02:40", []),  # clocks change on sundays
        (BERLIN, "sun", "02:30", "04:00", ["2026-10-25: occurs twice"]),  # open, an hour back, and open again
        ("Africa/Cairo", "mon-sun", "23:30", "00:30", ["2026-10-29: occurs twice"]),  # back at midnight
        ("Africa/Cairo", "mon-sun", "00:10", "00:50", ["2026-04-24: does not occur"]),  # forward at midnight
        ("Australia/Lord_Howe", "mon-sun", "02:05", "02:25", ["2026-10-04: does not occur"]),
        ("UTC", "mon-sun", "02:10", "02:40", []),
    ],
)
def test_only_what_clocks_change_is_remarked(zone: str, days: str, begin: str, end: str, expected: list[str]) -> None:
    window = WindowConfig(zone=zone, days=days, begin=begin, end=end)
    found = oddities(window, datetime(2026, 1, 15, tzinfo=UTC), 340)
    assert [each.removesuffix(", clocks change") for each in found] == expected


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"begin": "08:00", "end": "08:00"}, "end: expected another time than begin"),
        ({"begin": "24:00", "end": "00:00"}, "end: expected another time than begin"),
        ({"days": "mo-fr"}, "days: expected days of mon, tue"),
        ({"begin": "8"}, "begin: expected a time from 00:00 to 24:00"),
    ],
)
def test_a_window_that_never_occurs_is_refused(fields: dict[str, str], fault: str) -> None:
    with pytest.raises(InvalidSectionError, match=fault):
        WindowConfig(zone="UTC", **fields)


@pytest.mark.parametrize(
    ("zone", "advice"), [("europe/berlin", "did you mean Europe/Berlin"), ("", "try"), ("../etc/passwd", "try")]
)
def test_an_unknown_zone_is_a_fault_and_never_utc(zone: str, advice: str) -> None:
    (fault,) = WindowConfig(zone=zone).check()
    assert advice in fault.advice
