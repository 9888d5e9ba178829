"""Cron schedules, as the CronJob controller reads them: schedule and last run → when the next run is due. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

DAYS_MAX: Final = 5 * 366
"""Days searched: a schedule without a run within five years never runs."""

_MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


class Schedule(Struct, frozen=True):
    """The five fields."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    is_any_day: bool
    """Whether the day of the month or that of the week is not limited: then the other one decides alone."""

    def runs_on(self, day: datetime) -> bool:
        """Whether it runs on this day."""
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        is_day = in_month and in_week if self.is_any_day else in_month or in_week
        return is_day and day.month in self.months

    def runs_at(self, time: datetime) -> bool:
        """Whether it runs at this minute."""
        return self.runs_on(time) and time.hour in self.hours and time.minute in self.minutes


def next_run(schedule: str, zone: str, last: datetime) -> datetime | None:
    """When the run after `last` is due; None when that is not known: a schedule or zone of a newer API, or never.

    Without a zone the controller's own decides, which is taken for UTC.
    """
    try:
        parsed, local = parse(schedule), last.astimezone(ZoneInfo(zone) if zone else UTC)
    except (ValueError, KeyError, OSError):  # a zone that this machine does not know is a KeyError
        return None
    times = _wall_times(parsed, local.replace(tzinfo=None))
    # A time that the change to daylight saving skips does not exist: on the way there and back it becomes another one.
    due = (each.replace(tzinfo=local.tzinfo).astimezone(UTC) for each in times)
    return next((each for each in due if each > last and parsed.runs_at(each.astimezone(local.tzinfo))), None)


@lru_cache(maxsize=1_024)
def parse(schedule: str) -> Schedule:
    """The schedule.

    Raises:
        ValueError: it is none; `@every` among them, which counts from the controller's start.
    """
    fields = _MACROS.get(schedule.strip().lower(), schedule).split()
    if len(fields) != 5:
        raise ValueError(f"expected five fields, found {len(fields)}")
    minute, hour, day, month, weekday = fields
    return Schedule(
        tuple(sorted(_field(minute, 0, 59))),
        tuple(sorted(_field(hour, 0, 23))),
        frozenset(_field(day, 1, 31)),
        frozenset(_field(month, 1, 12, _MONTHS)),
        frozenset(each % 7 for each in _field(weekday, 0, 7, _DAYS)),
        _is_any(day) or _is_any(weekday),
    )


def _is_any(text: str) -> bool:
    """Whether a field limits nothing. `*/2` does."""
    return not {"*", "?", "*/1"}.isdisjoint(text.split(","))


def _field(text: str, least: int, most: int, names: tuple[str, ...] = ()) -> set[int]:
    """`*/15`, `1-5`, `mon,wed`, `10-50/20`."""
    found: set[int] = set()
    for part in text.lower().split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if first in ("*", "?"):
            begin, end = least, min(most, 6) if names == _DAYS else most
        else:
            begin = _value(first, least, names)
            end = _value(last, least, names) if dash else most if slash else begin
        every = int(step) if slash else 1
        if not (least <= begin <= end <= most and every > 0):
            raise ValueError(f"expected {least} to {most}, found {part}")
        found.update(range(begin, end + 1, every))
    return found


def _value(text: str, least: int, names: tuple[str, ...]) -> int:
    return names.index(text) + least if text in names else int(text)


def _wall_times(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """The times of a schedule by the clock on the wall, from the day of `after` on."""
    day = after.replace(hour=0, minute=0, second=0, microsecond=0)
    for _ in range(DAYS_MAX):
        if schedule.runs_on(day):
            yield from (day.replace(hour=hour, minute=minute) for hour in schedule.hours for minute in schedule.minutes)
        day += timedelta(days=1)
