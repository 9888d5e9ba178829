"""The JetStream streams, as data. `kgents provision` makes the server match them."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import structs

from kgents_shared.contract.section import Fault, Section
from kgents_shared.contract.subjects import FIELDS, ROOT

DAY_S: Final = 86_400
REMOVAL_TTL_S: Final = 7 * DAY_S
"""How long a removal stays readable: a consumer may be stopped that long and still receive it."""
OUTAGE_BUDGET_S: Final = 3 * DAY_S
"""How long the link of an edge may be down without a removal being lost. At most half of REMOVAL_TTL_S, so that one
that was published just before is still there when the link is back."""
COLLECTED: Final = frozenset({"entity", "pulse", "event", "meta"})
"""The signals of an edge: what its collectors write. A hub copies these from it, and derives all others."""

COPIED: Final = ("topology", "health", "alert", "incident")
"""The signals whose streams keep few versions, so that a copy may be kept for the archive."""

_DOMAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

Positive = Annotated[int, msgspec.Meta(gt=0)]


class StreamsConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may choose about the streams."""

    replicas: Annotated[int, msgspec.Meta(ge=1, le=5)] | Literal["auto"] = "auto"
    """Servers that hold a copy. auto: 3 where NATS is a cluster of three servers or more, else 1; it lowers none."""
    history: Annotated[int, msgspec.Meta(ge=1, le=64)] = 16
    """Messages kept for each subject of topology, health, alert and incident: how far back `--at` reaches."""
    pulse_max_age_s: Positive = 3_600
    """An hour: pulses feed health and live views, a time-series store keeps the rest."""
    event_max_age_s: Positive = 7 * DAY_S
    """A week: Kubernetes itself forgets its events after an hour."""
    pulse_max_bytes: Positive = 256 * 1024**2
    """Cap of the pulse log; the oldest go first. JetStream reserves it, so it must fit the server's disk limit."""
    event_max_bytes: Positive = 256 * 1024**2
    """Cap of the event log; the oldest go first."""
    audit_max_age_s: Positive = 400 * DAY_S
    """Thirteen months: a year can be compared with the one before. The archive has no limit for it."""
    audit_max_bytes: Positive = 64 * 1024**2
    """Cap of the audit trail, some 50,000 writes; the oldest go first. JetStream reserves it."""
    archive_copy_max_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Cap of each of four copies with every version, from which an archiver reads what a stream has forgotten while it
    or PostgreSQL was away; the oldest go first. JetStream reserves it four times. 0: no copies, so that what changes
    more often than `history` meanwhile is a gap."""
    archive_copy_max_age_s: Positive = 3 * DAY_S
    """For how long such a copy keeps a message: as long as an outage may last over a weekend."""
    place: Literal["hub", "edge"] = "hub"
    """Where these streams are. edge: a NATS of its own near the collectors, with what they write alone; a hub copies
    it. hub: everything, which is also right without any edge."""
    edges: list[str] = []
    """Of a hub: the clusters whose collectors write to an edge. The name of an edge is that of its cluster."""

    def faults(self) -> Iterator[Fault]:
        if self.place == "edge" and self.archive_copy_max_bytes:
            advice = "what is copied for the archive is at the hub"
            yield Fault("archive_copy_max_bytes", "0, because place is edge", str(self.archive_copy_max_bytes), advice)
        if self.place == "edge" and self.edges:
            advice = "an edge has no edges: leave one of both out"
            yield Fault("edges", "none, because place is edge", ", ".join(self.edges), advice, beside=("place",))
        for name in self.edges:
            if not _DOMAIN.fullmatch(name):
                advice = "it is the JetStream domain of the edge, too"
                yield Fault("edges", "letters, digits, - and _", f'"{name}"', advice)


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One stream; the names are JetStream's."""

    name: str
    signal: str
    description: str
    replicas: int | Literal["auto"]
    max_msgs_per_subject: int = -1
    max_age_s: int = 0
    """0: messages never age out."""
    max_bytes: int = -1
    delete_marker_ttl_s: int = 0
    """How long the server's own word that a message expired stays readable; 0: it gives none.

    JetStream cannot give it and refuse roll-ups: every account that may publish to such a stream may also empty it.
    """
    is_append_only: bool = False
    """Whether a publisher may not even say when its own message expires."""
    allows_purge: bool = False
    """Whether old messages may be dropped by request. What is false here can never be made true again."""
    duplicate_window_s: int = 60
    """How long a message id is remembered. Ids cost memory, so no longer than a publisher retries."""
    edges: tuple[str, ...] = ()
    """The clusters whose messages it copies from the stream of the same name at their edge."""

    @property
    def subject(self) -> str:
        """The one filter it captures. No two streams may overlap."""
        return f"{ROOT}.{self.signal}." + ".".join("*" for _ in FIELDS[self.signal])

    @property
    def allows_rollup(self) -> bool:
        """Whether a message may replace others than the last of its own subject (`Nats-Rollup: all` or `sub`)."""
        return self.delete_marker_ttl_s > 0


