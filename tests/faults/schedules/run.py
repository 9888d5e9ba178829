"""One schedule on its way, and what its steps share: what they touch, poison, and find wrong by themselves."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from faults.schedules.raw import Reader, UnreadableError
from faults.schedules.site import Service, Site

T = TypeVar("T")


@dataclass
class Run:
    """One schedule on its way."""

    site: Site
    dice: random.Random
    reader: Reader
    log: Callable[[str], None]
    touched: set[str] = field(default_factory=set)
    """Names of the entities whose messages a step has damaged; `*`: any."""
    poisoned: dict[str, str] = field(default_factory=dict)
    """Subject → its signal, where a message lies that cannot be read."""
    has_lost_letters: bool = False
    """Whether a step took the stream away that holds the dead letters."""
    faults: list[str] = field(default_factory=list)
    """What a step itself found wrong."""
    counter: int = 0

    @property
    def short_s(self) -> float:
        return self.dice.uniform(0.1, 1.2)

    def any_service(self) -> Service:
        member = self.dice.choice(self.site.layout.members)
        return self.site.services[member.service, member.instance]


Step = Callable[[Run], Awaitable[str]]


async def changes(run: Run, *, nats_is_away: bool = False) -> None:
    """Between none and a few changes of what is observed."""
    for _ in range(run.dice.choice((0, 1, 2, 5))):
        run.log(f"  {await run.site.truth.change(run.dice)}{' (NATS away)' if nats_is_away else ''}")


async def attempt(awaited: Awaitable[T]) -> T | None:
    """The result, or None: a server may be away just now."""
    try:
        return await awaited
    except UnreadableError:
        return None
