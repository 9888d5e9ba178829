"""A state stream in memory: messages that differ from what it holds → what it would store. No I/O, no clock."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract.codec import Codec, encode
from kgents_shared.contract.wire import Wire

T = TypeVar("T", bound=Wire)


class Stored(Generic[T]):
    """The last message of each subject, by the rule of a state table: what is the same is not stored again."""

    def __init__(
        self,
        codec: Codec[T],
        same: Callable[[T, T], bool],
        render: Callable[[T | None, T], T] = lambda _, wanted: wanted,
    ) -> None:
        """`render` makes the message that replaces another one, as `StateTable` has it."""
        self.rows: dict[str, T] = {}
        self._codec = codec
        self._same = same
        self._render = render
        self._seq = 0

    def put(self, subject: str, wanted: T, time_ns: int) -> Iterator[tuple[Delivery, T]]:
        """What is stored of it, and the message as a reader decodes it; nothing if that is the same."""
        old = self.rows.get(subject)
        if old is None or not self._same(old, wanted):
            delivery, message = self._stored(subject, self._render(old, wanted), time_ns)
            self.rows[subject] = message
            yield delivery, message

    def remove(self, subject: str, removal: T, time_ns: int) -> Iterator[tuple[Delivery, T]]:
        """The same for a removal; nothing if nothing is there."""
        if (old := self.rows.pop(subject, None)) is not None:
            yield self._stored(subject, self._render(old, removal), time_ns)

    def _stored(self, subject: str, message: T, time_ns: int) -> tuple[Delivery, T]:
        self._seq += 1
        payload = encode(message)
        delivery = Delivery(subject, payload, None, self._seq, 0, time_ns, 0)
        return delivery, self._codec.decode(payload)
