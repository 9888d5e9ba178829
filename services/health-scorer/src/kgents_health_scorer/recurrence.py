"""What a check has found lately, again and again → whether its finding lasts. Findings → here → `scored_entity.py`.

A cause that comes and goes is one alert. A finding that begins for the third time within an hour lasts until it has
stayed away for the calm time; so does one of restarts, from the beginning. The past is part of the Health message, so
that a restarted scorer goes on from it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from kgents_shared.contract.health import Occurrences, Reason, Recurrence

WINDOW: Final = timedelta(hours=1)
SLOT_S: Final = 300
BEGINS: Final = 3
"""From this many beginnings within WINDOW on, a finding comes and goes."""
CALM_S: Final = 900.0
"""Longer than the ten minutes after which the kubelet takes a container for recovered."""


def count(past: Recurrence | None, now: datetime) -> int:
    """How often it occurred within the last hour."""
    return sum(each.count for each in _recent(past.occurrences, now)) if past is not None else 0


def is_found(past: Recurrence | None) -> bool:
    """Whether there is a finding: it is so now, or was so lately and lasts."""
    return past is not None and (past.cleared_at is None or past.is_lasting)


def is_flapping(past: Recurrence, now: datetime) -> bool:
    """Whether the finding has begun too often to end with what it found."""
    return len(past.begins) == BEGINS and past.begins[0] > now - WINDOW


def occurred(past: Recurrence | None, check: str, times: int, now: datetime) -> Recurrence:
    """The past after it occurred some times more."""
    past = past or Recurrence(check, cleared_at=now)
    slot = datetime.fromtimestamp(now.timestamp() // SLOT_S * SLOT_S, now.tzinfo)
    recent = _recent(past.occurrences, now)
    if recent and recent[-1].at >= slot:
        recent[-1] = Occurrences(recent[-1].at, recent[-1].count + times)
    else:
        recent.append(Occurrences(slot, times))
    return structs.replace(past, occurrences=recent, cleared_at=None if past.cleared_at is None else now)


def found(past: Recurrence | None, reason: Reason, now: datetime) -> Recurrence:
    """The past after a check has found something that is so now; on another connection it is the first time."""
    if past is not None and past.edge != reason.edge:
        past = None
    if past is None or past.cleared_at is not None:
        past = occurred(past, reason.check, 1, now)
    return _begun(_as_found(past, reason), past, now)


def lasting(past: Recurrence, now: datetime, *, is_so: bool) -> Recurrence:
    """The past of a finding that lasts from its beginning."""
    cleared_at = None if is_so else past.cleared_at or now
    return _begun(structs.replace(past, is_lasting=True, cleared_at=cleared_at), past, now)


def cleared(past: Recurrence, now: datetime, calm: timedelta, *, is_ended: bool = False) -> Recurrence | None:
    """The past when a check finds nothing now; None when there is nothing left to remember.

    Args:
        past: until now.
        now: when.
        calm: how long a lasting finding must stay away.
        is_ended: whether the entity ends as desired, which ends a finding that does not come and go at once.
    """
    since = past.cleared_at or now
    lasts = past.is_lasting and now - since < calm and (not is_ended or is_flapping(past, now))
    recent = [] if is_ended else _recent(past.occurrences, now)
    begins = [each for each in past.begins if each > now - WINDOW]
    if not (lasts or recent or begins):
        return None
    return structs.replace(past, cleared_at=since, is_lasting=lasts, occurrences=recent, begins=begins)


def same(published: Sequence[Recurrence], wanted: Iterable[Recurrence]) -> bool:
    """Whether a restarted scorer would go on alike from what is published: what has merely expired may still be in."""
    known = {each.check: each for each in published}
    return all(each.check in known and _key(known[each.check]) == _key(each) for each in wanted)


def _key(past: Recurrence) -> object:
    return past.occurrences[-1:], past.begins[-1:], past.cleared_at, past.is_lasting, past.edge


def _as_found(past: Recurrence, reason: Reason) -> Recurrence:
    return structs.replace(
        past,
        cleared_at=None,
        severity=reason.severity,
        value=reason.value,
        evidence=reason.evidence,
        edge=reason.edge,
    )


def _begun(past: Recurrence, before: Recurrence, now: datetime) -> Recurrence:
    if not is_found(before):
        begins = [*past.begins[1 - BEGINS :], now]
        past = structs.replace(past, begins=begins)
    return structs.replace(past, is_lasting=past.is_lasting or is_flapping(past, now))


def _recent(occurrences: Iterable[Occurrences], now: datetime) -> list[Occurrences]:
    return [each for each in occurrences if each.at > now - WINDOW]
