"""The subjects of a stream and how many messages each has: stream, filters → the server's answers, in parts.

The server lists up to 100,000 subjects in one answer, megabytes of JSON. To decode them at one stroke takes 30 ms, on a
slow machine 100 ms, and longer than any task may compute. So an answer is decoded a part at a time.
"""

import re
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Final

import msgspec

from kgents_shared.bus.jetstream import subjects_page
from kgents_shared.bus.session import Session
from kgents_shared.bus.time_slice import TimeSlice

PART_BYTES: Final = 64 * 1024
_BETWEEN: Final = re.compile(rb'":\d+(,)"')
"""Between two entries of the list. In a name it could only be one with quotes: a part that ends there is no JSON."""


_DECODER: Final = msgspec.json.Decoder(dict[str, int] | None)


async def subject_parts(
    session: Session, stream: str, filters: Sequence[str], *, prefix: str = ""
) -> AsyncGenerator[dict[str, int], None]:
    """Subject → its messages, a part of them at a time; other tasks run in between.

    Raises:
        BusError: there is no such stream, or the server did not answer.
    """
    time_slice = TimeSlice()
    for filter_ in filters:
        listed = 0
        while True:
            page, total = await subjects_page(session, stream, filter_, listed, prefix=prefix)
            before = listed
            for part in _parts(page):
                listed += len(part)
                yield part
                await time_slice.checkpoint()
            if listed == before or listed >= total:
                break


async def subject_counts(
    session: Session,
    stream: str,
    filters: Sequence[str],
    *,
    takes: Callable[[str], bool] = lambda _: True,
    prefix: str = "",
) -> dict[str, int]:
    """Subject → its messages, of all that it `takes`; raises as `subject_parts`."""
    counts: dict[str, int] = {}
    async with aclosing(subject_parts(session, stream, filters, prefix=prefix)) as parts:
        async for part in parts:
            counts.update((subject, count) for subject, count in part.items() if takes(subject))
    return counts


def _parts(listed: bytes) -> Iterator[dict[str, int]]:
    """A JSON object of subjects in parts of about PART_BYTES."""
    begin, end = 0, len(listed)
    while end - begin > PART_BYTES and (between := _BETWEEN.search(listed, begin + PART_BYTES)) is not None:
        comma = between.start(1)
        try:
            part = _DECODER.decode(b"{%b}" % listed[begin + 1 : comma])
        except msgspec.DecodeError:  # a name with quotes: what is left is one part
            break
        yield part or {}
        begin = comma
    yield _DECODER.decode(listed if not begin else b"{%b" % listed[begin + 1 :]) or {}
