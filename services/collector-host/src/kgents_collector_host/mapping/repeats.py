"""Samples that say the same again and again → fewer of them, each of which stands for longer. Pure."""

from collections.abc import Iterable
from typing import Final

from msgspec import structs

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import Pulse

ALIKE: Final = 3
"""After so many samples alike a further one changes no verdict: none rests on more."""
POLLS: Final = 4
"""For how many polls each further one stands."""


class Repeats:
    """What was sampled of each entity last: of a program that sleeps, a sample is published each minute."""

    def __init__(self) -> None:
        self._last: dict[Ref, tuple[Pulse, int]] = {}  # → the sample, and how many there were alike

    def due(self, pulses: Iterable[Pulse]) -> list[Pulse]:
        """The samples of one poll that are to be published."""
        last, self._last = self._last, {}
        found = []
        for each in pulses:
            before, alike = last.get(each.ref, (each, 0))
            alike = alike + 1 if structs.replace(each, timestamp=before.timestamp) == before else 1
            self._last[each.ref] = each, alike
            if alike < ALIKE:
                found.append(each)
            elif (alike - ALIKE) % POLLS == 0:
                found.append(structs.replace(each, interval_s=POLLS * each.interval_s))
        return found
