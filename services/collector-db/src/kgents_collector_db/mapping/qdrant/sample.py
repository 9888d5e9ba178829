"""What one poll of a Qdrant peer brings: `source/qdrant.py` → QdrantSample → `observe`."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.mapping.qdrant.exposition import Line


class Replica(Struct, frozen=True, order=True):
    """One copy of one shard."""

    shard: int
    peer: int
    state: str
    """`Active`, `Dead`, `Partial`, `Initializing`, `Listener`, `Recovery`, …"""


class Shards(Struct, frozen=True):
    """How a collection is spread, as this peer knows it."""

    replicas: tuple[Replica, ...] = ()
    transfers: int = 0
    """Copies on their way from one peer to another."""


class Collection(Struct, frozen=True, kw_only=True):
    """One collection. A figure that this version of the server does not give is None."""

    name: str
    status: str
    """`green`: all is well. `yellow`: it optimizes. `grey`: it would, but waits for an update. `red`: it failed."""
    optimizer_error: str = ""
    """The server's own words; empty while the optimizers are well."""
    warnings: int = 0
    points: int | None = None
    indexed_vectors: int | None = None
    segments: int | None = None
    queue_length: int | None = None
    deferred_points: int | None = None
    created: str = ""
    """When it was made, which tells it from an earlier one of its name; empty before Qdrant 1.20."""


class Raft(Struct, frozen=True, kw_only=True):
    """This peer's part in the cluster."""

    peer: int
    peers: Mapping[int, str]
    """Peer → its uri, this one included."""
    leader: int | None
    role: str
    term: int
    commit: int
    pending: int
    is_voter: bool
    consensus: str
    """`working`, `stopped`, `stopped_with_err`."""
    unreachable: int
    """Peers to which the last message could not be sent."""


class Process(Struct, frozen=True):
    """`/telemetry` at level 1: level 0 has no memory, and from 2 on it walks through the collections."""

    id: str
    """Another one after every start."""
    version: str
    started: datetime | None
    resident_bytes: int | None
    allocated_bytes: int | None


class Metrics(Struct, frozen=True):
    """One reading of `/metrics`: of this peer, and of requests to points only."""

    at_s: float
    """By a monotonic clock: what rates are measured with."""
    lines: tuple[Line, ...]


class QdrantSample(Struct, frozen=True, kw_only=True):
    """One poll. `None`: not known (then `faults` says why, or this server has no such thing)."""

    at: datetime
    address: str
    unreachable: Unreachable | None = None
    faults: tuple[str, ...] = ()
    poll_s: float = 0.0
    ping_s: float | None = None
    ready: bool | None = None
    """`/readyz`. Once true it never turns false: it tells of a start, and never of health."""
    process: Process | None = None
    names: tuple[str, ...] | None = None
    """All collections there are."""
    shown: tuple[str, ...] = ()
    """Those that are polled; beyond `max_collections` the others are only counted."""
    collections: tuple[Collection, ...] = ()
    """Those of `shown` that could be read this time."""
    shards: Mapping[str, Shards] = {}
    """By collection, in a cluster; as of the last medium poll."""
    raft: Raft | None = None
    metrics: Metrics | None = None
    """As of the last medium poll, unless that failed."""
    metrics_before: Metrics | None = None
    """The reading before, of the same start."""
