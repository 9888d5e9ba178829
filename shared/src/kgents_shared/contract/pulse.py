"""A sample of figures: `kgents.pulse.<cluster>.<source>.<kind>.<namespace>.<name>`. A log: old samples are dropped.

A figure has three values, each with its own meaning:

- a number: measured. Zero is a measured zero.
- `null`: it applies, and is not known now. It neither makes nor ends a finding; a finding that it leaves without a
  number for five minutes (or three intervals, if that is longer) is replaced by "not known".
- absent: it does not apply (any more): there is no such slot, no limit, no link. A finding on it ends with this pulse.

A figure in a section that is a map (`custom`, `replication`, …) is written as what it is. A field that is None is left
out of the bytes, so a field that applies and is not known now is named in `unread`; `unread: ["*"]` says that nothing
was read, and then whatever is left out is not known rather than ended. A sum over nothing, and a sum of which one
part is not known, is `null`.
"""

from typing import Annotated, Final

import msgspec

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.sketch import Histogram
from kgents_shared.contract.wire import Time, Wire

PHASES: Final = ("starting", "healthy", "degraded", "overloaded", "failing")

Ratio = Annotated[float, msgspec.Meta(description="0..1")]
Seconds = Annotated[float, msgspec.Meta(gt=0)]

Reading = float | None | msgspec.UnsetType
"""A figure as a reader takes it: a number; None, not known now; UNSET, it does not apply."""

ALL: Final = "*"
"""In `unread`: nothing was read."""


def unread_of(**fields: float | None) -> list[str]:
    """Which of these fields, that all apply, are not known: for `unread`."""
    return [name for name, value in fields.items() if value is None]


class ResourcePulse(Wire, frozen=True, kw_only=True, tag_field="type", tag="RESOURCE_PULSE"):
    """What an entity uses. `custom` holds figures without a field, with units in their names (`pending_messages`)."""

    text: str = ""
    """One plain sentence of what matters most below. Empty: the program that published it did not write one."""
    ref: Ref
    source: str
    timestamp: Time
    """When it was measured, which is not when it was sent."""
    interval_s: Seconds
    """When to expect the next one: three missed are no data, and no data is never health."""
    uid: str = ""
    cpu_percent: float | None = None
    """Of one core: 150 is one and a half cores."""
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    """None: no limit is known; there is no ratio then."""
    network_rx_bytes: float | None = None
    """Per second since the last pulse."""
    network_tx_bytes: float | None = None
    """Per second since the last pulse."""
    custom: dict[str, float | None] = {}
    unread: list[str] = []
    """Fields that apply and are not known now, by name (`cpu_percent`); `*`: nothing was read, see above."""
    read_at: dict[str, Time] = {}
    """Figure → when it was read, for one that is older than the pulse: repeated, it is no new sample."""
    cut: list[str] = []
    """What was left out because the whole message would exceed the server's max_payload; `unread` is `*` then."""


class Pool(Wire, frozen=True):
    """Connections of a database, as its server counts them."""

    active: int | None = None
    idle: int | None = None
    waiting: int | None = None
    max: int | None = None
    utilization: Ratio | None = None


class Memory(Wire, frozen=True):
    """Memory of a store that lives in it."""

    used_mb: float | None = None
    max_mb: float | None = None
    utilization: Ratio | None = None
    fragmentation: float | None = None


class Collections(Wire, frozen=True):
    """Vector collections."""

    count: int | None = None
    vectors: int | None = None


class DatabasePulse(Wire, frozen=True, kw_only=True, tag_field="type", tag="DB_PULSE"):
    """A database's figures in one layout for every backend; a section that does not apply is left out."""

    text: str = ""
    """One plain sentence of what matters most below. Empty: the program that published it did not write one."""
    ref: Ref
    source: str
    backend: str
    """`postgres`, `redis`, `qdrant`, …"""
    timestamp: Time
    interval_s: Seconds
    phase: str
    """One of PHASES."""
    uid: str = ""
    cause: str = ""
    """The cause of the phase: `refused`, `saturated`, `wrong credentials`."""
    pool: Pool | None = None
    memory: Memory | None = None
    collections: Collections | None = None
    performance: dict[str, float | None] = {}
    storage: dict[str, float | None] = {}
    pubsub: dict[str, int | None] = {}
    replication: dict[str, float | None] = {}
    morphisms: int | None = None
    """Statements or commands carried out since the server started."""
    custom: dict[str, float | None] = {}
    """Every further figure under its metric name (`postgres_locks`), the observer's own cost among them."""
    unread: list[str] = []
    """Fields that apply and are not known now, by name (`cpu_percent`); `*`: nothing was read, see above."""
    read_at: dict[str, Time] = {}
    """Figure → when it was read, for one that is older than the pulse: repeated, it is no new sample."""
    cut: list[str] = []
    """What was left out because the whole message would exceed the server's max_payload; `unread` is `*` then."""


