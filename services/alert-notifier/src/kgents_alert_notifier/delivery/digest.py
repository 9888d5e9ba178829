"""Many incidents at once → the worst ones, and one message for all others. Pure.

A digest is delivered like an incident: it has an id, a first revision that lists what is open, and a second one once
all of that is over. Its entries are on its notice, so that a successor sends the same.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from kgents_shared.contract.incident import Incident
from kgents_shared.contract.notice import Notice

PREFIX = "digest-"
OPEN, OVER = 1, 2
"""Its revisions."""


def worst_first(incidents: Sequence[Incident]) -> list[Incident]:
    """What is not over first, what is critical before others, then what affects most, then what began first."""
    return sorted(incidents, key=_rank)


def _rank(incident: Incident) -> tuple[bool, bool, int, datetime, str]:
    is_over, is_mild = incident.state == "resolved", incident.severity != "critical"
    return is_over, is_mild, -incident.affected_count, incident.started_at, incident.id


def split(waiting: Sequence[Incident], *, at_most: int, worst: int) -> tuple[list[Incident], list[Incident]]:
    """Those that are notified separately, and the entries of a digest; none if not too many wait."""
    ordered = worst_first(waiting)
    return (ordered, []) if len(ordered) <= at_most else (ordered[:worst], ordered[worst:])


def entries_of(incidents: Sequence[Incident]) -> list[str]:
    """As they are kept on the notice."""
    return [f"{each.id}@{each.revision}" for each in incidents]


def revisions(notice: Notice) -> dict[str, int]:
    """Incident → its revision in the digest."""
    parts = (each.rpartition("@") for each in notice.entries)
    return {incident: int(revision) for incident, _, revision in parts if revision.isdecimal()}


def digest_id(receiver: str, entries: Sequence[str]) -> str:
    """The same for the same entries, in whatever instance."""
    text = "\0".join([receiver, *sorted(entries)])
    return f"{PREFIX}{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


def is_digest(incident: str) -> bool:
    """Whether an id is that of a digest."""
    return incident.startswith(PREFIX)


def as_incident(digest: str, entries: Sequence[Incident]) -> Incident:
    """The digest in the form that receivers take; resolved once all its entries are. At least one entry is known."""
    ordered = worst_first(entries)
    head, count = ordered[0], len(ordered)
    is_over = all(each.state == "resolved" for each in ordered)
    title = f"{count} incidents are over" if is_over else f"{count} incidents at once"
    changed = max(each.changed_at for each in ordered)
    return replace(
        head,
        text=f"{title}: a digest",
        title=title,
        id=digest,
        state="resolved" if is_over else "open",
        revision=OVER if is_over else OPEN,
        severity_revision=OPEN,
        root=replace(head.root, why="the worst of them"),
        parent="",
        started_at=min(each.started_at for each in ordered),
        opened_at=min(each.opened_at for each in ordered),
        changed_at=changed,
        ended_at=changed if is_over else None,
        acknowledged=None,
        affected=[],
        affected_count=sum(each.affected_count for each in ordered),
        affected_by_kind=_sums([each.affected_by_kind for each in ordered]),
        members=[],
        timeline=[],
        flaps=0,
        is_flapping=False,
        reasons=[],
        labels={},
    )


def _sums(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in counts:
        for kind, count in each.items():
            found[kind] = found.get(kind, 0) + count
    return found
