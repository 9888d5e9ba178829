"""Samples and events that were sent without an ack: are they stored? log.py → here, before it sends them again.

The server drops a message whose id it has stored, but remembers ids for a minute only, and outages last longer. So the
ids behind the last confirmed message are read back, which is what was in flight and what another instance added.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.outbox import Message
from kgents_shared.bus.publish import MESSAGE_ID, Stored
from kgents_shared.bus.pull import headers_since
from kgents_shared.bus.session import Session, SessionLostError
from kgents_shared.contract.errors import BusError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.subjects import parse, pattern

_SIGNAL_AT: Final = 1
_log = get_logger(__name__)


def signal_of(message: Message) -> str:
    """Its signal."""
    return message.subject.split(".", 2)[_SIGNAL_AT]


def stream_of(message: Message) -> str:
    """The stream that stores it."""
    return NAME_BY_SIGNAL[signal_of(message)]


async def found_stored(
    session: Session, messages: Iterable[Message], confirmed: Mapping[str, int]
) -> dict[int, Stored]:
    """Those of the messages that are stored, by id.

    Args:
        session: to the server that stores them.
        messages: sent, or maybe sent, and unconfirmed.
        confirmed: stream → a sequence behind which they must be; without it, none is found.

    Raises:
        SessionLostError: the connection ended meanwhile.
    """
    found: dict[int, Stored] = {}
    by_filter: dict[tuple[str, str], dict[str, int]] = {}
    for each in messages:
        subject = parse(each.subject)
        filter_ = pattern(subject.signal, cluster=subject.value("cluster"), source=subject.value("source"))
        by_filter.setdefault((stream_of(each), filter_), {})[each.headers[MESSAGE_ID]] = each.id
    for (stream, filter_), ids in by_filter.items():
        if stream not in confirmed:
            continue
        try:
            found |= await _found(session, stream, filter_, confirmed[stream], ids)
        except SessionLostError:
            raise
        except BusError as error:  # as without permission; the server still knows the ids of the last minute
            _log.warning("unconfirmed_unread", stream=stream, error=str(error))
    return found


async def _found(session: Session, stream: str, filter_: str, seq: int, ids: Mapping[str, int]) -> dict[int, Stored]:
    found: dict[int, Stored] = {}
    while len(found) < len(ids) and (read := await headers_since(session, stream, [filter_], seq)):
        for each in read:
            id_ = ids.get((each.headers or {}).get(MESSAGE_ID, ""))
            if id_ is not None:
                found[id_] = Stored(each.seq, duplicate=True)
        seq = read[-1].seq
    return found
