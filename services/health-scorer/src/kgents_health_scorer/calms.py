"""By subject, what takes samples that say nothing new: message → here → `calm.py`; others go to `reducer.py`. Pure."""

from collections.abc import Iterable
from typing import Final

from kgents_health_scorer.calm import Calm
from kgents_health_scorer.debounce import LONG_AGO
from kgents_health_scorer.source import SKEW, time_of
from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract.pulse import Pulse

_HORIZON_NS: Final = 1_000_000_000
"""For how long the same bound of what is from the future is used."""


class Calms:
    """All of one scorer."""

    def __init__(self) -> None:
        self._by_subject: dict[str, Calm] = {}
        self._horizon = LONG_AGO
        self._horizon_ns = 0

    def add(self, calms: Iterable[Calm]) -> None:
        """Ask these, too."""
        for each in calms:
            self._by_subject[each.subject] = each

    def drop(self, calms: Iterable[Calm]) -> None:
        """Ask these no more."""
        for each in calms:
            self._by_subject.pop(each.subject, None)

    def close(self) -> None:
        """None of them takes anything more, until its source says again how it is."""
        for each in self._by_subject.values():
            each.is_open = False

    def take(self, pulse: Pulse, message: Delivery) -> bool:
        """Take a pulse that says nothing new; returns whether it did, else nothing has changed.

        Args:
            pulse: the pulse, which did not wait on its way.
            message: that had it; what is taken is a pulse of the subject of this.
        """
        calm = self._by_subject.get(message.subject)
        if calm is None or not calm.is_open:
            return False
        time_ns = message.time_ns
        if not 0 <= time_ns - self._horizon_ns < _HORIZON_NS:
            self._horizon, self._horizon_ns = time_of(time_ns) + SKEW, time_ns
        return pulse.timestamp <= self._horizon and calm.take(pulse, time_ns, message.seq)
