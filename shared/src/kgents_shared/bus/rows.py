"""What a state table is made of: rows as the stream holds them, changes as they are told, wishes not yet published."""

from typing import Any, Generic, TypeVar

import msgspec

from kgents_shared.bus.consume import Position
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.packing import Packing
from kgents_shared.contract.wire import Wire

T = TypeVar("T", bound=Wire)


class Row(msgspec.Struct, Generic[T], gc=False):
    """The last message of one subject."""

    kept: Any
    """The message or, if there is a `packing`, its packed form."""
    seq: int
    time_ns: int
    """When the server stored it; 0 for a row that this table itself has just published."""
    packing: Packing[T] | None = None

    @property
    def message(self) -> T:
        """What it says; made anew each time if the table keeps its rows packed."""
        found: T = self.kept if self.packing is None else self.packing.unpack(self.kept)
        return found


class Change(msgspec.Struct, Generic[T], frozen=True):
    """One subject's news."""

    subject: str
    old: T | None
    """The row before; None if there was none, or if it lies before a resumed position."""
    new: T | None
    """The row now; None when it is gone."""
    removal: T | None
    """The writer's word on why it is gone; None when the server dropped it because its time to live was over."""
    seq: int
    time_ns: int
    headers: dict[str, str] | None = None


class Changes(msgspec.Struct, Generic[T], frozen=True):
    """News in order; `caught_up` and `position` mean what they mean in `consume.Batch`."""

    changes: list[Change[T]]
    caught_up: bool
    position: Position | None
    malformed: list[tuple[Delivery, str]]
    """What could not be read, with the reason; its row stays as it was. Set it aside."""


class Tombstone(msgspec.Struct, gc=False):
    """What is known of a subject whose row is gone."""

    seq: int
    """Of the message that says so: what the next message on the subject replaces."""
    time_ns: int
    """When it was stored; 0 until the server's clock has been asked."""


class Wish(msgspec.Struct, Generic[T]):
    """What a subject shall hold."""

    message: T
    is_removal: bool
    ttl_s: int
    trace: dict[str, str]

    def against(self, row: Row[T] | None) -> T:
        """The message, as it may replace this row: a removal names the incarnation that is published, no other."""
        uid = getattr(row.message, "uid", None) if row is not None else None
        if not self.is_removal or uid is None or getattr(self.message, "uid", None) == uid:
            return self.message
        return msgspec.structs.replace(self.message, uid=uid)
