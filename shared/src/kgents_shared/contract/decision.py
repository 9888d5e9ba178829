"""What a person decides about alerts → the message that says so: an acknowledgement, a silence, their end. Pure.

The same for every way to decide: the command line, HTTP, the web view.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.silence import FIELDS, Matcher, Silence
from kgents_shared.contract.wire import REMOVE

SILENCE_MAX_S: Final = 366 * 86_400
"""The longest silence."""
LABEL: Final = "label."
MATCHABLE: Final = (*FIELDS[:-1], f"{LABEL}NAME")
"""What a matcher may compare, as people write it."""


class Author(msgspec.Struct, frozen=True):
    """Who decides, and where."""

    by: str
    via: str
    """`cli`, `http`, `web`."""


def acknowledged(incident: Incident, author: Author, now: datetime, note: str = "") -> Acknowledgement:
    """That someone takes care of an incident as it is."""
    text = f"{author.by} takes care of incident {incident.id}{f': {note}' if note else '.'}"
    return _acknowledgement(incident, author, now, text=text, note=note)


def no_longer_acknowledged(incident: Incident, author: Author, now: datetime) -> Acknowledgement:
    """That no one does any more."""
    text = f"{author.by} no longer takes care of incident {incident.id}."
    return _acknowledgement(incident, author, now, text=text, op=REMOVE)


def silenced(
    author: Author,
    *,
    id_: str,
    cluster: str,
    matchers: Iterable[Matcher],
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
    purpose: str,
) -> Silence:
    """That what matches notifies no one for a time."""
    found = list(matchers)
    until = f"until {ends_at:%Y-%m-%dT%H:%M:%SZ}"
    return Silence(
        text=f"{author.by} silences {' and '.join(map(written, found))} {until}: {reason or 'no reason given'}",
        cluster=cluster,
        id=id_,
        matchers=found,
        starts_at=starts_at,
        ends_at=ends_at,
        by=author.by,
        reason=reason,
        via=author.via,
        purpose=purpose,
    )


def ended(silence: Silence, author: Author) -> Silence:
    """That a silence is over."""
    text = f"{author.by} ended the silence {silence.id}."
    return msgspec.structs.replace(silence, op=REMOVE, text=text, by=author.by, via=author.via)


def is_matchable(field: str) -> bool:
    """Whether a matcher may compare it."""
    return field in FIELDS[:-1] or (field.startswith(LABEL) and field != LABEL)


def written(matcher: Matcher) -> str:
    """A matcher as people write it: `namespace=shop`."""
    return f"{matcher.field}{'!' if matcher.is_negated else ''}={matcher.value}"


def _acknowledgement(incident: Incident, author: Author, now: datetime, **fields: str) -> Acknowledgement:
    return Acknowledgement(
        cluster=incident.cluster,
        incident=incident.id,
        revision=incident.revision,
        by=author.by,
        at=now,
        via=author.via,
        **fields,
    )
