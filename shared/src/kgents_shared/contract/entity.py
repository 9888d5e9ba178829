"""One entity as one collector sees it: `kgents.entity.<cluster>.<source>.<kind>.<namespace>.<name>`."""

from typing import Annotated, Final

import msgspec

from kgents_shared.contract import subjects
from kgents_shared.contract.wire import REMOVE, Time, Wire, stated

STATUSES: Final = ("running", "pending", "failed", "terminating", "succeeded", "unknown")

Value = str | int | float | bool | list[str] | None
"""An attribute's value, as OpenTelemetry allows it."""


class Ref(msgspec.Struct, frozen=True, order=True, gc=False):
    """The name of an entity: stable across restarts, unlike its `uid`."""

    cluster: str
    kind: str
    name: str
    namespace: str = ""
    """Empty for what lives in no namespace."""

    def subject(self, signal: str, **more: str) -> str:
        """This entity's subject under a signal, e.g. `ref.subject("entity", source="k8s")`."""
        before, after = subjects.around_name(signal, self.cluster, self.kind, self.namespace, **more)
        return f"{before}{subjects.escape(self.name)}{after}"

    @classmethod
    def of_subject(cls, subject: str) -> "Ref":
        """The entity whose subject this is under `entity`, `pulse`, `event`, `topology` or `health`.

        Raises:
            MalformedMessageError: it is none, or a name is too long to stand in it: then only the message holds it.
        """
        beginning, _, name = subject.rpartition(".")
        cluster, kind, namespace = subjects.before_name(beginning)
        return cls(cluster, kind, subjects.unescape(name), namespace)

    @property
    def path(self) -> str:
        """The shortest name that is complete within a cluster: `pod/shop/cart-7f`, `node/n1`."""
        return f"{self.kind}/{self.namespace}/{self.name}" if self.namespace else f"{self.kind}/{self.name}"

    def __str__(self) -> str:
        """For people: `pod shop/cart-7f`. The cluster is left out: most readers have one."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


class Traffic(Wire, frozen=True):
    """Traffic of a connection now. None is not known, which is not zero."""

    requests_per_sec: float | None = None
    bytes_per_sec: float | None = None
    error_rate: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    """0..1 of all requests."""
    latency_ms: float | None = None
    """Of requests: the median, at the client."""
    latency_p95_ms: float | None = None
    latency_p99_ms: float | None = None
    gap_ms: float | None = None
    """Of requests: the median of client less server, call by call: the time on the way."""
    calls_per_request: float | None = None
    """Requests of the connection for each request that the acting side itself serves."""


SPANS: Final = "spans"
"""The evidence of a connection that is known by calls."""
CLIENT_ADDRESS: Final = "address of the client"
"""The evidence of a connection to where a client is, by the address that it calls from."""
OTHER: Final = "other"
"""The peer that stands for those of an application beyond a limit."""
PUBLIC: Final = "public addresses"
LOCAL: Final = "local addresses"
"""Callers that are not named one by one: on the internet, and on the same machine or segment."""
STAND_INS: Final = frozenset({OTHER, PUBLIC, LOCAL})
"""Peers that are no name of an entity: several have nothing else in common."""


class Connection(Wire, frozen=True):
    """An edge, carried by its shorter-lived side (the pod names its node), so that one entity is one message."""

    kind: str
    """One of `vocabulary.edges`, or a newer one."""
    peer: Ref | str
    """The other end: its ref, or an alias or address that it claims, resolved by topology-builder."""
    direction: str = "out"
    """`out`: from this entity to the peer; `in`: the peer is the one that acts."""
    attributes: dict[str, Value] = {}
    evidence: str = ""
    """The rule or field it comes from, e.g. `spec.nodeName`; SPANS of one that is known by calls."""
    traffic: Traffic | None = None


class Entity(Wire, frozen=True, kw_only=True):
    """One entity as one source sees it now, or (`op: remove`) its removal.

    It holds state only, nothing that changes by itself: no sample, no age, no time of observation. Otherwise an
    unchanged entity would be published at every poll.
    """

    text: str = ""
    """One plain sentence, made of the state below. Empty: the program that published it did not write one."""
    ref: Ref
    source: str
    """Who reports it: `k8s`, `docker`, `nats`, …; the service collector-<source>, or a program of your own."""
    op: str = stated("upsert")
    uid: str = ""
    """The incarnation: pod uid, container id, server start id. A removal only removes the uid it names."""
    part: str = ""
    """What it is collected with as a whole (a Docker engine, a database target), so that a heartbeat can name it as
    unread. Empty: the source is collected as one."""
    status: str = stated("unknown")
    """One of STATUSES; anything else is read as `unknown`."""
    reason: str = ""
    """Why the status is what it is (`CrashLoopBackOff`); in a removal, why it is gone (`deleted`, `expired`)."""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    attributes: dict[str, Value] = {}
    """By OpenTelemetry semantic-convention names where one exists: `k8s.pod.uid`, `container.id`."""
    addresses: list[str] = []
    """Where it is reachable: `10.0.3.7:5432`, `10.0.3.7`, `[fd00::7]:5432`. Another entity's connection may name one as
    its peer, in any spelling (case, zeros, brackets)."""
    aliases: list[str] = []
    """Its other names: `pg.shop.svc`, `container-id:4f…`. Same use as addresses."""
    connections: list[Connection] = []
    created_at: Time | None = None
    report_interval_s: Annotated[float, msgspec.Meta(gt=0, le=30 * 86_400)] | None = None
    """For a source without a heartbeat of its own: it expires after three missed reports.

    None: it never does, and is stale from 30 s after the last heartbeat of its source (or, if that has none, from 15 s
    after it was reported), since no one attests it.
    """

    cut: list[str] = []
    """What was left out because the whole message would exceed the server's max_payload: `annotations.big`,
    `connections (3,000 of 40,000)`. Empty: it is whole."""

    @property
    def is_removal(self) -> bool:
        """Whether this is the entity's removal."""
        return self.op == REMOVE