def streams(config: StreamsConfig) -> tuple[Stream, ...]:
    """Every stream of the pipeline, in the order in which data flows."""
    everything = _everything(config)
    if config.place == "edge":
        return tuple(each for each in everything if each.signal in COLLECTED or each.is_append_only)
    edges = tuple(sorted(set(config.edges)))
    return tuple(structs.replace(each, edges=edges) if each.signal in COLLECTED else each for each in everything)


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """A mirror of a stream, with every version for some time: see `bus/copies`."""

    name: str
    origin: str
    replicas: int | Literal["auto"]
    max_age_s: int
    max_bytes: int


def copies(config: StreamsConfig) -> tuple[Copy, ...]:
    """The copies that are kept for the archive; mostly none."""
    if not config.archive_copy_max_bytes:
        return ()
    return tuple(
        Copy(
            name=copy_of(each.signal), origin=each.name, replicas=each.replicas,
            max_age_s=config.archive_copy_max_age_s, max_bytes=config.archive_copy_max_bytes,
        )
        for each in streams(config) if each.signal in COPIED
    )  # fmt: skip


def copy_of(signal: str) -> str:
    """The name of the copy of a signal's stream."""
    return f"KGENTS_COPY_{signal.upper()}"


def _everything(config: StreamsConfig) -> tuple[Stream, ...]:
    state: dict[str, Any] = {"replicas": config.replicas, "max_msgs_per_subject": 1}
    history = state | {"max_msgs_per_subject": config.history, "allows_purge": True}
    return (
        Stream(name="KGENTS_ENTITY", signal="entity", description="what each collector sees now", **state),
        Stream(
            name="KGENTS_PULSE",
            signal="pulse",
            description="samples of figures",
            replicas=config.replicas,
            max_age_s=config.pulse_max_age_s,
            max_bytes=config.pulse_max_bytes,
        ),
        Stream(
            name="KGENTS_EVENT",
            signal="event",
            description="events of entities",
            replicas=config.replicas,
            max_age_s=config.event_max_age_s,
            max_bytes=config.event_max_bytes,
        ),
        Stream(name="KGENTS_TOPOLOGY", signal="topology", description="the merged topology, with history", **history),
        Stream(name="KGENTS_HEALTH", signal="health", description="health with its reasons, with history", **history),
        Stream(name="KGENTS_ALERT", signal="alert", description="alerts, with history", **history),
        Stream(name="KGENTS_INCIDENT", signal="incident", description="alerts grouped by cause", **history),
        Stream(name="KGENTS_NOTICE", signal="notice", description="what each receiver knows of an incident", **state),
        Stream(name="KGENTS_SILENCE", signal="silence", description="which alerts notify no one", **state),
        Stream(name="KGENTS_ACK", signal="ack", description="who takes care of an incident", **state),
        Stream(
            name="KGENTS_AUDIT",
            signal="audit",
            description="who wrote what, only ever longer",
            replicas=config.replicas,
            max_age_s=config.audit_max_age_s,
            max_bytes=config.audit_max_bytes,
            is_append_only=True,
        ),
        Stream(
            name="KGENTS_META",
            signal="meta",
            description="heartbeats, leases, dead letters",
            delete_marker_ttl_s=DAY_S,  # readers must learn that a heartbeat has expired
            allows_purge=True,  # JetStream lets no stream with markers refuse it
            **state,
        ),
    )


HISTORY_STREAMS: Final[frozenset[str]] = frozenset(
    stream.name for stream in streams(StreamsConfig()) if stream.max_msgs_per_subject > 1
)
"""State streams that keep more than the last message of a subject."""

STATE_SIGNALS: Final[frozenset[str]] = frozenset(
    stream.signal for stream in streams(StreamsConfig()) if stream.max_msgs_per_subject > 0
)
"""Signals of which the last message of a subject is its state."""

NAME_BY_SIGNAL: Final[dict[str, str]] = {stream.signal: stream.name for stream in streams(StreamsConfig())}
"""Signal → stream name."""
