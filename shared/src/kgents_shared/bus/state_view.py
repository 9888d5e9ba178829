"""A state stream, read: rows, a mark when they are complete, and every later change.

A state stream holds the last message of each subject. `follow` keeps `rows` equal to it over any number of reconnects;
`state_table` writes such a stream on top of this.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Generic, TypeVar

import msgspec

from kgents_shared.bus.client import Bus
from kgents_shared.bus.compression import Compression
from kgents_shared.bus.consume import Position, follow
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.logger import get_logger
from kgents_shared.contract.codec import Codec, encode, is_removal
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.wire import REMOVE, Wire

T = TypeVar("T", bound=Wire)

_log = get_logger(__name__)


class Row(msgspec.Struct, Generic[T], gc=False):
    """The last message of one subject."""

    kept: Any
    """The message or, if there is a `compression`, its compressed bytes."""
    seq: int
    time_ns: int
    """When the server stored it; 0 in a table that writes, which needs no time."""
    compression: Compression[T] | None = None

    def is_of(self, delivery: Delivery) -> bool:
        """Whether it is this very message."""
        return (self.seq, self.time_ns) == (delivery.seq, delivery.time_ns)

    @property
    def message(self) -> T:
        """The message; a new object each time if the rows are kept compressed."""
        found: T = self.kept if self.compression is None else self.compression.decompress(self.kept)
        return found

    def holds(self, message: T) -> bool:
        """Whether it is stored in the very bytes of this message. False where only the message is kept."""
        return self.compression is not None and self.compression.encoded(self.kept) == encode(message)


class Change(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """One subject's change."""

    subject: str
    old: T | None
    """The row before; None if there was none, or if it lies before a resumed position."""
    new: T | None
    """The row now; None when it is gone."""
    removal: T | None
    """The writer's reason why it is gone; None when the server dropped it because its time to live was over."""
    seq: int
    time_ns: int
    headers: dict[str, str] | None = None
    fault: str = ""
    """Why the message cannot be read; then the stream does not say whether what it held before is gone."""
    is_missing: bool = False
    """A stream that had to be read again from the beginning, as one that was made again, lacks it. Its writer may not
    have had the time to publish it again."""


class Changes(msgspec.Struct, Generic[T], frozen=True):
    """Changes in order; `caught_up` and `position` as in `consume.Batch`."""

    changes: list[Change[T]]
    caught_up: bool
    position: Position | None
    now_ns: int
    """Everything stored until then has been read, by the server's clock; 0 during a snapshot."""
    malformed: list[tuple[Delivery, str]]
    """Messages that could not be read, with the reason. Dead-letter them."""


class StateView(Generic[T]):
    """The rows under some filters of one state stream, as read so far.

    A row is what the last message of its subject says, and nothing else: what a restart could not read again is not
    kept. So a message that cannot be read leaves no row; its change says so.
    """

    def __init__(self, bus: Bus, codec: Codec[T], stream: str, filters: Sequence[str]) -> None:
        self.rows: dict[str, Row[T]] = {}
        self._bus = bus
        self._codec = codec
        self._stream = stream
        self._filters = tuple(filters)
        self._compression: Compression[T] | None = None

    def compress_rows(self, alike: Callable[[T], str]) -> None:
        """Compress later rows to a tenth of the memory; reading one then takes as long as decoding it."""
        self._compression = Compression(encode, self._codec.decode, alike=alike)

    async def follow(
        self, *, position: Position | None = None, keeps_time: bool = False
    ) -> AsyncGenerator[Changes[T], None]:
        """Keep `rows` equal to the stream, and yield what changes. See `consume.follow` for order, resumption and time.

        After a reset, rows that are not in the new snapshot are reported as removed when it is complete.
        """
        unseen: set[str] = set()
        is_resumed = position is not None  # rows from before the position may be removed, too
        batches = follow(self._bus, self._stream, self._filters, position=position, keeps_time=keeps_time)
        async with aclosing(batches):
            async for batch in batches:
                if batch.reset:
                    unseen, is_resumed = set(self.rows), False
                changes: list[Change[T]] = []
                malformed: list[tuple[Delivery, str]] = []
                for each in batch.deliveries:
                    if each.subject in unseen:
                        unseen.remove(each.subject)
                        if self.rows[each.subject].is_of(each):
                            continue
                    try:
                        change = self._apply(each)
                    except MalformedMessageError as error:
                        malformed.append((each, str(error)))
                        change = self._unreadable(each, str(error))
                    if change.old or change.new or change.removal or change.fault or is_resumed:
                        changes.append(change)
                if batch.caught_up:
                    changes += [msgspec.structs.replace(self.vanished(subject), is_missing=True) for subject in unseen]
                    unseen = set()
                yield Changes(changes, batch.caught_up, batch.position, batch.now_ns, malformed)

    async def load(self) -> int:
        """Read what the stream holds now, and return that time by the server's clock.

        What cannot be read counts as absent.
        """
        self.rows.clear()
        news = self.follow()
        async with aclosing(news):
            async for changes in news:
                for each, reason in changes.malformed:
                    self._pass_over(each, reason)
                if changes.caught_up:
                    return changes.now_ns
        raise AssertionError("follow never ends")

    def _pass_over(self, each: Delivery, reason: str) -> None:
        _log.warning("malformed_published_message", subject=each.subject, reason=reason)

    def _apply(self, each: Delivery) -> Change[T]:
        """Bring one row up to date."""
        row = self.rows.get(each.subject)
        message = removal = None
        if each.headers is None or not each.marker:
            known = row.kept if row is not None and row.compression is None else None
            message = self._codec.decode(each.payload, subject=each.subject, known=known)
            op = getattr(message, "op", "")
            if op == REMOVE or (not op and is_removal(each.payload)):
                message, removal = None, message
        old = row.message if row is not None else None
        self._accept(each.subject, message, each.seq, each.time_ns, each.payload)
        return Change(each.subject, old, message, removal, each.seq, each.time_ns, each.headers)

    def _unreadable(self, each: Delivery, fault: str) -> Change[T]:
        old = self.rows.pop(each.subject, None)
        message = old.message if old is not None else None
        return Change(each.subject, message, None, None, each.seq, each.time_ns, each.headers, fault)

    def vanished(self, subject: str) -> Change[T]:
        """Drop a row that the stream no longer holds."""
        row = self.rows.pop(subject)
        return Change(subject, row.message, None, None, row.seq, row.time_ns)

    def _accept(
        self, subject: str, message: T | None, seq: int, time_ns: int = 0, payload: bytes | None = None
    ) -> None:
        """Take over what the stream holds for one subject; `payload`: the bytes of the message, if they are known."""
        if message is None:
            self.rows.pop(subject, None)
        else:
            kept = self._compression.compress(message, payload) if self._compression else message
            self.rows[subject] = Row(kept, seq, time_ns, self._compression)
