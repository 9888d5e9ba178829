"""When to leave a database alone: the outcome of each poll → whether the next one may knock. Pure."""

from typing import Final

HARMLESS: Final = frozenset({"refused", "starting", "missing privilege", "pooler"})
"""Causes that cost the database nothing, or end soon: one more attempt does no harm, and the end is seen sooner."""


class Breaker:
    """Opens after some failures in a row, for a pause; then one poll decides."""

    def __init__(self, failures: int, pause_s: float) -> None:
        self._limit = failures
        self._pause_s = pause_s
        self._failures = 0
        self._open_until_s = 0.0

    def is_open(self, now_s: float) -> bool:
        """Whether the database is to be left alone at this moment."""
        return now_s < self._open_until_s

    def note(self, cause: str | None, now_s: float, *, jitter: float) -> None:
        """Take the outcome of a poll.

        Args:
            cause: why it saw nothing; None when it saw something.
            now_s: a clock that only rises.
            jitter: -1..1, by which the pause differs by up to a tenth, so that many collectors do not knock at once.
        """
        if cause is None or cause in HARMLESS:
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= self._limit:
            self._open_until_s = now_s + self._pause_s * (1 + jitter / 10)
            self._failures = self._limit - 1  # the next poll is the probe: if it fails too, the pause begins again
