"""What a service reports about itself: `kgents.meta.<cluster>.<service>.<instance>`. Its absence is news too.

Besides heartbeats the same subjects carry a lease (`<instance>` = `lease`) and dead letters: messages that could not
be read (`<instance>` = `dead-letter-<signal>-<slot>`). `kgents.meta.<cluster>.attendance.<service>` says when a service
was at work: a message in the form of a heartbeat, which earlier versions pass over, and which never expires.
"""

from datetime import datetime
from typing import Annotated, Final

import msgspec

from kgents_shared.contract.unread import Unread
from kgents_shared.contract.wire import Time, Wire

LEASE: Final = "lease"
ATTENDANCE: Final = "attendance"
"""No service, but what stands in its place where a service says when it was at work."""
DEAD_LETTER: Final = "dead-letter"
HEARTBEAT_STATES: Final = ("starting", "syncing", "in_sync", "degraded", "standby", "stopped")
READY_STATES: Final = ("in_sync", "standby")
"""Of a service that does what it should."""
BEGINNING_STATES: Final = ("starting", "syncing")
LEASE_TTL_S: Final = 10
"""So long may no other instance write, where one has ended without giving its lease back."""
HEARTBEAT_INTERVAL_S: Final = 5.0
"""After it a heartbeat is due; it is sent at the next turn that all timers of the process share, 6 s after the last."""
HEARTBEAT_TTL_S: Final = 15
"""Two missed heartbeats: then the server drops the message and stores a marker."""
ATTENDANCE_INTERVAL_S: Final = 15.0
"""How often a service that keeps everything up to date stores its attendance."""
ABSENT_AFTER_S: Final = 2 * ATTENDANCE_INTERVAL_S
"""Without an attendance for so long, a service was absent; a restart or a takeover takes less."""
ABSENCES_MAX: Final = 200
"""In one message, some 20 kB: of what was before the oldest of them nothing is known."""
EDGE_SYNC: Final = "edge-sync"
"""The service whose heartbeat under a cluster says whether the link to its edge is up, and all here that was there."""
STALL_S: Final = 0.05
"""Seconds of CPU for which a service may keep its event loop; leases and heartbeats wait meanwhile."""


class Cost(Wire, frozen=True):
    """What the observer itself uses."""

    cpu_percent: float
    """Of one core, over the last interval."""
    memory_bytes: int
    longest_stall_s: float = 0.0
    """The longest computation of the last five minutes during which nothing else of the service could run, in seconds
    of CPU. More than 0.05 is a defect of the service."""


class Share(Wire, frozen=True):
    """How an instance shares the clusters of its service with the other instances."""

    home: str
    """Its own cluster: the heartbeat under this one says all that follows."""
    clusters: list[str] = []
    """Those that it may write; empty: all."""
    wants: list[str] = []
    """Those that it should write by its own account, and which it does not hold yet."""


class Storage(Wire, frozen=True):
    """What a service keeps on the disks of a database."""

    used_bytes: int
    expected_bytes: int | None = None
    """What that will be when all is there that is to be kept, if it is like what came until now; None: too early."""
    max_bytes: int | None = None
    """Beyond this the oldest is dropped before its time; None: no bound."""


class Absence(Wire, frozen=True):
    """A time in which a service did not keep its cluster up to date, by the server's clock."""

    begin: Time
    end: Time


class Attendance(Wire, frozen=True):
    """When a service kept all that it publishes of a cluster up to date.

    It did so since `since`, except for the absences, until the message was stored. It never expires, so that it is
    known afterwards when nothing was judged.
    """

    since: Time
    """Before that, nothing is known."""
    absences: list[Absence] = []
    """The oldest first."""

    def resumed(self, last: datetime, now: datetime) -> "Attendance":
        """This, by a service that is at work again.

        Args:
            last: when the attendance was stored last.
            now: by the same clock.
        """
        if (now - last).total_seconds() <= ABSENT_AFTER_S:
            return self
        absences = [*self.absences, Absence(last, now)]
        dropped, kept = absences[:-ABSENCES_MAX], absences[-ABSENCES_MAX:]
        return msgspec.structs.replace(self, since=dropped[-1].end if dropped else self.since, absences=kept)


