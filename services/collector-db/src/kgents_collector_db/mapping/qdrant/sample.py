"""The sample of one poll of a Qdrant peer: `source/qdrant.py` → QdrantSample → `observe`."""

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
    """The shards and replicas of a collection, as this peer knows them."""

    replicas: tuple[Replica, ...] = ()
    transfers: int = 0
    """Shard transfers between peers that are in progress."""


class Collection(Struct, frozen=True, kw_only=True):
    """One collection. None: not reported by this version of the server."""

    name: str
    status: str
    """`green`: ready. `yellow`: optimizing. `grey`: optimizations wait for an update. `red`: failed."""
    optimizer_error: str = ""
    """The server's error text; empty while the optimizers work."""
    warnings: int = 0
    points: int | None = None
    indexed_vectors: int | None = None
    segments: int | None = None
    queue_length: int | None = None
    deferred_points: int | None = None
    created: str = ""
    """Creation time: distinguishes it from an earlier collection of its name. Empty before Qdrant 1.20."""


class Raft(Struct, frozen=True, kw_only=True):
    """This peer's part in the cluster."""

    peer: int
    peers: Mapping[int, str]
    """Peer id → URI, this peer included."""
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
    """`/telemetry` at level 1: level 0 lacks memory, and levels from 2 read every collection."""

    id: str
    """Changes at every start."""
    version: str
    started: datetime | None
    resident_bytes: int | None
    allocated_bytes: int | None


class Metrics(Struct, frozen=True):
    """One reading of `/metrics`: this peer only, and only requests to points."""

    at: datetime
    at_s: float
    """Monotonic clock: rates are computed with it."""
    lines: tuple[Line, ...]


class QdrantSample(Struct, frozen=True, kw_only=True):
    """One poll. `None`: not known; `faults` has the reason, unless this server does not report it."""

    at: datetime
    address: str
    unreachable: Unreachable | None = None
    faults: tuple[str, ...] = ()
    poll_s: float = 0.0
    ping_s: float | None = None
    ready: bool | None = None
    """`/readyz`. Once true it stays true: it shows the end of the start, not health."""
    process: Process | None = None
    names: tuple[str, ...] | None = None
    """All collections."""
    shown: tuple[str, ...] = ()
    """The collections that are polled, `max_collections` at most; the others are only counted."""
    collections: tuple[Collection, ...] = ()
    """Those of `shown` that this poll could read."""
    unread: Mapping[str, str] = {}
    """Those of `shown` that it could not read: why."""
    shards: Mapping[str, Shards] = {}
    """By collection, in a cluster; as of the last medium poll."""
    shards_at: datetime | None = None
    """When that was."""
    is_cluster_read: bool = False
    """Whether `/cluster` answered: without `raft`, it is a single server then."""
    raft: Raft | None = None
    metrics: Metrics | None = None
    """As of the last medium poll, unless that failed."""
    metrics_before: Metrics | None = None
    """The previous reading, of the same start."""
