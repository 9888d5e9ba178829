"""A message as a stream holds it: nats-py's message, or an answer of the JetStream API → `Delivery`."""

from typing import Final

import msgspec
from nats.aio.msg import Msg

MARKER: Final = "Nats-Marker-Reason"

_V1_TOKENS: Final = 9  # $JS.ACK.<stream>.<consumer>.<delivered>.<seq>.<consumer seq>.<time>.<pending>
_V2_FIRST: Final = 4  # since 2.14, behind a flag: $JS.ACK.<domain>.<account>.<stream>.<consumer>.…


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


def delivery(message: Msg) -> Delivery:
    """A message that a consumer delivered: its position is in the reply subject."""
    tokens = message.reply.split(".")
    at = _V2_FIRST if len(tokens) == _V1_TOKENS else _V2_FIRST + 2
    return Delivery(
        message.subject,
        message.data,
        message.headers,
        int(tokens[at + 1]),
        int(tokens[at + 2]),
        int(tokens[at + 3]),
        int(tokens[at + 4]),
        message.reply,
    )
