"""What one poll of a Redis or Valkey server brings: `source/redis.py` → RedisSample → `observe`."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.mapping.redis.info import Info

Histogram = Mapping[int, int]
"""Upper bound in µs → calls that took no longer, and longer than the bound before; since the last reset."""


class SlowCommand(Struct, frozen=True):
    """One entry of the slow log. Its arguments and its client are dropped where it is read: they hold data."""

    id: int
    """Counts up from the server's start, so the difference of two is how many there were."""
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
        """Whether the cluster has given it up, or does not know it well enough yet."""
        return not {"fail", "handshake", "noaddr"}.isdisjoint(self.flags)


class RedisSample(Struct, frozen=True, kw_only=True):
    """One poll. `None`: not asked for in this poll, or not answered (then `faults` says why)."""

    at: datetime
    address: str
    """Where it was looked for: `host:port`, as configured."""
    memory_limit_bytes: int | None = None
    """What the container or machine allows the process, as configured: the server does not know."""
    unreachable: Unreachable | None = None
    faults: tuple[str, ...] = ()
    """Plain sentences, one for each section that failed alone."""
    info: Info | None = None
    info_at_s: float = 0.0
    """When INFO was answered, by a monotonic clock: what rates are measured with."""
    own_commands: int = 0
    """Commands the server has carried out for us until this INFO, over all our connections to it."""
    ping_s: float | None = None
    poll_s: float = 0.0
    """How long the whole poll took."""
    slow: tuple[SlowCommand, ...] | None = None
    """The newest first."""
    histograms: Mapping[str, Histogram] | None = None
    """By command."""
    spikes: tuple[Spike, ...] | None = None
    cluster: Info | None = None
    """CLUSTER INFO."""
    nodes: tuple[ClusterNode, ...] | None = None
