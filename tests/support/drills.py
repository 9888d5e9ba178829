"""Drills: what breaks → the finding, the time until it is found, and until it is gone, as a README states them.

Polls are 10 s apart in virtual time, and each drill is set up so that it takes as long as it can: so the times are the
longest ones with the default intervals.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from support.db_polls import INTERVAL_S, Polled, Polls

POLLS_MAX: Final = 60
README: Final = Path("services/collector-db/README.md")

Act = Callable[[], Awaitable[object]]


async def nothing() -> None:
    """What a drill does where there is nothing to do."""


class Drill(Struct, frozen=True, kw_only=True):
    """One fault that was set up on real servers."""

    polls: Polls
    """Of the server that has the finding."""
    poll: Callable[[], Awaitable[Polled]] | None = None
    """Instead of `polls.poll`: what else happens at a poll, or which tiers it reads."""
    breaks: Act
    """Returns once the server shows the fault."""
    lasts: Act = nothing
    """Before each poll while it is broken: what clients do then."""
    repairs: Act

    async def next(self) -> Polled:
        """The next poll."""
        return await (self.poll or self.polls.poll)()

    async def until(self, check: str, *, is_there: bool, before: Act = nothing) -> float:
        """Poll until the finding is there, or gone; returns how long that took."""
        for count in range(1, POLLS_MAX):
            await before()
            found = await self.next()
            if (check in found.checks) == is_there:
                return count * INTERVAL_S
        raise AssertionError(f"expected {check} {'found' if is_there else 'gone'}, found {found.health.text}")


class Expected(Struct, frozen=True):
    """One line of the README's table."""

    title: str
    set_up: Callable[[Any], Awaitable[Drill]]
    check: str
    detected_s: int
    cleared_s: int

    @property
    def id(self) -> str:
        """Of its test."""
        return f"{self.set_up.__name__}-{self.check}"

    @property
    def line(self) -> str:
        """As the README has it."""
        return f"| {self.title} | {self.check} | {self.detected_s} s | {self.cleared_s} s |"


async def perform(drill: Drill, check: str, *, settled: int = 4) -> tuple[float, float]:
    """The seconds until the finding is there, and until it is gone; before and afterwards all is healthy."""
    for _ in range(settled):
        before = await drill.next()
    assert before.health.level == "healthy", before.health.text
    await drill.breaks()
    detected_s = await drill.until(check, is_there=True, before=drill.lasts)
    await drill.repairs()
    cleared_s = await drill.until(check, is_there=False)
    for _ in range(settled):
        after = await drill.next()
    assert after.health.level == "healthy", after.health.text
    return detected_s, cleared_s