Requests = Annotated[float, msgspec.Meta(ge=0)]
Spans = Annotated[int, msgspec.Meta(ge=0)]


class Inbound(Wire, frozen=True, kw_only=True):
    """What one application served in the interval, to all its callers."""

    n: Requests
    """Requests; of traces that are sampled with a known ratio, those that they stand for."""
    spans: Spans
    """Spans that were counted. What judges a share of them judges by this number: ten know a rate to 62 %."""
    errors: Requests = 0.0
    """Of these requests: those that the server answered with an error."""
    latency_ms: Histogram | None = None
    """Durations of the server's spans in milliseconds, without streams; None: there is none."""


class EdgeSample(Wire, frozen=True, kw_only=True):
    """What one application called at one peer in one way, in the interval. All histograms are of milliseconds."""

    peer: Ref | str
    """As in the connection of the application's entity: a ref, or an address or alias that topology-builder resolves.
    The peer `other` stands for the peers beyond the limit."""
    kind: str
    """As in the connection: `http`, `grpc`, `nats`, `network`, `depends`."""
    n: Requests
    """Requests; of traces that are sampled with a known ratio, those that they stand for."""
    spans: Spans
    """Calls that were counted from spans."""
    errors_client: Requests = 0.0
    """Calls that failed as their client has it: time-outs and refused connections among them."""
    errors_server: Requests = 0.0
    """Calls that the peer answered with an error, as the peer has it. Errors at the client alone: the network."""
    paired_share: Ratio | None = None
    """Of the calls: those of which the peer's side was received, too. None: the peer sends no spans."""
    weight: str = "unknown"
    """How many requests a span stands for: `known` from the trace itself, `configured`, `inferred`, or `unknown`,
    and then each counts as one."""
    client_ms: Histogram | None = None
    """Durations at the client."""
    server_ms: Histogram | None = None
    """Durations at the peer, of the calls of this client."""
    gap_ms: Histogram | None = None
    """Client less server, call by call: the time on the way. It needs no clock in common."""


class TrafficPulse(Wire, frozen=True, kw_only=True, tag_field="type", tag="TRAFFIC_PULSE"):
    """The requests that one application served and made in one interval. Samples of several intervals merge."""

    text: str = ""
    """One plain sentence of what matters most below. Empty: the program that published it did not write one."""
    ref: Ref
    source: str
    timestamp: Time
    """The end of the interval."""
    interval_s: Seconds
    uid: str = ""
    inbound: Inbound | None = None
    """None: it sent no spans of requests that it served. `n: 0` is a measured zero."""
    edges: list[EdgeSample] = []
    hidden_edges: Spans = 0
    """Peers beyond the limit; what it called there is in the edge to `other`."""
    custom: dict[str, float | None] = {}
    """The same as figures (`requests_per_sec`, `error_rate`, `latency_p95_ms`), for readers that know no histograms."""
    unread: list[str] = []
    """Fields that apply and are not known now, by name; `*`: nothing was received, see above."""
    read_at: dict[str, Time] = {}
    """Figure → when it was read, for one that is older than the pulse: repeated, it is no new sample."""
    cut: list[str] = []
    """What was left out because the whole message would exceed the server's max_payload; `unread` is `*` then."""


Pulse = ResourcePulse | DatabasePulse | TrafficPulse


def field(pulse: Pulse, name: str, value: float | None) -> Reading:
    """The three values of a fixed field; `value` is what the pulse has in it."""
    return value if value is not None or name in pulse.unread else msgspec.UNSET
