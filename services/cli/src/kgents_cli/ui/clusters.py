"""Clusters that differ at a glance: each has a sign and a colour of its own, the same in every dashboard. Pure.

Of names that are too long, what differs is shown: those of a fleet mostly begin in the same way.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from zlib import crc32

from kgents_cli.ui.palette import CLUSTERS

_SEPARATORS: Final = "-_./:"


@lru_cache(maxsize=64)
def marks(names: tuple[str, ...]) -> Mapping[str, str]:
    """Cluster → one of `palette.CLUSTERS`, by its name; of two that would have the same, the second has the next."""
    found: dict[str, str] = {}
    for name in sorted(names):
        first = crc32(name.encode()) % len(CLUSTERS)
        order = [CLUSTERS[(first + step) % len(CLUSTERS)] for step in range(len(CLUSTERS))]
        found[name] = next((each for each in order if each not in found.values()), order[0])
    return found


@lru_cache(maxsize=64)
def labels(names: tuple[str, ...], width: int) -> Mapping[str, str]:
    """Cluster → its name, of a long one without the beginning that it shares with another."""
    ordered = sorted(names)
    return {
        name: _label(name, max(_shared(name, before), _shared(name, after)), width)
        for before, name, after in zip(["", *ordered], ordered, [*ordered[1:], ""], strict=False)
    }


def _shared(name: str, other: str) -> int:
    """Characters with which both begin."""
    pairs = enumerate(zip(name, other, strict=False))
    return next((at for at, (one, another) in pairs if one != another), min(len(name), len(other)))


def _label(name: str, shared: int, width: int) -> str:
    """As much of the end as there is room for, but all that differs: from a word on, behind `shared` at the latest."""
    words = [at for at in range(1, shared + 1) if name[at - 1] in _SEPARATORS]
    if len(name) <= width or not words:
        return name
    return "…" + name[next((at for at in words if len(name) - at < width), words[-1]) :]
