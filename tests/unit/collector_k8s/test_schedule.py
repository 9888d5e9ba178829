"""When the next run of a CronJob is due, as the CronJob controller would decide it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgents_collector_k8s.mapping.schedule import next_run, parse

pytestmark = pytest.mark.unit


def time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "zone", "last", "due"),
    [
        ("*/5 * * * *", "", "2026-01-01 00:00", "2026-01-01 00:05"),
        ("*/5 * * * *", "", "2026-01-01 00:59", "2026-01-01 01:00"),
        ("0 4 * * *", "", "2026-01-01 04:00", "2026-01-02 04:00"),
        ("0 4 * * *", "Europe/Berlin", "2026-07-01 02:00", "2026-07-02 02:00"),
        ("0 4 * * *", "Europe/Berlin", "2026-01-01 03:00", "2026-01-02 03:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28 01:30", "2026-03-30 00:30"),  # no such time on the 29th
        ("30 2 * * *", "Europe/Berlin", "2026-10-24 00:30", "2026-10-25 00:30"),  # twice on the 25th
        ("0 0 31 * *", "", "2026-01-31 00:00", "2026-03-31 00:00"),
        ("0 0 13 * 5", "", "2026-01-01 00:00", "2026-01-02 00:00"),  # the 13th, and every Friday
        ("0 0 * * 7", "", "2026-01-01 00:00", "2026-01-04 00:00"),
        ("0 0 * * mon-fri", "", "2026-01-02 00:00", "2026-01-05 00:00"),
        ("0 9-17/4 * JAN,jul ?", "", "2026-01-31 17:00", "2026-07-01 09:00"),
        ("5/20 * * * *", "", "2026-01-01 00:05", "2026-01-01 00:25"),
        ("0 0 29 2 *", "", "2026-03-01 00:00", "2028-02-29 00:00"),
        ("@hourly", "", "2026-01-01 00:30", "2026-01-01 01:00"),
        ("@weekly", "", "2026-01-01 00:00", "2026-01-04 00:00"),
    ],
)
def test_the_next_run_is_due(schedule: str, zone: str, last: str, due: str) -> None:
    assert next_run(schedule, zone, time(last)) == time(due)


@pytest.mark.parametrize(
    ("schedule", "zone"),
    [
        ("", ""),
        ("0 4 * *", ""),
        ("60 4 * * *", ""),
        ("0 4 0 * *", ""),
        ("0 5-4 * * *", ""),
        ("*/0 * * * *", ""),
        ("a * * * *", ""),
        ("0 0 30 2 *", ""),
        ("@every 1h", ""),
        ("0 4 * * *", "Nowhere/Land"),
        ("0 4 * * *", "../etc/passwd"),
    ],
)
def test_a_run_that_is_not_known_is_not_due(schedule: str, zone: str) -> None:
    assert next_run(schedule, zone, time("2026-01-01 00:00")) is None


field = st.sampled_from(["*", "*/7", "3", "1,5", "2-6/2"])


@given(st.tuples(field, field, field, field, field), st.integers(0, 10 * 365 * 86_400))
def test_no_minute_before_the_next_run_is_one_of_the_schedule(fields: tuple[str, ...], since_s: int) -> None:
    schedule, since = " ".join(fields), time("2020-01-01 00:00") + timedelta(seconds=since_s)
    due = next_run(schedule, "", since)
    assert due is not None
    assert parse(schedule).runs_at(due)
    minute = since.replace(second=0, microsecond=0) + timedelta(minutes=1)
    for _ in range(2_000):
        if minute >= due:
            break
        assert not parse(schedule).runs_at(minute)
        minute += timedelta(minutes=1)
