"""Who wrote what through us: `kgents.audit.<cluster>.<action>`. A log that only grows. Pure.

A write is two records with one id: `begun` before it, and `done` or `failed` after it. One that is only begun may have
been done or not: its writer ended in between. When it was is the time at which the stream stored the record.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from kgents_shared.contract import subjects
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.silence import Silence
from kgents_shared.contract.wire import Wire

BEGUN: Final = "begun"
DONE: Final = "done"
FAILED: Final = "failed"

DECIDED: Final[dict[str, tuple[str, str]]] = {
    "ack": ("acknowledge", "unacknowledge"),
    "silence": ("silence", "unsilence"),
}
"""Signal of what people decide → the actions that store it, and take it back."""
FORGET: Final = "archive-forget"
"""What the archive held was removed on request. `after.audit_records`: numbers of records that lost their content."""
EDGE_INIT: Final = "edge-init"
"""A hub was made, and its logins; recorded once its NATS runs."""
SET_UP: Final = (
    "provision", "token", EDGE_INIT, "edge-new", "edge-update", "edge-rotate", "edge-revoke", "archive-migrate", FORGET,
)  # fmt: skip
"""Actions of who sets up the streams, the logins, and the archive."""
RESYNC: Final = "edge-resync"
RESTORE: Final = "restore"
REPLAY: Final = "replay"
DISRUPT: Final = "disrupt"
"""Something was taken from a database, to see that it is noticed: a pod, or its network."""
OPERATE: Final = "operate"
"""The operator has made, changed or removed something of a database."""
ANCHOR: Final = "anchor"
"""No write: how far the archive has chained the records, and the hash of the last one."""
ACTIONS: Final = (
    *(each for pair in DECIDED.values() for each in pair), *SET_UP, RESYNC, RESTORE, REPLAY, DISRUPT, OPERATE, ANCHOR,
)  # fmt: skip
"""All there are; readers tolerate others."""


class AuditRecord(Wire, frozen=True, kw_only=True):
    """One write, or how it ended. What people wrote is in it with credentials masked."""

    text: str
    cluster: str
    """The cluster that it is about; of what is not about one, the cluster of the configuration."""
    action: str
    """One of ACTIONS."""
    id: str
    """Of the write: the same in both records, and in one that was sent again."""
    stage: str
    """`begun`, `done`, `failed`: it ended with an error, and of several steps the first may have been done."""
    by: str
    """Who: a user's name, a gateway's identity, a name at Slack or PagerDuty. No one proves it to the stream."""
    via: str
    """`cli`, `http`, `web`, `slack`, `pagerduty`, `service`."""
    origin: str = ""
    """From where: `user@machine` of a command, or the address of who sent a request; behind a proxy, the proxy's."""
    target: str
    """What was written: an incident, a silence, a stream, an edge, a file."""
    before: dict[str, Any] | None = None
    """What was there before; null: nothing, or it cannot be said."""
    after: dict[str, Any] | None = None
    """What is to be there afterwards; null: nothing."""
    why: str = ""
    """Of one that failed: the error."""

    @property
    def subject(self) -> str:
        """Its subject."""
        return subjects.build("audit", cluster=self.cluster, action=self.action)


class Write(msgspec.Struct, frozen=True):
    """One write, as far as it is known."""

    record: AuditRecord
    """As it ended; as it began if that is not known."""
    outcome: str | None
    """`done` or `failed`; None: not known."""
    why: str = ""


def of_decision(
    message: Silence | Acknowledgement, before: Silence | Acknowledgement | None, *, id_: str, origin: str
) -> AuditRecord:
    """That something is being decided."""
    if isinstance(message, Acknowledgement):
        signal, target = "ack", f"incident {message.incident}"
    else:
        signal, target = "silence", f"silence {message.id}"
    return AuditRecord(
        text=message.text,
        cluster=message.cluster,
        action=DECIDED[signal][message.is_removal],
        id=id_,
        stage=BEGUN,
        by=message.by,
        via=message.via,
        origin=origin,
        target=target,
        before=msgspec.to_builtins(before) if before is not None and not before.is_removal else None,
        after=msgspec.to_builtins(message) if not message.is_removal else None,
    )


def ended(record: AuditRecord, *, after: dict[str, Any] | None = None, why: str | None = None) -> AuditRecord:
    """The record of how a write ended that had begun.

    `after`: what is there now, if that was not known before; `why`: it failed.
    """
    if after is not None:
        record = msgspec.structs.replace(record, after=after)
    if why is None:
        return msgspec.structs.replace(record, stage=DONE)
    return msgspec.structs.replace(record, stage=FAILED, why=why, text=f"Failed: {record.text}")


class Writes:
    """Records in the order of their stream → writes. A record that comes again, as after a restore, counts once."""

    def __init__(self) -> None:
        self._begun: dict[str, AuditRecord] = {}
        self._ended: dict[str, AuditRecord] = {}

    def take(self, record: AuditRecord) -> bool:
        """Take the next record; returns whether its write is new here."""
        is_new = record.id not in self._begun and record.id not in self._ended
        (self._begun if record.stage == BEGUN else self._ended).setdefault(record.id, record)
        return is_new

    def of(self, id_: str) -> Write:
        """What is known of one write by now."""
        end = self._ended.get(id_)
        if end is None:
            return Write(self._begun[id_], None)
        return Write(end, end.stage, end.why)

    def __iter__(self) -> Iterator[Write]:
        yield from map(self.of, dict.fromkeys((*self._begun, *self._ended)))