class Heartbeat(Wire, frozen=True, tag_field="type", tag="heartbeat"):
    """A running instance and its progress."""

    text: str
    service: str
    instance: str
    version: str
    started_at: Time
    state: str
    """One of HEARTBEAT_STATES."""
    reason: str = ""
    """Why it is not in sync; in sync, what it cannot read besides the entities that it attests."""
    source: str = ""
    """The source whose entities this instance attests; empty for a service that is no collector."""
    watermark: dict[str, int] = {}
    """Stream → sequence up to which everything read has also been published."""
    lag_s: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Age of the oldest change not yet published, in seconds."""
    published: int = 0
    """Messages published since the start."""
    rows: int = 0
    """Subjects whose last value this instance keeps."""
    conflicts: int = 0
    dead_letters: int = 0
    spilled: int = 0
    """Messages waiting in the on-disk buffer."""
    spilled_bytes: int = 0
    """Their size; the oldest are dropped beyond …"""
    spilled_max_bytes: int = 0
    """… this. 0: an earlier version, which does not report it."""
    evicted: int = 0
    """Messages dropped since the start, the oldest first: the on-disk buffer was full, or could not be written."""
    publishes: list[str] = []
    """Subject filters it writes, and …"""
    consumes: list[str] = []
    """… streams it reads: NATS servers do not report these of their clients."""
    cost: Cost | None = None
    behind: dict[str, int] | None = None
    """Of edge-sync: stream → messages that wait at the edge. None: not known, as while the link is down."""
    unread: list[Unread] = []
    """What it could not read of its source. What is published of that stays as it was, and is not attested."""
    backlog_s: dict[str, float] = {}
    """Of a service that notifies others: receiver → for how many seconds the oldest of what it has yet to be sent has
    waited. Those that wait for nothing are left out."""
    storage: Storage | None = None
    """Of the archiver; None: not known, or another service."""
    attendance: Attendance | None = None
    """Under `attendance` alone, where it is no heartbeat: when the service named as the instance was at work."""
    share: Share | None = None
    """None: it writes no state and so shares nothing, or is of an earlier version, whose one lease covers every cluster
    that it writes."""

    @property
    def unattested(self) -> list[Unread]:
        """What of its source it does not attest.

        In sync it attests everything, and so it does when degraded, except for the scopes in `unread`. In any other
        state, or degraded without a scope (an earlier version does not name any), it attests nothing.
        """
        if self.state == "in_sync" or (self.state == "degraded" and self.unread):
            return self.unread
        return [Unread(reason=self.reason or f"its collector is {self.state.replace('_', ' ')}")]


class Lease(Wire, frozen=True, tag_field="type", tag="lease"):
    """The instance that writes for a service and cluster now. Expires by its message's TTL unless renewed."""

    text: str
    holder: str
    """The instance."""
    acquired_at: Time


class DeadLetter(Wire, frozen=True, tag_field="type", tag="dead_letter"):
    """That a message could not be read, and why, instead of stopping a service."""

    text: str
    subject: str
    reason: str
    evidence: str
    """`<stream>:<sequence>` of the message itself."""
    payload_base64: str = ""
    """Empty: the message may hold a secret. Kept for programs that read it; earlier versions put 4 KiB here."""
    size_bytes: int = 0
    payload_sha256: str = ""
    """Digest of the message, in hexadecimal: two letters with the same one had the same content."""


Meta = Heartbeat | Lease | DeadLetter


def is_reserved(instance: str) -> bool:
    """Whether a name means a lease or a dead letter on the subjects of a service, so that no instance may have it."""
    return instance in (LEASE, DEAD_LETTER) or instance.startswith(f"{DEAD_LETTER}-")
