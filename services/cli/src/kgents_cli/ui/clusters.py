"""Clusters that differ at a glance: each has a sign and a colour of its own, the same in every dashboard. Pure."""

from collections.abc import Mapping
from functools import lru_cache
from zlib import crc32

from kgents_cli.ui.palette import CLUSTERS


@lru_cache(maxsize=64)
def marks(names: tuple[str, ...]) -> Mapping[str, str]:
    """Cluster → one of `palette.CLUSTERS`, by its name; of two that would have the same, the second has the next."""
    found: dict[str, str] = {}
    for name in sorted(names):
        first = crc32(name.encode()) % len(CLUSTERS)
        order = [CLUSTERS[(first + step) % len(CLUSTERS)] for step in range(len(CLUSTERS))]
        found[name] = next((each for each in order if each not in found.values()), order[0])
    return found
