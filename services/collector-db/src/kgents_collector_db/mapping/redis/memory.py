"""Memory use against the limit that is reached first: INFO and the configured limit → Fill. Pure."""

from typing import Final

from msgspec import Struct

from kgents_collector_db.mapping.redis.info import Info
from kgents_collector_db.mapping.redis.sample import RedisSample

MIB: Final = 1024.0**2
FRAGMENTATION_FROM_BYTES: Final = 256 * MIB
"""Below this use, the ratio measures fixed costs of the process: an empty server reports 7 or 13."""


class Fill(Struct, frozen=True):
    """Use and ceiling in bytes; None: not reported, or no known limit."""

    used_bytes: float | None = None
    ceiling_bytes: float | None = None
    is_soft: bool = False
    """Whether reaching the ceiling is no fault: the server evicts keys, instead of rejecting writes or being killed."""

    @property
    def ratio(self) -> float | None:
        """Use / ceiling; may exceed 1."""
        if self.used_bytes is None or not self.ceiling_bytes:
            return None
        return self.used_bytes / self.ceiling_bytes

    @property
    def hard_ratio(self) -> float | None:
        """The ratio; None if the ceiling is soft, as a cache that evicts is full by design."""
        return None if self.is_soft else self.ratio


def fill(sample: RedisSample) -> Fill:
    """The ceiling that is reached first.

    `maxmemory` limits allocated memory without replication buffers; a container's limit applies to resident memory,
    fragmentation included. `total_system_memory` is the memory of the host and no limit. A replica ignores its own
    `maxmemory` until it is promoted (`replica-ignore-maxmemory`): until then it has the keys of its master.
    """
    info = sample.info
    if info is None:
        return Fill()
    used, resident = info.number("used_memory"), info.number("used_memory_rss")
    counted = None if used is None else used - (info.number("mem_not_counted_for_evict") or 0.0)
    own = Fill(counted, info.number("maxmemory") or None, is_soft=evicts(info) or info.role == "replica")
    granted = Fill(resident, float(sample.memory_limit_bytes)) if sample.memory_limit_bytes is not None else Fill()
    if own.ratio is None:
        return granted if granted.ratio is not None else Fill(used)
    is_first = granted.ratio is not None and (granted.ratio > own.ratio or info.role == "replica")
    return granted if is_first else own


def evicts(info: Info) -> bool:
    """Whether the server evicts keys when it is full."""
    return bool(info.number("maxmemory")) and info.text("maxmemory_policy") not in ("", "noeviction")


def fragmentation(info: Info) -> float | None:
    """Allocator fragmentation ratio; None below FRAGMENTATION_FROM_BYTES."""
    if (info.number("used_memory") or 0.0) < FRAGMENTATION_FROM_BYTES:
        return None
    return info.number("allocator_frag_ratio") or info.number("mem_fragmentation_ratio")
