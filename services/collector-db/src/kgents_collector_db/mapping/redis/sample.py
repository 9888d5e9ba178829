"""The sample of one poll of a Redis or Valkey server: `source/redis.py` → RedisSample → `observe`."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.mapping.redis.info import Info

Histogram = Mapping[int, int]
"""Upper bound of a bucket in µs → calls in this bucket since the last reset."""


class SlowCommand(Struct, frozen=True):
    """One entry of the slow log, without its arguments and client, which may contain data."""

    id: int
    """Counts up from the server's start: the difference of two ids is the number of entries."""
    duration_s: float


class Spike(Struct, frozen=True):
    """The latest spike of one of the server's own latency monitors (`fork`, `command`)."""

    event: str
    at_s: int
    """Unix time, by the server's clock."""
    latency_s: float


class ClusterNode(Struct, frozen=True, order=True):
    """One line of CLUSTER NODES."""

    id: str
    address: str
    """`host:port`; empty when the node knows none."""
    flags: tuple[str, ...]
    """`myself master`, `slave fail?`, …"""
    master_id: str = ""
    """Of a replica."""
    slots: int = 0

    @property
    def is_gone(self) -> bool:
        """Whether the cluster reports it as failed, or has no confirmed address of it."""
        return not {"fail", "handshake", "noaddr"}.isdisjoint(self.flags)


class RedisSample(Struct, frozen=True, kw_only=True):
    """One poll. `None`: not read in this poll, or not answered (then `faults` has the reason)."""

    at: datetime
    address: str
    """`host:port`, as configured."""
    memory_limit_bytes: int | None = None
    """Memory that the container or machine grants the process, as configured: INFO does not report it."""
    unreachable: Unreachable | None = None
    faults: tuple[str, ...] = ()
    """One sentence for each section that could not be read."""
    info: Info | None = None
    info_at_s: float = 0.0
    """When INFO was answered, by a monotonic clock: rates are computed with it."""
    own_commands: int = 0
    """Commands that the server executed for us until this INFO, on all our connections to it."""
    ping_s: float | None = None
    poll_s: float = 0.0
    """Duration of the whole poll."""
    slow: tuple[SlowCommand, ...] | None = None
    """Newest first."""
    histograms: Mapping[str, Histogram] | None = None
    """By command."""
    spikes: tuple[Spike, ...] | None = None
    cluster: Info | None = None
    """CLUSTER INFO."""
    nodes: tuple[ClusterNode, ...] | None = None
