"""Times of the week in a time zone: an instant → whether it is within. Pure.

The instant is converted into wall time and compared there; no wall time is ever converted into an instant, so that none
is ambiguous. In the night in which clocks go forward, a window within the missing hour does not occur; in the one in
which they go back, a window within the repeated hour occurs twice.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from kgents_shared.contract.section import Fault, Section

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MIN: Final = 24 * 60
_TIME: Final = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)\Z")


class WindowConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From one wall time to another, on some days of the week."""

    zone: str
    """A time zone by its name in the IANA database, such as `Europe/Berlin`. There is no default."""

    days: str = "mon-sun"
    """Days on which it begins: `mon-fri`, `sat,sun`."""

    begin: str = "00:00"
    """The wall time at which it begins."""

    end: str = "24:00"
    """The wall time at which it is over; before `begin`: on the next day."""

    def faults(self) -> Iterator[Fault]:
        if days_of(self.days) is None:
            advice = "try: mon-fri or sat,sun"
            yield Fault("days", f"days of {', '.join(DAYS)}", f'"{self.days}"', advice)
        for name in ("begin", "end"):
            if minutes_of(text := getattr(self, name)) is None:
                yield Fault(name, "a time from 00:00 to 24:00", f'"{text}"', 'try: "08:00", in quotes')
        if self.begin == self.end or (minutes_of(self.begin) == DAY_MIN and minutes_of(self.end) == 0):
            advice = 'for the whole day: begin "00:00", end "24:00"'
            yield Fault("end", "another time than begin", f'"{self.end}"', advice, beside=("begin",))

    def check(self) -> Iterator[Fault]:
        if self.zone not in available_timezones():
            near = {each.lower(): each for each in available_timezones()}.get(self.zone.lower())
            advice = f"did you mean {near}?" if near else "try: Europe/Berlin, or UTC"
            yield Fault("zone", "a time zone by its IANA name", f'"{self.zone}"', advice)


class MaintenanceConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A planned disruption that comes again: what matches is silenced within the window.

    Of a machine (`kind: node` or `host`), what is unwell because of it is silenced, too.
    """

    window: str = ""
    """The name of a window; empty: always."""

    match: dict[str, str | list[str]] = {}
    """As in a route. Empty: everything."""

    reason: str = ""
    """What is being done."""


@lru_cache(maxsize=256)
def days_of(text: str) -> frozenset[int] | None:
    """The days that a text such as `mon-wed,sun` names, Monday is 0; None if it names none, or something else."""
    found: set[int] = set()
    for part in text.lower().split(","):
        first, dash, last = (each.strip() for each in part.partition("-"))
        if first not in DAYS or (dash and last not in DAYS):
            return None
        at, until = DAYS.index(first), DAYS.index(last if dash else first)
        found |= {at, until}
        while at != until:
            found.add(at)
            at = (at + 1) % 7
    return frozenset(found)


@lru_cache(maxsize=1_024)
def minutes_of(text: str) -> int | None:
    """Minutes since midnight of `08:30`; 24:00 is the end of the day; None for anything else."""
    match = _TIME.match(text)
    minutes = int(match[1]) * 60 + int(match[2]) if match else DAY_MIN + 1
    return minutes if minutes <= DAY_MIN else None


def is_within(window: WindowConfig, now: datetime) -> bool:
    """Whether an instant is within a window, its begin included and its end not."""
    local = now.astimezone(_zone(window.zone))
    minute = local.hour * 60 + local.minute
    days, begin, end = days_of(window.days), minutes_of(window.begin), minutes_of(window.end)
    assert days is not None  # noqa: S101 - no window breaks its own rules
    assert begin is not None  # noqa: S101
    assert end is not None  # noqa: S101
    if begin < end:
        return local.weekday() in days and begin <= minute < end
    return (local.weekday() in days and minute >= begin) or ((local.weekday() - 1) % 7 in days and minute < end)


def oddities(window: WindowConfig, now: datetime, days: int = 400) -> list[str]:
    """The next days on which the window does not occur, or twice, because clocks are changed; as sentences."""
    found = []
    zone = _zone(window.zone)
    for day in range(days):
        begins = _beginnings(window, (now + timedelta(days=day)).astimezone(zone).date().isoformat())
        date = (now + timedelta(days=day)).astimezone(zone).date()
        if date.weekday() in (days_of(window.days) or ()) and begins != 1:
            found.append(f"{date}: {'does not occur' if not begins else 'occurs twice'}, clocks change")
    return found


def _beginnings(window: WindowConfig, date: str) -> int:
    """How often the window begins on a date."""
    zone = _zone(window.zone)
    at = datetime.fromisoformat(f"{date}T00:00").replace(tzinfo=zone)
    shift = at.replace(fold=0).utcoffset() != (at + timedelta(days=1)).utcoffset()
    return _counted(window, at) if shift else 1


def _counted(window: WindowConfig, midnight: datetime) -> int:
    """How many separate stretches of a date are within; what goes on from the day before does not count."""
    date, at = midnight.date(), midnight.astimezone(ZoneInfo("UTC"))
    begin, end = minutes_of(window.begin) or 0, minutes_of(window.end) or 0
    count, was_open = 0, False
    while (local := at.astimezone(midnight.tzinfo)).date() == date:
        minute = local.hour * 60 + local.minute
        is_open = begin <= minute < (end if begin < end else DAY_MIN)
        count += is_open and not was_open
        was_open = is_open
        at += timedelta(minutes=1)
    return count


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
