"""Events that cannot be read → a dead letter for each, once: also where a gateway that starts reads them again."""

import re
from typing import Final

from kgents_gateway.current import Current
from kgents_shared.bus.dead_letters import DeadLetters
from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract.codec import META
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.meta import DeadLetter

_SEQ: Final = re.compile(r"\d+$")


class Unreadable:
    """Reports events that cannot be read."""

    def __init__(self, current: Current, letters: DeadLetters) -> None:
        self._current: Final = current
        self._letters: Final = letters

    async def report(self, event: Delivery, reason: str) -> None:
        """Publish the dead letter of an event, unless its place holds that one, or that of a later event."""
        await self._current.until(lambda: self._current.is_complete)
        stored = self._current.last_meta(self._letters.subject_of(event))
        if stored is None or not _is_newer(stored, event):
            await self._letters.publish(event, reason)


def _is_newer(stored: Delivery, event: Delivery) -> bool:
    """Whether a letter is about this event, or one behind it, in the stream as it is now."""
    if stored.time_ns < event.time_ns:
        return False
    try:
        letter = META.decode(stored.payload, subject=stored.subject)
    except MalformedMessageError:
        return False
    found = _SEQ.search(letter.evidence) if isinstance(letter, DeadLetter) else None
    return found is not None and int(found[0]) >= event.seq
