"""What a person decides (a silence, an acknowledgement) → its stream, with an answer at once.

There is no lease for these: each message replaces what its author has read, or is refused.
"""

from datetime import datetime
from typing import Final, TypeVar

import msgspec

from kgents_shared.bus.jetstream import last_message
from kgents_shared.bus.publish import EXPECTED_SEQUENCE, TTL, WRONG_SEQUENCE_CODES
from kgents_shared.bus.session import ApiFault, Session
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.codec import Codec, encode
from kgents_shared.contract.errors import BusError, DecidedError, MalformedMessageError
from kgents_shared.contract.silence import Silence
from kgents_shared.contract.streams import NAME_BY_SIGNAL, REMOVAL_TTL_S

MARGIN_S: Final = 60
"""How long a silence stays readable after its end: clocks differ."""


W = TypeVar("W", Silence, Acknowledgement)


class _Answer(msgspec.Struct):
    seq: int = 0
    error: ApiFault | None = None


async def last_word(session: Session, codec: Codec[W], subject: str) -> tuple[W | None, int]:
    """What was decided last on a subject, and its sequence: what the next decision replaces. None and 0: nothing.

    Raises:
        BusError: that cannot be read.
    """
    found = await last_message(session, NAME_BY_SIGNAL[codec.signal], subject)
    if found is None or found.marker:
        return None, found.seq if found is not None else 0
    try:
        return codec.decode(found.payload, subject=subject), found.seq
    except MalformedMessageError:  # what no one can read decides nothing
        return None, found.seq


async def store(session: Session, message: Silence | Acknowledgement, *, replaces_seq: int, now: datetime) -> int:
    """Store it, and return its sequence.

    Args:
        session: the connection.
        message: what is decided; one with `op: remove` takes it back.
        replaces_seq: the sequence of the message that it replaces; 0: there is none.
        now: for how long a silence is kept.

    Raises:
        DecidedError: it is not stored: someone else has just decided otherwise.
        BusError: it is not stored, or whether it is is not known.
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
        raise DecidedError("someone else has just decided otherwise; try the same command again", code=failure.err_code)
    raise BusError(f"{message.subject} is not stored: {failure.description}", code=failure.err_code)
