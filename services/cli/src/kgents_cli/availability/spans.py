"""Versions of one entity's health → spans of time, each in one state; and how they add up. Pure.

Times are whole microseconds since 1970, so that parts add up to their whole exactly.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import msgspec

State = Literal["healthy", "warning", "critical", "unknown", "planned", "absent"]
STATES: Final[tuple[State, ...]] = ("healthy", "warning", "critical", "unknown", "planned", "absent")

US_PER_S: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(time: datetime) -> int:
    """A moment as whole microseconds since 1970."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def moment_of(at: int) -> datetime:
    """The opposite of `microseconds`."""
    return _EPOCH + timedelta(microseconds=at)


class Window(msgspec.Struct, frozen=True):
    """A stretch of time, without its end."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """How long it is; never negative."""
        return max(self.end - self.start, 0)

    def common(self, other: "Window") -> "Window | None":
        """What both cover; None: nothing."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Window(start, end) if start < end else None


class Level(msgspec.Struct, frozen=True):
    """One version of an entity's health."""

    at: int
    """When it was stored."""
    level: str | None
    """None: the entity was removed."""
    since: int | None = None
    """Since when it had this level, as the message says."""


class Span(msgspec.Struct, frozen=True):
    """A stretch of time in one state."""

    window: Window
    state: State


class Times(msgspec.Struct, frozen=True):
    """Microseconds in each state."""

    healthy: int = 0
    warning: int = 0
    critical: int = 0
    unknown: int = 0
    planned: int = 0
    absent: int = 0

    def __add__(self, other: "Times") -> "Times":
        return Times(*(getattr(self, each) + getattr(other, each) for each in STATES))

    @property
    def total(self) -> int:
        """All of it."""
        return sum(getattr(self, each) for each in STATES)

    @property
    def observed(self) -> int:
        """The time that availability is a share of: neither unknown nor planned, and the entity existed."""
        return self.healthy + self.warning + self.critical

    @property
    def existed(self) -> int:
        """The time in which the entity existed, as far as is known."""
        return self.total - self.absent

    @property
    def available(self) -> float | None:
        """The share of the observed time that was not critical, 0..1; None: nothing was observed."""
        return (self.healthy + self.warning) / self.observed if self.observed else None


def spans(levels: Sequence[Level], window: Window, *, known_from: int) -> list[Span]:
    """The states of an entity, end to end over the whole window.

    Args:
        levels: versions of its health, oldest first, also from before the window.
        window: the time that is asked about.
        known_from: before that, no version does not mean that there was no entity.
    """
    found = _merged(each for each in _pieces(levels, known_from) if each.window.length)
    within = ((each.window.common(window), each.state) for each in found)
    return [Span(part, state) for part, state in within if part is not None]


def overlaid(base: Iterable[Span], windows: Iterable[Window], state: State, *, over: Iterable[State]) -> list[Span]:
    """The spans with another state where one of some windows covers them; only those whose state is among `over`."""
    joined, replaced = union(windows), frozenset(over)
    found: list[Span] = []
    for each in base:
        if each.state not in replaced:
            found.append(each)
            continue
        at = each.window.start
        for window in joined:
            if (part := each.window.common(window)) is None:
                continue
            found += [Span(Window(at, part.start), each.state), Span(part, state)]
            at = part.end
        found.append(Span(Window(at, each.window.end), each.state))
    return _merged(each for each in found if each.window.length)


def times(found: Iterable[Span]) -> Times:
    """How much time is in each state."""
    sums = dict.fromkeys(STATES, 0)
    for each in found:
        sums[each.state] += each.window.length
    return Times(**sums)


def union(windows: Iterable[Window]) -> list[Window]:
    """The time that any of the windows covers, as windows that do not touch."""
    found: list[Window] = []
    for each in sorted((each for each in windows if each.length), key=lambda each: each.start):
        if found and each.start <= found[-1].end:
            found[-1] = Window(found[-1].start, max(found[-1].end, each.end))
        else:
            found.append(each)
    return found


def _pieces(levels: Sequence[Level], known_from: int) -> Iterator[Span]:
    """From the beginning of time to its end."""
    start, end = -(2**62), 2**62
    if not levels:
        yield Span(Window(start, known_from), "unknown")
        yield Span(Window(known_from, end), "absent")
        return
    first = levels[0]
    # Its level says since when it lasts: that reaches back further than the message itself.
    begins = min(first.since, first.at) if first.since is not None and first.level is not None else first.at
    if first.level is None:  # it was there until then, and nothing more is known of it
        yield Span(Window(start, begins), "unknown")
    else:
        yield Span(Window(start, min(known_from, begins)), "unknown")
        yield Span(Window(min(known_from, begins), begins), "absent")
    at = begins
    for place, each in enumerate(levels):
        until = levels[place + 1].at if place + 1 < len(levels) else end
        yield Span(Window(at, until), _state(each.level))
        at = until


def _state(level: str | None) -> State:
    if level is None:
        return "absent"
    return level if level in ("healthy", "warning", "critical") else "unknown"  # type: ignore[return-value]  # asked here


def _merged(found: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for each in found:
        if merged and merged[-1].state == each.state and merged[-1].window.end == each.window.start:
            merged[-1] = Span(Window(merged[-1].window.start, each.window.end), each.state)
        else:
            merged.append(each)
    return merged
