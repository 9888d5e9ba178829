"""The servers' answers, unchanged: source/ → Sample → mapping. Pure.

The Structs declare only what the mapping reads; all else is skipped while decoding. Names, units and
meaning are the endpoints' own (`/varz`, `/connz`, `/jsz`, `/healthz`): times in nanoseconds, -1 for "no limit".
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from msgspec import Struct, structs

Endpoint = Literal["varz", "connz", "jsz"]
ENDPOINTS: Final[tuple[Endpoint, ...]] = ("varz", "connz", "jsz")
EPOCH: Final = datetime.fromtimestamp(0, UTC)
"""Stands for a time that a server did not give."""


class Listener(Struct, frozen=True):
    """`varz.leaf`, `.websocket` and others: one more place where it listens, maybe not."""

    tls_cert_not_after: datetime = EPOCH


class ClusterOptions(Struct, frozen=True):
    """`varz.cluster`; empty on a single server."""

    name: str = ""
    addr: str = ""
    cluster_port: int = 0
    tls_cert_not_after: datetime = EPOCH


class JetStreamLimits(Struct, frozen=True):
    """`varz.jetstream.config`, in bytes; absent while JetStream is off."""

    max_memory: int = -1
    max_storage: int = -1


class JetStreamUsage(Struct, frozen=True):
    """`varz.jetstream.stats`, in bytes."""

    memory: int = 0
    storage: int = 0


class JetStreamState(Struct, frozen=True):
    """`varz.jetstream`."""

    config: JetStreamLimits | None = None
    stats: JetStreamUsage = JetStreamUsage()


class Varz(Struct, frozen=True):
    """`/varz`: one server. All message and byte figures count from its start."""

    server_id: str
    """New at every start."""
    server_name: str
    now: datetime = EPOCH
    """The server's own clock when it answered; rates are computed by it."""
    start: datetime = EPOCH
    config_load_time: datetime = EPOCH
    version: str = ""
    git_commit: str = ""
    go: str = ""
    host: str = ""
    port: int = 0
    max_payload: int = 0
    max_connections: int = 0
    tls_cert_not_after: datetime = EPOCH
    """When the certificate that it shows to clients ends; since 2.12."""
    cluster: ClusterOptions = ClusterOptions()
    leaf: Listener = Listener()
    gateway: Listener = Listener()
    websocket: Listener = Listener()
    mqtt: Listener = Listener()
    jetstream: JetStreamState = JetStreamState()
    cores: int = 0
    cpu: float = 0.0
    """Percent of one core."""
    mem: int = 0
    """Resident bytes."""
    connections: int = 0
    subscriptions: int = 0
    slow_consumers: int = 0
    """Clients disconnected as slow consumers since the start."""
    in_msgs: int = 0
    out_msgs: int = 0
    in_bytes: int = 0
    out_bytes: int = 0

    @property
    def certificate_until(self) -> datetime | None:
        """When the first of the certificates that it shows ends; None: it shows none, or does not say."""
        listeners = (self.cluster, self.leaf, self.gateway, self.websocket, self.mqtt)
        ends = (self.tls_cert_not_after, *(each.tls_cert_not_after for each in listeners))
        return min((each for each in ends if each > EPOCH), default=None)


class Subscription(Struct, frozen=True, gc=False):
    """`connz.connections[].subscriptions_list_detail[]`."""

    subject: str
    sid: str = ""
    qgroup: str = ""
    msgs: int = 0
    """Messages delivered to it since it was made."""


class ClientConnection(Struct, frozen=True):
    """`connz.connections[]`. `in` is what the client sends, `out` what it gets."""

    cid: int
    """Unique within one start of one server."""
    start: datetime = EPOCH
    ip: str = ""
    """Where it connects from, as the server sees it, and …"""
    port: int = 0
    name: str = ""
    lang: str = ""
    version: str = ""
    account: str = "$G"
    """Present only with `auth=true`."""
    pending_bytes: int = 0
    in_msgs: int = 0
    out_msgs: int = 0
    in_bytes: int = 0
    out_bytes: int = 0
    subscriptions: int = 0
    subscriptions_list_detail: list[Subscription] = []


class Connz(Struct, frozen=True):
    """`/connz`: the open client connections of one server."""

    server_id: str
    now: datetime = EPOCH
    total: int = 0
    connections: list[ClientConnection] = []

    @property
    def keys(self) -> frozenset[int]:
        """What the server sorts its pages by."""
        return frozenset(connection.cid for connection in self.connections)

    def plus(self, page: "Connz") -> "Connz":
        """This with a later page."""
        merged = {connection.cid: connection for connection in (*self.connections, *page.connections)}
        return structs.replace(self, connections=list(merged.values()))


class RaftGroup(Struct, frozen=True):
    """Where a stream or consumer lives; without `leader` it has none now and accepts no messages."""

    leader: str = ""
    """A server's name."""


class Origin(Struct, frozen=True):
    """A stream that another one copies: `config.mirror`, `config.sources[]`."""

    name: str


class StreamConfig(Struct, frozen=True):
    """`stream_detail[].config`."""

    subjects: list[str] = []
    retention: str = ""
    storage: str = ""
    discard: str = "old"
    num_replicas: int = 1
    max_bytes: int = -1
    max_msgs: int = -1
    max_age: int = 0
    max_msgs_per_subject: int = -1
    mirror: Origin | None = None
    sources: list[Origin] = []


