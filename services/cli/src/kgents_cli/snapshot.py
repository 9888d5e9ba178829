"""A state stream → each subject's message: the last there is, or the last there was at some time."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from kgents_cli.feed import is_gone
from kgents_cli.moment import rfc3339
from kgents_cli.output import note
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import follow
from kgents_shared.bus.session import Session
from kgents_shared.contract.codec import Codec
from kgents_shared.contract.errors import BusError, BusTimeoutError, MalformedMessageError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.wire import Wire

T = TypeVar("T", bound=Wire)

Payloads = dict[str, bytes]
"""Subject → message."""

TIMEOUT_S: Final = 30.0
"""For the present state as a whole; a hundred thousand subjects take some two seconds."""
SILENCE_S: Final = 5.0
"""For the next message of a past state."""
SUBJECTS_PER_REQUEST: Final = 512
"""The server answers for at most 1,024 subjects; half of that keeps a request of long subjects below max_payload."""
BYTES_PER_REQUEST: Final = 8 * 1024**2
"""The answers come as fast as the server can send; beyond its max_pending (64 MiB) it would drop us as too slow."""

_MARKER: Final = "Nats-Marker-Reason"
_NO_RESULTS: Final = "404"
_END: Final = "204"


class Past(msgspec.Struct, frozen=True):
    """A state stream as it was."""

    payloads: Payloads
    forgotten: tuple[str, ...]
    """Subjects whose oldest kept message is younger: whether they were there, and how, nobody knows any more."""
    begins: datetime
    """When the stream was made: before that, nothing is known of anything."""


async def now(bus: Bus, signal: str, filter_: str, now_ns: int) -> Payloads:
    """What is there.

    Raises:
        BusTimeoutError: it could not be read in time.
    """
    payloads: Payloads = {}
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            aclosing(follow(bus, NAME_BY_SIGNAL[signal], [filter_], now_ns=now_ns)) as batches,
        ):
            async for batch in batches:
                for each in batch.deliveries:
                    if each.marker or is_gone(each.payload):
                        payloads.pop(each.subject, None)
                    else:
                        payloads[each.subject] = each.payload
                if batch.caught_up:
                    break
    except TimeoutError:
        raise BusTimeoutError(f"{NAME_BY_SIGNAL[signal]} could not be read within {TIMEOUT_S:g} s") from None
    return payloads


async def then(bus: Bus, signal: str, filter_: str, time: datetime) -> Past:
    """What was there at a time.

    Raises:
        BusTimeoutError: the server fell silent.
        BusError: the server refused.
    """
    stream = NAME_BY_SIGNAL[signal]
    session = await bus.session()
    info = await session.api(f"STREAM.INFO.{stream}", None, _Stream)
    counts = await _counts(session, stream, filter_)
    seen: set[str] = set()
    payloads: Payloads = {}
    subjects = list(counts)
    for at in range(0, len(subjects), SUBJECTS_PER_REQUEST):
        chunk = subjects[at : at + SUBJECTS_PER_REQUEST]
        async for subject, payload in _last_of(session, stream, chunk, time):
            seen.add(subject)
            if payload and not is_gone(payload):
                payloads[subject] = payload
    # A subject with room for more messages has lost none: if it has none from before, it was not there.
    full = info.config.max_msgs_per_subject
    forgotten = tuple(subject for subject, count in counts.items() if count >= full > 0 and subject not in seen)
    return Past(payloads, forgotten, info.created)


def decoded(codec: Codec[T], payloads: Payloads) -> dict[str, T]:
    """Subject → message; what cannot be read is left out, and said so on stderr."""
    messages: dict[str, T] = {}
    for subject, payload in payloads.items():
        try:
            messages[subject] = codec.decode(payload)
        except MalformedMessageError as error:
            note(f"left out {subject}: {error}")
    return messages


class _Config(msgspec.Struct):
    max_msgs_per_subject: int = -1


class _Stream(msgspec.Struct):
    config: _Config
    created: datetime


class _State(msgspec.Struct):
    subjects: dict[str, int] | None = None


class _Page(msgspec.Struct):
    state: _State
    total: int = 0


async def _counts(session: Session, stream: str, filter_: str) -> dict[str, int]:
    """How many messages each subject has; the server lists them in pages."""
    counts: dict[str, int] = {}
    while True:
        body = {"subjects_filter": filter_, "offset": len(counts)}
        page = await session.api(f"STREAM.INFO.{stream}", body, _Page)
        counts.update(page.state.subjects or {})
        if not page.state.subjects or len(counts) >= page.total:
            return counts


async def _last_of(
    session: Session, stream: str, subjects: Sequence[str], time: datetime
) -> AsyncIterator[tuple[str, bytes]]:
    """The last message of each subject at a time; empty where the server itself had removed it."""
    body: dict[str, Any] = {"multi_last": subjects, "up_to_time": rfc3339(time), "max_bytes": BYTES_PER_REQUEST}
    inbox = session.new_inbox()
    answers: asyncio.Queue[Any] = asyncio.Queue()
    unsubscribe = await session.subscribe(inbox, answers.put)
    try:
        while body:
            await session.publish(session.api_subject(f"DIRECT.GET.{stream}"), msgspec.json.encode(body), reply=inbox)
            while "Status" not in (answer := await _next(answers)).headers:
                yield answer.headers["Nats-Subject"], b"" if _MARKER in answer.headers else answer.data
            body = _rest(body, answer.headers)
    finally:
        await unsubscribe()


async def _next(answers: asyncio.Queue[Any]) -> Any:
    try:
        async with asyncio.timeout(SILENCE_S):
            return await answers.get()
    except TimeoutError:
        raise BusTimeoutError(f"the server fell silent for {SILENCE_S:g} s while it was read") from None


def _rest(body: dict[str, Any], end: Mapping[str, str]) -> dict[str, Any]:
    """What is still to be asked for: the server ends an answer at BYTES_PER_REQUEST and says how much is left.

    Raises:
        BusError: the server refused.
    """
    status = end["Status"]
    if status == _NO_RESULTS or (status == _END and end["Nats-Num-Pending"] == "0"):
        return {}
    if status != _END:
        raise BusError(f"the server cannot answer for a past time: {status} {end.get('Description', '')}".rstrip())
    return {**body, "seq": int(end["Nats-Last-Sequence"]) + 1}
