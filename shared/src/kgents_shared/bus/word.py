"""What a person decides (a silence, an acknowledgement) → its stream, with an answer at once.

There is no lease for these: each message replaces what its author has read, or is refused.
"""

from datetime import datetime
from typing import Final

import msgspec

from kgents_shared.bus.publish import EXPECTED_SEQUENCE, TTL, WRONG_SEQUENCE_CODES
from kgents_shared.bus.session import ApiFault, Session
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.codec import encode
from kgents_shared.contract.errors import BusError
from kgents_shared.contract.silence import Silence
from kgents_shared.contract.streams import REMOVAL_TTL_S

MARGIN_S: Final = 60
"""How long a silence stays readable after its end: clocks differ."""


class _Answer(msgspec.Struct):
    seq: int = 0
    error: ApiFault | None = None


async def store(session: Session, message: Silence | Acknowledgement, *, replaces_seq: int, now: datetime) -> int:
    """Store it, and return its sequence.

    Args:
        session: the connection.
        message: what is decided; one with `op: remove` takes it back.
        replaces_seq: the sequence of the message that it replaces; 0: there is none.
        now: for how long a silence is kept.

    Raises:
        BusError: it is not stored. With the code of a wrong sequence someone else has just decided otherwise.
    """
    headers = {EXPECTED_SEQUENCE: str(replaces_seq)}
    if message.is_removal:
        headers[TTL] = f"{REMOVAL_TTL_S}s"
    elif isinstance(message, Silence):
        headers[TTL] = f"{max(1, int((message.ends_at - now).total_seconds())) + MARGIN_S}s"
    answer = msgspec.json.decode(
        (await session.request(message.subject, encode(message), headers=headers)).data, type=_Answer
    )
    if (failure := answer.error) is None:
        return answer.seq
    if failure.err_code in WRONG_SEQUENCE_CODES:
        raise BusError("someone else has just decided otherwise; try the same command again", code=failure.err_code)
    raise BusError(f"{message.subject} is not stored: {failure.description}", code=failure.err_code)
