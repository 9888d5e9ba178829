"""One incident as it was published and its alerts now → the incident as it is now, and whether that is news. Pure.

`revision` grows with news alone: with what a person wants to be notified of. What else changes (a count, a silence,
that nothing fires just now) changes the message, and notifies no one.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct, structs

from kgents_alert_notifier.grouping import decided, shape
from kgents_alert_notifier.grouping.grouping_config import GroupingConfig
from kgents_alert_notifier.grouping.known_alert import Known, ended_at
from kgents_alert_notifier.grouping.silencing import Silencing
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.incident import MEMBERS_MAX, Acknowledged, Incident, Moment
from kgents_shared.contract.wire import REMOVE

CALM_DOUBLINGS_MAX: Final = 3
"""The calm before the end doubles with each flap, up to eight times as long."""
GROWTH_S: Final = 10.0
"""How often an incident is published at most because of what is no news."""
NEWS_AFFECTED_MIN: Final = 5
"""Fewer affected entities are no news for having doubled."""


class Inputs(Struct, frozen=True):
    """What an incident depends on beside itself."""

    members: dict[str, Known]
    """Its alerts that are known, by subject."""
    root: Known | None
    """The alert of its root, if it is known."""
    unknown_members: tuple[str, ...]
    """Members of which no alert is known any more."""
    parent: str
    acknowledgement: Acknowledgement | None
    """What was decided last; maybe that it is taken back."""
    silencing: Silencing
    silenced_by: list[str]
    calm_floor: datetime | None = None
    """Before which no calm counts."""


def next_incident(last: Incident, inputs: Inputs, config: GroupingConfig, now: datetime) -> Incident:
    """The incident now; `last` itself if nothing has changed, or what has may wait (see `may_wait_until`)."""
    if last.state == "resolved":
        return last
    firing = [each for each in inputs.members.values() if each.is_firing]
    found = _with_alerts(last, firing, inputs, now)
    if not firing and found.calm_at is not None and now >= calm_until(found, config, inputs.calm_floor):
        calm = shape.duration(now - found.calm_at)
        return _stated(last, _resolved(found), inputs, now, calm=calm)
    found = _with_acknowledgement(found, inputs.acknowledgement, is_worse=found.severity != last.severity)
    found = structs.replace(
        found,
        parent=last.parent or inputs.parent,
        silenced_by=inputs.silenced_by if firing else _still_silenced_by(last, inputs.silencing),
        is_flapping=found.flaps >= config.flapping_after,
    )
    return _stated(last, found, inputs, now)


def as_opened(last: Incident, inputs: Inputs, now: datetime) -> Incident:
    """One that was opened a moment ago, with what was decided and found before."""
    found = structs.replace(last, parent=inputs.parent, silenced_by=inputs.silenced_by)
    return _with_moments(found, decided.silencing(last, found, inputs.silencing, now))


def expired(gone: Incident, now: datetime) -> Incident:
    """The removal of one that was resolved long ago."""
    return Incident(
        text=f"Expired: {gone.title}.",
        title=gone.title,
        cluster=gone.cluster,
        id=gone.id,
        op=REMOVE,
        state=gone.state,
        severity=gone.severity,
        root=gone.root,
        started_at=gone.started_at,
        opened_at=gone.opened_at,
        changed_at=now,
    )


def calm_until(incident: Incident, config: GroupingConfig, floor: datetime | None) -> datetime:
    """When an incident of which nothing fires is resolved."""
    if incident.calm_at is None:
        raise ValueError("an alert of this incident fires")
    doublings = min(incident.flaps, CALM_DOUBLINGS_MAX)
    began = max(incident.calm_at, floor) if floor is not None else incident.calm_at
    return began + timedelta(seconds=config.calm_s * 2**doublings)


def may_wait_until(last: Incident, found: Incident) -> datetime | None:
    """Until when a change need not be published, since only figures have grown; None: it is to be published now."""
    urgent = ("revision", "calm_at", "silenced_by", "parent")
    if any(getattr(last, name) != getattr(found, name) for name in urgent):
        return None
    return last.changed_at + timedelta(seconds=GROWTH_S)


def _with_alerts(last: Incident, firing: list[Known], inputs: Inputs, now: datetime) -> Incident:
    members = sorted({*inputs.unknown_members, *(each.member for each in inputs.members.values())})
    found = structs.replace(
        last,
        members=members[:MEMBERS_MAX],
        is_overfull=last.is_overfull or len(members) > MEMBERS_MAX,
    )
    if not firing:
        ends = (ended_at(each.alert, now) for each in inputs.members.values())
        return structs.replace(found, calm_at=last.calm_at or max(ends, default=now))
    if last.calm_at is not None:
        found = structs.replace(found, calm_at=None, flaps=last.flaps + 1)
    is_critical = any(each.alert.severity == "critical" for each in firing)
    found = structs.replace(
        found,
        severity="critical" if is_critical else last.severity,
        root=structs.replace(last.root, why=_why(last, inputs)),
        reasons=shape.reasons(inputs.root, firing),
    )
    return shape.with_affected(found, shape.affected(firing))


def _why(last: Incident, inputs: Inputs) -> str:
    return shape.why(inputs.root, inputs.members.values()) if inputs.root is not None else last.root.why


def _with_acknowledgement(incident: Incident, given: Acknowledgement | None, *, is_worse: bool) -> Incident:
    """An acknowledgement holds for what the person saw: not for one that became worse since."""
    if given is None or given.is_removal or is_worse or given.revision < incident.severity_revision:
        return structs.replace(incident, state="open", acknowledged=None)
    acknowledged = Acknowledged(by=given.by, at=given.at, via=given.via, note=given.note)
    return structs.replace(incident, state="acknowledged", acknowledged=acknowledged)


def _still_silenced_by(last: Incident, silencing: Silencing) -> list[str]:
    """While nothing fires, what silenced it before goes on to: that an alert ended is no reason to notify anyone."""
    return [each for each in last.silenced_by if silencing.acts(last.cluster, each)]


def _resolved(incident: Incident) -> Incident:
    return structs.replace(
        incident, state="resolved", ended_at=incident.calm_at, members=[], is_overfull=False, silenced_by=[]
    )


def _stated(last: Incident, found: Incident, inputs: Inputs, now: datetime, *, calm: str = "") -> Incident:
    """With the revision, the timeline and the sentence that follow from what has changed.

    `calm`: for how long nothing has fired, of one that is resolved.
    """
    news = list(_news(last, found, inputs, now, calm))
    if news:
        revision = last.revision + 1
        is_worse = found.severity != last.severity
        found = structs.replace(
            found,
            revision=revision,
            severity_revision=revision if is_worse else last.severity_revision,
            revision_affected=found.affected_count,
        )
    elif found.parent != last.parent:
        news = [Moment(at=now, text=f"Probably caused by incident {found.parent}.")]
    if _waits(found) and (not _waits(last) or found.severity != last.severity):
        found = structs.replace(found, waits_since=now)
    if found.state != "resolved":
        news += decided.silencing(last, found, inputs.silencing, now)
    found = _with_moments(found, news)
    found = structs.replace(found, text=shape.sentence(found))
    return last if found == last else structs.replace(found, changed_at=now)


def _waits(incident: Incident) -> bool:
    """Whether people should take care of it, and no one does."""
    return incident.state == "open" and not incident.silenced_by


def _with_moments(incident: Incident, moments: Iterable[Moment]) -> Incident:
    for each in moments:
        incident = structs.replace(incident, timeline=shape.with_moment(incident.timeline, each))
    return incident


def _news(last: Incident, found: Incident, inputs: Inputs, now: datetime, calm: str) -> Iterable[Moment]:
    is_worse = found.severity != last.severity
    if is_worse:
        yield Moment(at=now, text=f"Now {found.severity}.")
    if found.acknowledged != last.acknowledged and found.state != "resolved":
        if found.acknowledged is not None:
            yield decided.acknowledged(found.acknowledged, now)
        elif last.acknowledged is not None:
            yield decided.unacknowledged(last.acknowledged, inputs.acknowledgement, now, is_worse=is_worse)
    if found.is_flapping and not last.is_flapping:
        yield Moment(at=now, text=f"Flapping: it fired again {found.flaps} times.")
    if found.affected_count >= max(2 * last.revision_affected, NEWS_AFFECTED_MIN):
        yield Moment(at=now, text=f"{found.affected_count} entities are affected.")
    if found.state == "resolved":
        lasted = shape.duration((found.ended_at or found.changed_at) - found.started_at)
        yield decided.resolved(lasted, calm, now)
