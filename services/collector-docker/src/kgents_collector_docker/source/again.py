"""When what could not be read is asked for again, since no event reports that it answers: keys, time → keys. Pure."""

from collections.abc import Iterable
from typing import Final, Generic, TypeVar

Key = TypeVar("Key")

FIRST_S: Final = 0.5
MAX_S: Final = 30.0
"""Seconds between two requests for one object. The pause doubles while it is missing: what was late once is fresh at
once, whatever else hangs, and what hangs for long costs the engine little."""


class Again(Generic[Key]):
    """The objects that are missing, each with a pause of its own."""

    def __init__(self) -> None:
        self._pauses: dict[Key, tuple[float, float]] = {}  # the pause in seconds, and when it ends

    def due(self, missing: Iterable[Key], now_s: float) -> list[Key]:
        """Those of all that are missing now which are to be asked for."""
        self._pauses = {key: self._pauses.get(key, (FIRST_S, now_s + FIRST_S)) for key in missing}
        found = [key for key, (_, ends_s) in self._pauses.items() if ends_s <= now_s]
        for key in found:
            pause_s = min(2 * self._pauses[key][0], MAX_S)
            self._pauses[key] = (pause_s, now_s + pause_s)
        return found
