"""Alerts with one root → a new incident. Pure."""

import hashlib
from collections.abc import Callable, Collection
from datetime import datetime

from msgspec import structs

from kgents_alert_notifier.grouping import shape
from kgents_alert_notifier.grouping.known_alert import Known
from kgents_shared.contract.incident import MEMBERS_MAX, Incident, Moment


def opened(
    cluster: str, root: Known, members: Collection[Known], now: datetime, is_taken: Callable[[str], bool]
) -> Incident:
    """The incident of these alerts.

    Args:
        cluster: where it is.
        root: the likeliest cause.
        members: all its alerts, the root too.
        now: when it is opened.
        is_taken: whether an id is that of another incident.
    """
    title, entities = shape.title(root), shape.affected(members)
    incident = Incident(
        text="",
        title=title,
        cluster=cluster,
        id=_id(cluster, root, is_taken),
        state="open",
        severity="critical" if any(each.alert.severity == "critical" for each in members) else "warning",
        root=shape.root_of(root, members),
        started_at=min(each.alert.started_at or now for each in members),
        opened_at=now,
        changed_at=now,
        members=sorted(each.member for each in members)[:MEMBERS_MAX],
        is_overfull=len(members) > MEMBERS_MAX,
        timeline=[Moment(at=root.alert.started_at or now, text=f"{title}.")],
        reasons=shape.reasons(root, members),
        revision_affected=len(entities),
    )
    incident = shape.with_affected(incident, entities)
    return structs.replace(incident, text=shape.sentence(incident))


def _id(cluster: str, root: Known, is_taken: Callable[[str], bool]) -> str:
    """The same on any instance: made of the root's alert and when that began."""
    attempt = 0
    while True:
        text = f"{cluster} {root.subject} {root.started_s!r} {attempt}"
        found = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        if not is_taken(found):
            return found
        attempt += 1
