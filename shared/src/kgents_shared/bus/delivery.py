"""A message as a stream holds it: what a consumer delivers, or the JetStream API answers → here. Pure."""

from typing import Final

import msgspec

MARKER: Final = "Nats-Marker-Reason"


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
    reply: str

    @property
    def marker(self) -> str:
        """Why the server itself removed the subject's last message (`MaxAge`); empty for an ordinary message."""
        return self.headers.get(MARKER, "") if self.headers else ""
