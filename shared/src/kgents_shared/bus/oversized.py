"""Messages of a state table that are larger than the server takes: published in part, and kept whole here."""

from collections.abc import Callable
from typing import Generic, TypeVar

from kgents_shared.bus.desired import Desired
from kgents_shared.bus.direct import HEADERS_MAX_BYTES
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.state_view import Row
from kgents_shared.contract.codec import encode
from kgents_shared.contract.fitting import fitted, is_cut, with_room
from kgents_shared.contract.wire import Wire

T = TypeVar("T", bound=Wire)

_log = get_logger(__name__)


class Oversized(Generic[T]):
    """What is published of a message, and the whole of those that are published in part."""

    def __init__(self, publisher: Publisher, same: Callable[[T, T], bool], render: Callable[[T | None, T], T]) -> None:
        self.whole: dict[str, Desired[T]] = {}
        """Subject → the whole of what is published in part."""
        self._publisher = publisher
        self._same = same
        self._render = render

    def rendered(self, row: Row[T] | None, desired: Desired[T]) -> tuple[T, bytes]:
        """The message that replaces a row, as the server can take it, and its bytes."""
        old, wanted = row.message if row is not None else None, desired.against(row)
        message = wanted if desired.is_restored else self._render(old, wanted)
        payload = encode(message)
        limit_bytes = self._limit_bytes
        if len(payload) <= limit_bytes:
            return message, payload
        message = with_room(self._render(old, fitted(wanted, limit_bytes)), limit_bytes)
        return message, encode(message)

    def is_published(self, subject: str, published: T, desired: Desired[T]) -> bool:
        """Whether what is published in part is all that can be published of what is desired."""
        self.note(subject, desired, published)
        if self._same(published, desired.message):  # cut by a source of it, and here not once more
            return True
        return self._same(published, fitted(desired.message, self._limit_bytes))

    def note(self, subject: str, desired: Desired[T], message: T) -> None:
        """Keep the whole of a message that is published in part, and forget it of one that is not."""
        if is_cut(message) and not desired.is_removal and message.cut != desired.message.cut:  # type: ignore[attr-defined]
            if subject not in self.whole:
                _log.warning("message_cut", subject=subject, max_payload=self._publisher.max_payload_bytes)
            self.whole[subject] = desired
        else:
            self.whole.pop(subject, None)

    @property
    def _limit_bytes(self) -> int:
        return self._publisher.max_payload_bytes - HEADERS_MAX_BYTES
