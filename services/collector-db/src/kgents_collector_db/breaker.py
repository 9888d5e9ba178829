"""Circuit breaker: the outcome of each poll → whether the next poll may connect. Pure."""

from typing import Final

HARMLESS: Final = frozenset({"refused", "starting", "missing privilege", "pooler", "unknown name", "own network"})
"""Causes for which the breaker never opens: an attempt costs the database nothing, or the cause ends soon."""


class Breaker:
    """Opens for a pause after `failures` failed polls in a row; then one poll decides whether it stays closed."""

    def __init__(self, failures: int, pause_s: float) -> None:
        self._limit = failures
        self._pause_s = pause_s
        self._failures = 0
        self._open_until_s = 0.0

    def is_open(self, now_s: float) -> bool:
        """Whether polls are suspended at this moment."""
        return now_s < self._open_until_s

    def note(self, cause: str | None, now_s: float, *, jitter: float) -> None:
        """Record the outcome of a poll.

        Args:
            cause: why the poll failed; None when it succeeded.
            now_s: monotonic clock.
            jitter: -1..1, changes the pause by up to 10 %, so that many collectors do not connect at once.
        """
        if cause is None or cause in HARMLESS:
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= self._limit:
            self._open_until_s = now_s + self._pause_s * (1 + jitter / 10)
            self._failures = self._limit - 1  # the next poll is the probe: if it fails too, the breaker opens again
