"""What is done to the shop while it is recorded: faults, and what only resembles one. Seeded → `record`.

The services are those of `support.otel_shop`, the databases real servers. What is done is drawn from a wide range, so
that some of it is hard to see: a tenth of the requests that fail, an answer that takes 40 ms longer.
"""

import random
from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct

Act = Literal["set", "kill", "pause", "replace", "query"]

FAULTS: Final = ("cpu", "memory", "delay", "network", "errors", "down")
LOOK_ALIKES: Final = ("deploy", "peak", "batch")
KINDS: Final = (*FAULTS, *LOOK_ALIKES)
EACH: Final = 30
"""So many of each are recorded at most."""
LOADS: Final = (10.0, 15.0, 20.0)
"""Requests a second of the users."""
SERVICES: Final = ("frontend", "catalog", "cart", "prices")
CALLERS: Final = ("frontend", "catalog", "cart")
DATABASES: Final = ("postgres", "redis")


class Injected(Struct, frozen=True):
    """One fault, or what resembles one."""

    kind: str
    service: str
    """Where: a service or a database."""
    act: Act
    setting: str = ""
    value: float = 0.0

    @property
    def is_fault(self) -> bool:
        return self.kind in FAULTS

    def __str__(self) -> str:
        what = f" {self.setting}={self.value:.3g}" if self.setting else f" ({self.act})"
        return f"{self.kind} in {self.service}{what}"


def plan(seed: int) -> Iterator[tuple[Injected, float]]:
    """What is recorded, in this order, each with the load meanwhile: one of each kind after the other, in any order."""
    rng = random.Random(seed)
    for place in range(EACH):
        drawn = [_drawn(kind, place, rng) for kind in KINDS]
        rng.shuffle(drawn)
        for each in drawn:
            yield each, rng.choice(LOADS)


def _drawn(kind: str, place: int, rng: random.Random) -> Injected:
    service, caller = SERVICES[place % len(SERVICES)], CALLERS[place % len(CALLERS)]
    down: Act = "pause" if place % 2 else "kill"
    busy = Injected(kind, service, "set", "cpu", rng.uniform(0.25, 0.45))
    reads = Injected(kind, "postgres", "query", "share", rng.uniform(0.2, 0.5))
    drawn = {
        "cpu": Injected(kind, service, "set", "cpu", rng.uniform(0.7, 1.0)),
        "memory": Injected(kind, service, "set", "memory", rng.uniform(0.9, 1.0)),
        "delay": Injected(kind, service, "set", "delay_ms", 10 ** rng.uniform(1.6, 2.6)),
        "network": Injected(kind, caller, "set", "way_ms", 10 ** rng.uniform(1.3, 2.3)),
        "errors": Injected(kind, service, "set", "errors", 10 ** rng.uniform(-1.0, -0.05)),
        "down": Injected(kind, (*DATABASES, "catalog", "prices")[place % 4], down),
        "deploy": Injected(kind, service, "replace"),
        "peak": Injected(kind, "frontend", "set", "requests_per_s", rng.uniform(1.7, 2.5)),
        "batch": busy if place % 2 else reads,
    }
    return drawn[kind]
