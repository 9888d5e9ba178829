"""A message as a stream holds it: what a consumer delivers, or the JetStream API answers → here. Pure."""

from typing import Final

import msgspec

MARKER: Final = "Nats-Marker-Reason"
DELAYED: Final = "Kgents-Delayed"
"""Header of a sample or event that waited on its sender's disk while NATS was away: for how many seconds."""
DELAY_MAX_S: Final = 366 * 86_400.0
"""What says more is no time: the header is a sender's word."""


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """A stored message as it reached us."""

    subject: str
    payload: bytes
    headers: dict[str, str] | None
    seq: int
    """Its sequence in the stream."""
    consumer_seq: int
    """Which message of its consumer it is, from 1 on; 0 if no consumer delivered it."""
    time_ns: int
    """When the server stored it, in Unix nanoseconds; 0 if no consumer delivered it."""
    pending: int
    """How many more were waiting behind it."""

    @property
    def delay_s(self) -> float:
        """How long it waited in its sender's buffer before it was stored, while NATS was away; at most a year."""
        try:
            delay_s = float(self.headers.get(DELAYED, 0.0)) if self.headers else 0.0
        except ValueError:
            return 0.0
        return delay_s if 0.0 <= delay_s <= DELAY_MAX_S else 0.0

    @property
    def marker(self) -> str:
        """Why the server itself removed the subject's last message (`MaxAge`); empty for an ordinary message."""
        return self.headers.get(MARKER, "") if self.headers else ""
