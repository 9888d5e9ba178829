"""How Python's garbage collector runs in a process of ours: never for long, however many messages are in memory."""

import gc
import sys
from typing import Any, Final

YOUNG: Final = 10_000
"""New objects that are visited together: 1 to 2 ms. With fewer, messages that live for a moment are visited, too."""
ROUNDS: Final = 1
"""After so many passes the next one visits what they have left, too: 20,000 objects."""
SMALL: Final = 20_000
"""Objects that may be visited all together. A process that holds more only has its new ones visited."""


def calm_collector() -> None:
    """Keep passes of the garbage collector short and rare; call it when all modules are imported.

    A service holds a hundred thousand messages that live long and form no cycles, and so does a command that reads as
    many. With Python's own thresholds its passes over them cost more than all other work, and one over all of them
    keeps the event loop for half a second. So what was imported is frozen, never to be visited; and, once there is much
    more, what has been visited twice: it is freed when nothing refers to it any more, and only a cycle among such
    objects stays. Python 3.14 collects in increments by itself.
    """
    gc.set_threshold(YOUNG, ROUNDS - 1, 0)
    if sys.version_info < (3, 14) and not any(isinstance(each, _Freeze) for each in gc.callbacks):
        gc.freeze()
        gc.collect()  # of nothing: how much there was before decides when the next pass visits everything
        gc.callbacks.append(_Freeze())


def free_cycles() -> None:
    """Visit everything from time to time after all; call it when all modules are imported.

    For a program that makes cycles all the time, as widgets do: of those that exist while something is frozen, each
    would stay. What is imported by now is frozen once, and never visited.
    """
    gc.callbacks[:] = [each for each in gc.callbacks if not isinstance(each, _Freeze)]
    gc.freeze()
    gc.collect()


class _Freeze:
    """Freezes what has been visited twice, once a pass over all objects has shown that they are too many for it."""

    def __init__(self) -> None:
        self._is_large = False

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        if phase != "stop" or info["generation"] == 0:
            return
        if not self._is_large and info["generation"] == 2:
            self._is_large = len(gc.get_objects(generation=2)) > SMALL
        if self._is_large:
            gc.freeze()
