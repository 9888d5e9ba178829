"""What one request to a receiver came to. Pure.

The four differ in what the receiver may know now: Delivered, it knows; NotSent and Refused, it certainly does not;
InDoubt, it may or may not. What is unclear is always InDoubt.
"""

from collections.abc import Mapping

import msgspec


class Delivered(msgspec.Struct, frozen=True):
    """The receiver confirmed it."""

    handle: Mapping[str, str] = {}
    """Where the message is, for receivers whose messages can be changed; empty: as before."""
    is_requested: bool = True
    """False: it has no need to know this, and nothing was sent."""


class NotSent(msgspec.Struct, frozen=True):
    """Certainly not delivered, and worth another try."""

    why: str
    """A class and a code, as `429` or `connect`: never an address, never a body."""
    retry_s: float | None = None
    """When the receiver wants the next request, of any incident; None: it did not say."""


class InDoubt(msgspec.Struct, frozen=True):
    """Perhaps delivered: the answer was lost, late or unclear."""

    why: str
    retry_s: float | None = None
    """As of NotSent."""
    own_retry_s: float | None = None
    """When this message should be tried again, while others may be sent; None: as the courier decides."""


class Refused(msgspec.Struct, frozen=True):
    """Certainly not delivered, and the same request never will be."""

    why: str


Outcome = Delivered | NotSent | InDoubt | Refused


class Found(msgspec.Struct, frozen=True):
    """A receiver that can be searched holds the message."""

    handle: Mapping[str, str]
    revision: int
    """The newest revision that it shows."""


class NotFound(msgspec.Struct, frozen=True):
    """It certainly does not."""


class NotSearchable(msgspec.Struct, frozen=True):
    """It cannot be asked, now or ever."""


class Unanswered(msgspec.Struct, frozen=True):
    """It could not be asked now. To send without an answer would be a repeat that asking later avoids."""

    why: str
    retry_s: float | None = None
    """As of NotSent."""


Search = Found | NotFound | NotSearchable | Unanswered
