"""Samples of figures → what is kept of a minute: count, extremes, sum, last value, and how much a counter grew. Pure.

What is folded at once is a part. Parts of the same minute may be added up in any order, so a sample that came late is a
part of its own, and none that is stored ever changes.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from kgents_shared.contract import traffic
from kgents_shared.contract.codec import PULSE
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.figures import known_figures
from kgents_shared.contract.pulse import TrafficPulse
from kgents_shared.contract.vocabulary.figures import COUNTERS

MINUTE: Final = timedelta(minutes=1)
NAME_MAX: Final = 200
"""Characters of the name of a figure; a longer one is cut."""
VALUE_MAX: Final = 1e100
"""What is beyond was not measured: it counts as not known. PostgreSQL refuses sums that no float holds."""
NUL: Final = ("\x00", "\N{SYMBOL FOR NULL}")
"""What no text of PostgreSQL may hold, and how it is written instead."""


class Tally(msgspec.Struct, gc=False):
    """What one figure was in one part."""

    n: int = 0
    """Numbers."""
    nulls: int = 0
    """How often it applied and was not known: that is no zero."""
    min: float | None = None
    max: float | None = None
    sum: float | None = None
    last: float | None = None
    """The last number."""
    increase: float | None = None
    """How much a counter grew since the sample before each of these; None: it is none, or none came before."""

    def add(self, value: float | None) -> None:
        """One more sample."""
        if value is None:
            self.nulls += 1
            return
        self.n += 1
        self.min = value if self.min is None else min(self.min, value)
        self.max = value if self.max is None else max(self.max, value)
        self.sum = value if self.sum is None else self.sum + value
        self.last = value


class Part(msgspec.Struct):
    """What one entity's source reported for one minute, as far as it was read at once."""

    subject: str
    at: datetime
    """When the minute begins."""
    last_at: datetime
    """When the last sample was measured, as far as its stream knows."""
    figures: dict[str, Tally]


class Carried(msgspec.Struct, gc=False):
    """The last number of a counter, from which it grows."""

    at: datetime
    value: float


Carries = dict[tuple[str, str], Carried]
"""Subject and figure → the last number."""


class Fold:
    """The samples of some messages."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, datetime], Part] = {}
        self.samples = 0
        """How many figures were folded."""

    def take(self, subject: str, at: datetime, payload: bytes, carries: Carries) -> bool:
        """One message, measured at about that time; returns whether it could be read."""
        try:
            pulse = PULSE.decode(payload, subject=subject)
        except MalformedMessageError:
            return False
        repeated = pulse.read_at.keys()  # older than the pulse, and no new sample
        self.add(
            subject, at, {name: each for name, each in known_figures(pulse).items() if name not in repeated}, carries
        )
        if isinstance(pulse, TrafficPulse):
            for name, figures in traffic.figures_of(subject, pulse):
                self.add(name, at, figures, carries)
        return True

    def add(self, subject: str, at: datetime, figures: Mapping[str, float | None], carries: Carries) -> None:
        """Figures that were measured at a time."""
        minute = at.replace(second=0, microsecond=0)
        if (part := self._parts.get((subject, minute))) is None:
            part = self._parts[subject, minute] = Part(subject, minute, at, {})
        part.last_at = max(part.last_at, at)
        for given, stated in figures.items():
            name = given.replace(*NUL)[:NAME_MAX]
            value = stated if stated is not None and abs(stated) <= VALUE_MAX else None
            if (tally := part.figures.get(name)) is None:
                tally = part.figures[name] = Tally()
            tally.add(value)
            if value is not None and name in COUNTERS:
                _grow(tally, (subject, name), at, value, carries)
        self.samples += len(figures)

    def parts(self) -> list[Part]:
        """What there is of each minute."""
        return list(self._parts.values())


def _grow(tally: Tally, key: tuple[str, str], at: datetime, value: float, carries: Carries) -> None:
    before = carries.get(key)
    if before is not None and at < before.at:
        return  # it came late: what followed it has been counted from what preceded it
    if before is not None:
        # A counter that is smaller than before began again at zero.
        grown = value - before.value if value >= before.value else value
        tally.increase = grown if tally.increase is None else tally.increase + grown
    carries[key] = Carried(at, value)


def subjects_of(parts: Iterable[Part]) -> set[str]:
    """Whose they are."""
    return {each.subject for each in parts}
