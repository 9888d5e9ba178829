"""An incident and what a receiver knows of it → the facts that every message is made of, worded once. Pure.

Names and notes come from the observed system: credentials in them are masked, control characters replaced. Each form
then escapes and cuts them by its own rules.
"""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

import msgspec

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.masking import masked
from kgents_shared.contract.quantity import counted, worded

RESOLVED: Final = "resolved"
CHECK: Final = "{check}"
"""Stands for the number of a check in the address of the runbook."""
ACKNOWLEDGED: Final = "acknowledged"
AFFECTED_SHOWN: Final = 5
TEXT_MAX: Final = 500
"""Characters of one sentence that is quoted: a label or a note of 10 kB must not displace the rest."""
_BIDI: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
"""Characters that change the direction of what follows them: a name could show as another."""
REPEAT: Final = "This may be a repeat: the last request for it got no clear answer."


class Links(msgspec.Struct, frozen=True):
    """Where messages lead to; empty: nowhere."""

    web_url: str = ""
    """Where people open the web view."""
    runbook_url: str = ""
    """Where the page of a check is, with `{check}` in place of its number."""

    def runbook(self, check: str) -> str:
        """The page of a check; empty if it has none, as the test of a receiver."""
        return self.runbook_url.replace(CHECK, check) if check.startswith("KG-") else ""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver is to be informed of now."""

    incident: Incident
    known_state: str = ""
    """The state that the receiver has confirmed; empty: it was never notified."""
    known_revision: int = 0
    may_repeat: bool = False
    """Whether it may have this already."""
    links: Links = Links()
    is_reminder: bool = False
    """Whether it is notified again only because no one has acknowledged."""
    is_test: bool = False
    """Whether a person only tries out the receiver."""
    entries: Sequence[Incident] = ()
    """Of a digest: its incidents, the worst first."""

    @property
    def is_over(self) -> bool:
        """Whether the incident is resolved."""
        return self.incident.state == RESOLVED

    @property
    def is_opening(self) -> bool:
        """Whether the receiver has not confirmed any message of it."""
        return not self.known_revision

    @property
    def changes_state(self) -> bool:
        """Whether people should notice this, and not only find it: another state, or it became worse."""
        is_worse = self.incident.severity_revision > self.known_revision
        return self.is_opening or self.is_reminder or self.incident.state != self.known_state or is_worse

    @property
    def status(self) -> str:
        """`critical`, `warning`, `acknowledged`, `resolved`."""
        return self.incident.severity if self.incident.state == "open" else self.incident.state

    @property
    def headline(self) -> str:
        """What, and how bad: `CRITICAL: pod shop/api-1 restarts again and again`."""
        test = "TEST, " if self.is_test else ""
        return f"{test}{self.status.upper()}: {clean(self.incident.title)}"

    @property
    def lasting(self) -> str:
        """Since when: `since 14:02 UTC on 29 Nov 2026, for 12 min`; once it is over how long it took."""
        incident = self.incident
        began = incident.started_at
        until = incident.ended_at or incident.changed_at
        lasted = worded(max((until - began).total_seconds(), 0.0), "s")
        if self.is_over:
            return f"lasted {lasted}, from {moment(began)} to {moment(until)}"
        return f"since {moment(began)}, for {lasted} so far"

    @property
    def affected(self) -> str:
        """How much: `7 pods and 1 deployment: pod shop/api-1, …`."""
        incident = self.incident
        kinds = sorted(incident.affected_by_kind.items(), key=lambda each: (-each[1], each[0]))
        counts = _listed([counted(count, kind.replace("_", " ")) for kind, count in kinds])
        names = [clean(str(each.ref)) for each in incident.affected[:AFFECTED_SHOWN]]
        more = incident.affected_count - len(names)
        shown = ", ".join([*names, *([f"and {more:,} more"] if names and more > 0 else [])])
        return ": ".join(part for part in (counts, shown) if part)

    @property
    def cause(self) -> str:
        """The probable root and why it is taken for it."""
        root = self.incident.root
        return f"{clean(str(root.ref))}, {root.check}: {clean(root.why)}"

    @property
    def reasons(self) -> list[str]:
        """At most three sentences with their evidence."""
        return [
            f"{clean(each.text)} ({', '.join(part for part in (each.check, each.evidence) if part)})"
            for each in self.incident.reasons[:3]
        ]

    @property
    def notes(self) -> list[str]:
        """What else should be known: who takes care of it, that it is flapping, that this may be a repeat."""
        incident = self.incident
        found = []
        if (ack := incident.acknowledged) is not None:
            via = f" ({clean(ack.via)})" if ack.via else ""
            note = f": {clean(ack.note)}" if ack.note else ""
            found.append(f"Acknowledged by {clean(ack.by)}{via}{note}")
        if incident.parent:
            found.append(f"Probably caused by incident {incident.parent}")
        if incident.is_flapping:
            found.append(f"Flapping: fired again {counted(incident.flaps, 'time')}")
        if self.is_reminder:
            found.append("Reminder: no one has acknowledged it")
        if self.is_test:
            found.append("This is a test of the receiver. No entity is affected.")
        if self.may_repeat:
            found.append(REPEAT)
        return found

    @property
    def link(self) -> str:
        """The web view of the root at the moment of the change; empty where its address is not configured."""
        if not self.links.web_url:
            return ""
        at = self.incident.changed_at.isoformat().replace("+00:00", "Z")
        query = {"id": entity_id(self.incident.root.ref), "at": at}
        return f"{self.links.web_url.rstrip('/')}/#{urlencode(query)}"

    @property
    def runbook(self) -> str:
        """What to do about the probable cause; empty where its address is not configured."""
        return self.links.runbook(self.incident.root.check)

    @property
    def silence(self) -> str:
        """The command that silences it; nothing to silence once it is over."""
        if self.is_over:
            return ""
        return f'kgents alerts silence incident={self.incident.id} --for 2h --reason "…"'


def entity_id(ref: Ref) -> str:
    """As in the web view and the API: `cluster.kind.namespace.name`."""
    return ref.subject("topology").split(".", 2)[2]


def moment(at: datetime) -> str:
    """`14:02 UTC on 29 Nov 2026`: people and receivers are in several zones."""
    return f"{at:%H:%M} UTC on {at.day} {at:%b %Y}"


def clean(text: str) -> str:
    """One line without credentials, control characters and changes of direction, cut at TEXT_MAX."""
    line = "".join(" " if _is_control(each) else each for each in masked(text))
    return cut(" ".join(line.split()), TEXT_MAX)


def cut(text: str, limit: int) -> str:
    """The text with at most so many characters, not cut between a character and what combines with it."""
    if len(text) <= limit:
        return text
    end = limit - 1
    while end > 0 and (unicodedata.combining(text[end]) or text[end] in "\u200d\ufe0f" or text[end - 1] == "\u200d"):
        end -= 1
    return f"{text[:end]}…"


def _is_control(character: str) -> bool:
    return character in _BIDI or unicodedata.category(character) in ("Cc", "Zl", "Zp")


def _listed(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
