"""How long a sample was on its way over the link of an edge: arrival and its own time → its delay. Pure.

A hub stores what it copies with the time of the arrival, so what came in after a cut would seem to be of now. What a
sample itself says is the time of its sender's clock, which may differ from the server's: the smallest difference of
the last minutes is taken for that, and what is beyond it for the delay.
"""

from typing import Final

_NS_PER_S: Final = 1_000_000_000
MINUTES: Final = 3
"""Minutes with samples, by their arrival, of which the smallest difference counts. A backlog that takes longer to
arrive counts as if it were of now towards its end."""


class Crossing:
    """The samples of one cluster, in the order of their arrival."""

    def __init__(self) -> None:
        self._minute = 0
        self._lowest: list[int] = [0]  # at first clocks count as equal: what comes first may be a backlog

    def delay_s(self, arrived_ns: int, sampled_ns: int) -> float:
        """How long a sample was on its way."""
        offset_ns = arrived_ns - sampled_ns
        if (minute := arrived_ns // (60 * _NS_PER_S)) != self._minute:
            self._minute = minute
            self._lowest = [*self._lowest[1 - MINUTES :], offset_ns]
        self._lowest[-1] = min(self._lowest[-1], offset_ns)
        return max(0, offset_ns - min(self._lowest)) / _NS_PER_S
