"""What people decide about an incident, and what ends that → entries of its timeline. Pure.

An entry is made when the decision begins to count: a silence once it matches every alert that fires.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from msgspec import structs

from kgents_alert_notifier.grouping.silencing import Silencing
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.incident import Acknowledged, Decided, Incident, Moment

NO_PERSON: Final = ("alert-notifier", "service")
"""Author and place of what no person decides."""


def acknowledged(given: Acknowledged, at: datetime) -> Moment:
    """That someone takes care of it."""
    note = f": {given.note}" if given.note else ""
    decided = Decided(action="acknowledge", by=given.by, via=given.via, reason=given.note)
    return Moment(at=at, text=f"Acknowledged by {given.by}{note}", decided=decided)


def unacknowledged(before: Acknowledged, word: Acknowledgement | None, at: datetime, *, is_worse: bool) -> Moment:
    """That no one does any more: someone took it back, or it became worse than they saw."""
    if is_worse:
        reason = f"it became worse than {before.by} saw it"
        return _ended("No longer acknowledged", "unacknowledge", reason, at)
    if word is not None and word.is_removal:
        decided = Decided(action="unacknowledge", by=word.by, via=word.via, reason=word.note)
        return Moment(at=at, text=f"No longer acknowledged: {word.by} took it back.", decided=decided)
    return _ended("No longer acknowledged", "unacknowledge", f"the acknowledgement of {before.by} is gone", at)


def resolved(lasted: str, calm: str, at: datetime) -> Moment:
    """That it is over."""
    reason = f"nothing of it has fired for {calm}"
    by, via = NO_PERSON
    decided = Decided(action="resolve", by=by, via=via, reason=reason)
    return Moment(at=at, text=f"Resolved after {lasted}.", decided=decided)


def silencing(last: Incident, found: Incident, silences: Silencing, at: datetime) -> Iterator[Moment]:
    """Which silences began or ended to act on it."""
    acting = {each.decided.silence: each for each in last.timeline if each.decided is not None and each.decided.silence}
    for id_ in found.silenced_by:
        last_of, begun = acting.get(id_), _begun(found.cluster, id_, silences, at)
        if last_of is None or (last_of.text, last_of.decided) != (begun.text, begun.decided):
            yield begun
    for before in acting.values():
        decided = before.decided
        if decided is None or decided.action != "silence" or decided.silence in found.silenced_by:
            continue
        if (over := _over(found, decided, silences, at)) is not None:
            yield over


def _begun(cluster: str, id_: str, silences: Silencing, at: datetime) -> Moment:
    silence = silences.last(cluster, id_)
    if silence is not None:
        decided = Decided(
            action="silence", by=silence.by, via=silence.via, reason=silence.reason, silence=id_,
            matchers=silence.matchers,
        )  # fmt: skip
        until = f"until {silence.ends_at:%Y-%m-%d %H:%M} UTC"
        text = f"Silenced by {silence.by} {until}: {silence.reason or 'no reason given'}"
        return Moment(at=at, text=text, decided=decided)
    planned = silences.planned(id_)
    reason = planned.reason if planned is not None else ""
    by, via = NO_PERSON
    decided = Decided(action="silence", by=by, via=via, reason=reason or "planned maintenance", silence=id_)
    return Moment(at=at, text=f"Silenced by {id_} of the configuration: {decided.reason}", decided=decided)


def _over(found: Incident, begun: Decided, silences: Silencing, at: datetime) -> Moment | None:
    """That a silence has ended, or matches not all that fires; None: it acts, and nothing fires."""
    word = silences.last(found.cluster, begun.silence)
    if word is not None and word.is_removal:
        decided = structs.replace(begun, action="unsilence", by=word.by, via=word.via, reason="")
        return Moment(at=at, text=f"No longer silenced: {word.by} ended the silence.", decided=decided)
    if not silences.acts(found.cluster, begun.silence):
        reason = "the silence is over"
    elif found.calm_at is None and not found.silenced_by:
        reason = "an alert fires that no silence matches"
    else:
        return None
    by, via = NO_PERSON
    decided = structs.replace(begun, action="unsilence", by=by, via=via, reason=reason)
    return Moment(at=at, text=f"No longer silenced: {reason}.", decided=decided)


def _ended(what: str, action: str, reason: str, at: datetime) -> Moment:
    by, via = NO_PERSON
    return Moment(at=at, text=f"{what}: {reason}.", decided=Decided(action=action, by=by, via=via, reason=reason))
