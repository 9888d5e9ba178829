"""What a writer wants a subject to hold, until `state_table` has published it."""

import time
from typing import Generic, TypeVar

import msgspec
from msgspec import field

from kgents_shared.bus.publish import EXPECTED_SEQUENCE, TTL
from kgents_shared.bus.state_view import Row
from kgents_shared.contract.streams import REMOVAL_TTL_S
from kgents_shared.contract.wire import Wire

T = TypeVar("T", bound=Wire)


class Desired(msgspec.Struct, Generic[T], gc=False):
    """The desired message of a subject."""

    message: T
    is_removal: bool
    trace: dict[str, str] | None
    """Headers that go with it."""
    is_restored: bool = False
    """Whether it was published before, and lost: then it is published as it was."""
    differs_from: Row[T] | None = None
    """The row that it was compared with when it was put; None if it was not, since another message was on its way."""
    since_s: float = field(default_factory=time.monotonic)
    """Since when what the stream holds of the subject is not what is wanted: put before, and never stored since."""

    def headers(self, seq: int) -> dict[str, str]:
        """What goes with it when it replaces the message of a sequence; a removal ends by itself after a while."""
        found = {EXPECTED_SEQUENCE: str(seq)}
        if self.trace:
            found |= self.trace
        if self.is_removal:
            found[TTL] = f"{REMOVAL_TTL_S}s"
        return found

    def against(self, row: Row[T] | None) -> T:
        """The message, as it may replace this row: a removal names the incarnation that is published, no other."""
        if not self.is_removal or row is None:
            return self.message
        uid = getattr(row.message, "uid", None)
        if uid is None or getattr(self.message, "uid", None) == uid:
            return self.message
        return msgspec.structs.replace(self.message, uid=uid)
