"""The life of an alert: the verdict of one check, one after another → pending → firing → resolved → `kgents.alert.>`.

A resolved alert is removed after a day, by a message: were it to expire on the server, readers would have to be
informed by a marker, and a stream that has markers cannot refuse that a publisher empties it (`Nats-Rollup`).

An alert that was only ever pending was a blip: it is withdrawn and never resolved.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Final

from kgents_health_scorer.score import CRITICAL
from kgents_health_scorer.verdict import Finding
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Reason
from kgents_shared.contract.vocabulary.kinds import SOURCE
from kgents_shared.contract.wire import REMOVE

PENDING: Final = "Pending: "
RESOLVED: Final = "Resolved: "
EXPIRED: Final = "Expired: "
RESOLVED_STAYS: Final = timedelta(days=1)
"""How long a resolved alert stays readable."""


def alert_same(published: Alert, wanted: Alert) -> bool:
    """Whether the published alert still holds: its value may vary, its state may not, nor may a number double.

    That of a source names what is not attested, that of a connection which one: neither may vary.
    """
    if published.ref.kind == SOURCE and published.text != wanted.text:
        return False
    return (published.state, published.severity, published.started_at, published.edge) == (
        wanted.state,
        wanted.severity,
        wanted.started_at,
        wanted.edge,
    ) and not has_doubled(published, wanted)


def has_doubled(published: Alert | Reason, wanted: Alert | Reason) -> bool:
    """Whether a number of occurrences, or how long it has been so, has at least doubled since it was published."""
    before, now = published.value, wanted.value
    is_number = wanted.unit == "s" or wanted.unit.startswith("{")
    if not (is_number and isinstance(before, float) and isinstance(now, float)):
        return False
    return now >= max(2 * before, 2)


def next_alert(ref: Ref, finding: Finding | None, before: Alert | None, now: datetime) -> Alert | None:
    """The alert of one check after the next verdict.

    Args:
        ref: the entity.
        finding: what the check finds now; None when it finds nothing.
        before: the alert so far.
        now: when.

    Returns:
        The alert; `before` itself when nothing has changed; None when there is no alert (any more).
    """
    if finding is None or (finding.is_suspect and before is not None and before.state == "firing"):
        return _ended(before, now)
    reason = finding.reason
    is_the_same_one = before is not None and before.state != "resolved"
    return Alert(
        text=f"{PENDING}{reason.text}" if finding.is_suspect else reason.text,
        ref=ref,
        check=reason.check,
        state="pending" if finding.is_suspect else "firing",
        severity="critical" if reason.severity >= CRITICAL else "warning",
        dedup_key=dedup_key(ref, reason.check),
        started_at=before.started_at if before is not None and is_the_same_one else finding.began or now,
        value=reason.value,
        threshold=reason.threshold,
        unit=reason.unit,
        evidence=reason.evidence,
        edge=reason.edge,
    )


def expiry(alert: Alert) -> datetime | None:
    """When an alert has been resolved for long enough to be removed; None if it is not resolved."""
    return alert.ended_at + RESOLVED_STAYS if alert.state == "resolved" and alert.ended_at is not None else None


def _ended(before: Alert | None, now: datetime) -> Alert | None:
    if before is None or before.state == "pending":
        return None
    if before.state == "resolved":
        end = expiry(before)
        return before if end is None or now < end else None
    return Alert(
        text=f"{RESOLVED}{_sentence(before)}",
        ref=before.ref,
        check=before.check,
        state="resolved",
        severity=before.severity,
        dedup_key=before.dedup_key,
        started_at=before.started_at,
        ended_at=now,
        value=before.value,
        threshold=before.threshold,
        unit=before.unit,
        evidence=before.evidence,
        edge=before.edge,
    )


def removal(before: Alert) -> Alert:
    """The message that an alert is gone."""
    return Alert(
        text=f"{EXPIRED}{_sentence(before)}",
        ref=before.ref,
        check=before.check,
        state=before.state,
        severity=before.severity,
        op=REMOVE,
        dedup_key=before.dedup_key,
    )


def _sentence(alert: Alert) -> str:
    """What was found, whatever became of it since."""
    return alert.text.removeprefix(PENDING).removeprefix(RESOLVED)


def dedup_key(ref: Ref, check_id: str) -> str:
    """The same for the same entity and check, today and in a year."""
    return hashlib.blake2b(ref.subject("alert", check=check_id).encode(), digest_size=8).hexdigest()