class StreamState(Struct, frozen=True):
    """`stream_detail[].state`."""

    messages: int = 0
    bytes: int = 0
    last_seq: int = 0
    consumer_count: int = 0


class ConsumerConfig(Struct, frozen=True):
    """`consumer_detail[].config`."""

    durable_name: str = ""
    inactive_threshold: int = 0
    ack_policy: str = ""
    deliver_policy: str = ""
    filter_subject: str = ""
    filter_subjects: list[str] = []
    max_ack_pending: int = 0


class Delivered(Struct, frozen=True):
    """`consumer_detail[].delivered`."""

    consumer_seq: int = 0


class ConsumerDetail(Struct, frozen=True):
    """`consumer_detail[]`. Only the leader's figures are valid; a follower answers with zeros."""

    name: str
    stream_name: str = ""
    created: datetime = EPOCH
    config: ConsumerConfig = ConsumerConfig()
    cluster: RaftGroup | None = None
    delivered: Delivered = Delivered()
    num_pending: int = 0
    num_ack_pending: int = 0
    num_redelivered: int = 0
    num_waiting: int = 0
    paused: bool = False


class StreamDetail(Struct, frozen=True):
    """`account_details[].stream_detail[]`."""

    name: str
    created: datetime = EPOCH
    config: StreamConfig = StreamConfig()
    cluster: RaftGroup | None = None
    state: StreamState = StreamState()
    consumer_detail: list[ConsumerDetail] = []


class AccountDetail(Struct, frozen=True):
    """`account_details[]`."""

    name: str
    stream_detail: list[StreamDetail] = []


class Jsz(Struct, frozen=True):
    """`/jsz`: the streams and consumers that have a copy on one server."""

    server_id: str
    now: datetime = EPOCH
    disabled: bool = False
    total: int = 0
    """Accounts."""
    account_details: list[AccountDetail] = []

    @property
    def keys(self) -> frozenset[str]:
        """What the server sorts its pages by."""
        return frozenset(account.name for account in self.account_details)

    def plus(self, page: "Jsz") -> "Jsz":
        """This with a later page."""
        merged = {account.name: account for account in (*self.account_details, *page.account_details)}
        return structs.replace(self, account_details=list(merged.values()))


class Healthz(Struct, frozen=True):
    """`/healthz?js-server-only=true`.

    `error` while the server starts or leaves (it then takes no connection, and lists only some of its streams),
    `unavailable` while JetStream lacks its cluster, else `ok`.
    """

    status: str = "ok"
    error: str = ""


class Server(Struct, frozen=True):
    """One server's answers. None: it gave none, and a Fault says why."""

    origin: str
    """How it was reached: its url, or, over the system account, its name."""
    varz: Varz | None = None
    connz: Connz | None = None
    jsz: Jsz | None = None
    healthz: Healthz | None = None
    stale: frozenset[Endpoint] = frozenset()
    """Answers taken over from an earlier sample: valid for state, not for figures."""
    clients_since: datetime = EPOCH
    """Since when clients can stay connected, by its own clock: its start, or the end of a time in which it did not
    answer."""

    @property
    def name(self) -> str:
        """The server's name; empty while it is not known."""
        return self.varz.server_name if self.varz is not None else ""


class Fault(Struct, frozen=True):
    """What could not be read."""

    origin: str
    text: str
    """The fault and what to try, in one sentence."""


class Count(Struct):
    """Messages of one subject since the last poll."""

    messages: int = 0
    size_bytes: int = 0


class Heard(Struct, frozen=True):
    """What was heard since the last poll."""

    account: str = ""
    counts: Mapping[str, Count] = {}
    """Every subject that was heard lately, also if not since the last poll."""
    listened_s: float = 0.0
    """How long it was listened to: less than the time between two polls where too much came."""
    seconds: float = 0.0
    is_settled: bool = True
    """Whether it has been listened to for so long that a subject which was not heard is gone."""


NOTHING: Final = Heard()
"""Where nothing is listened to."""


class Here(Struct, frozen=True):
    """Where this collector runs, as far as that shows which loopback a server means."""

    boot_id: str = ""
    """The run of the kernel."""
    namespace: int = 0
    """The kernel's number of the network namespace."""
    own_end: tuple[str, int] | None = None
    """Address and port of its own connection to NATS."""


class Sample(Struct, frozen=True):
    """One poll of all servers."""

    at: datetime
    """When it was taken, by our clock: the pulses' time."""
    servers: tuple[Server, ...] = ()
    faults: tuple[Fault, ...] = ()
    expected: int = 1
    """How many servers there are, whether they answered or not."""
    heard: Heard = NOTHING
    """Messages on the subjects that are listened to."""
    here: Here = Here()

    @property
    def named(self) -> tuple[Server, ...]:
        """The servers of which at least the name is known; others cannot be published."""
        return tuple(server for server in self.servers if server.varz is not None)

    @property
    def unseen(self) -> frozenset[Endpoint]:
        """Endpoints of which some server's answer is neither here nor remembered: their lists have gaps."""
        if len(self.named) < self.expected:
            return frozenset(ENDPOINTS)
        return frozenset(
            endpoint for server in self.servers for endpoint in ENDPOINTS if getattr(server, endpoint) is None
        )
