"""`10m`, `-10m`, `2026-11-21T09:00:00Z` → seconds, or a moment. Pure."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_UNIT_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def duration_s(text: str) -> float:
    """The seconds of a duration.

    Raises:
        ValueError: it is none.
    """
    if (hit := _DURATION.fullmatch(text)) is None:
        raise ValueError(f"expected a duration such as 30s, 10m, 2h or 1d, found {text!r}")
    return float(hit[1]) * _UNIT_S[hit[2]]


def moment(text: str, now: datetime) -> datetime:
    """A moment in the past, given as RFC 3339 or as so long ago (`-10m`).

    Raises:
        ValueError: it is none, or it is yet to come.
    """
    try:
        return _moment(text, now)
    except OverflowError:
        raise ValueError(f"expected a time since the year 1, found {text!r}") from None


def _moment(text: str, now: datetime) -> datetime:
    if text.startswith("-"):
        return now - timedelta(seconds=duration_s(text[1:]))
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"expected a time such as 2026-11-21T09:00:00Z, or -10m, found {text!r}") from None
    if then.tzinfo is None:
        raise ValueError(f"expected a time with its zone, such as {text}Z, found none in {text!r}")
    if then > now:
        raise ValueError(f"expected a time that has been, found {text!r}")
    return then.astimezone(UTC)


def span(seconds: float) -> str:
    """A duration in its largest unit: `42s`, `12m`, `3h`, `9d`."""
    size, unit = next(((size, unit) for unit, size in reversed(_UNIT_S.items()) if seconds >= size), (1, "s"))
    return f"{max(seconds, 0) // size:.0f}{unit}"


def local_time(time: datetime) -> str:
    """As people read it, in their own time zone."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
