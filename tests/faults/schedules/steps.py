"""The kinds of steps, how often each is drawn, and where."""

import random
from typing import Final

from faults.schedules import nats_steps as nats
from faults.schedules import service_steps as service
from faults.schedules.run import Step

ANYWHERE: Final[dict[str, tuple[Step, int]]] = {
    "kill": (service.kill, 5),
    "restart": (service.restart, 3),
    "freeze": (service.freeze, 4),
    "link": (service.link, 6),
    "second": (service.second, 4),
    "source away": (service.source_away, 4),
    "away and gone": (service.away_and_gone, 2),
    "blind start": (service.blind_start, 3),
    "silence": (service.silence, 1),
    "nats kill": (nats.nats_kill, 3),
    "nats away": (nats.nats_away, 2),
    "nats freeze": (nats.nats_freeze, 3),
    "nats restart": (nats.nats_restart, 1),
    "purge": (nats.purge, 3),
    "limit": (nats.limit, 2),
    "re-make": (nats.remake, 2),
    "poison": (nats.poison, 4),
    "overwrite": (nats.overwrite, 2),
    "duplicate": (nats.duplicate, 2),
    "disk full": (nats.disk_full, 3),
}
"""Name → step, and how many times as often as the rarest it is drawn."""
ON_ONE: Final[dict[str, tuple[Step, int]]] = ANYWHERE | {
    "clock": (service.clock, 4),
    "roll back": (nats.roll_back, 3),
}
"""On one server."""
ON_THREE: Final[dict[str, tuple[Step, int]]] = ANYWHERE | {
    "isolate": (nats.isolate, 5),
    "step down": (nats.stepdown, 5),
}
"""On a cluster of three."""


def draw(dice: random.Random, nodes: int) -> list[str]:
    """The names of the steps of one schedule."""
    among = ON_ONE if nodes == 1 else ON_THREE
    return dice.choices(list(among), [weight for _, weight in among.values()], k=dice.randint(2, 5))


def step(name: str) -> Step:
    return (ON_ONE | ON_THREE)[name][0]
