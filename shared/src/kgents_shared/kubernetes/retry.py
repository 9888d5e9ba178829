"""When to ask again after a failure: faults counted by their kind, since each kind deserves a patience of its own.

A server that restarts refuses connections, then refuses requests (its roles are not loaded yet), then asks for patience
(its storage is initializing). None of these must be waited for as long as they all together would deserve.
"""

import enum
import random
from collections import Counter
from typing import Final

from kgents_shared.kubernetes.error import ApiError

BACKOFF_FIRST_S: Final = 0.8
BACKOFF_MAX_S: Final = 30.0
PARK_S: Final = 15.0
"""Until the next try when the server does not serve the resource, or does not let us see it: a refusal costs it less
than `/livez`, and what is served or permitted again must not stay unread for long."""
RETRY_AFTER_MAX_S: Final = 300.0
"""The longest wait that a server can ask for."""
PARK_AFTER: Final = 5
"""Refusals in a row that are tried again soon, over 12 to 25 s: a server that has just started does not know its roles
yet."""
BUSY_TRIES: Final = 5
"""Requests for patience in a row that are no fault of a resource that was read before."""


class Fault(enum.Enum):
    """What went wrong, as far as it decides when to try again."""

    UNREACHABLE = enum.auto()
    """No answer, or none of use."""
    REFUSED = enum.auto()
    """403 or 404."""
    BUSY = enum.auto()
    """429: too many requests, or `storage is (re)initializing`."""
    ENDED = enum.auto()
    """A watch that was accepted and ended at once."""


class WatchEndedError(ApiError):
    """A watch was accepted, and ended at once without a line."""


def fault_of(error: ApiError) -> Fault:
    """Its kind."""
    if isinstance(error, WatchEndedError):
        return Fault.ENDED
    if error.status in (403, 404):
        return Fault.REFUSED
    return Fault.BUSY if error.status == 429 else Fault.UNREACHABLE


class Retries:
    """Failures since the last success, by kind."""

    def __init__(self) -> None:
        self._counts = Counter[Fault]()

    def __getitem__(self, fault: Fault) -> int:
        return self._counts[fault]

    def total(self) -> int:
        return self._counts.total()

    def add(self, error: ApiError) -> None:
        self._counts[fault_of(error)] += 1

    def clear(self, *, keep: Fault | None = None) -> None:
        """Something went well; that says nothing of the kind that is kept."""
        self._counts = Counter({keep: self._counts[keep]}) if keep is not None else Counter()

    def is_parked(self) -> bool:
        """Whether the server has refused for so long that it seems to mean it."""
        return self._counts[Fault.REFUSED] > PARK_AFTER

    def pause_s(self, error: ApiError) -> float:
        """How long to wait after this failure, the last one added."""
        fault = fault_of(error)
        longest_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(self._counts[fault] - 1, 10))
        is_final = fault is Fault.REFUSED and self.is_parked()
        seconds = PARK_S if is_final else longest_s * (0.5 + random.random() / 2)  # noqa: S311 - spread, not secrecy
        return max(seconds, min(error.retry_after_s or 0.0, RETRY_AFTER_MAX_S))
