"""Alerts with a common cause, as one: `kgents.incident.<cluster>.<incident>`.

What is published is fixed: an incident keeps its id and its members, and is never merged with another one or renamed.
A cause that shows later is its `parent`.
"""

from typing import Annotated, Final

import msgspec

from kgents_shared.contract import subjects
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.silence import Matcher
from kgents_shared.contract.wire import REMOVE, Time, Wire, stated

STATES: Final = ("open", "acknowledged", "resolved")
AFFECTED_MAX: Final = 50
"""Entities that an incident lists, the worst first; `affected_count` and `affected_by_kind` count all."""
MEMBERS_MAX: Final = 10_000
"""Alerts that an incident lists: 170 kB."""
TIMELINE_MAX: Final = 50
REASONS_MAX: Final = 3

Count = Annotated[int, msgspec.Meta(ge=0)]


class Root(Wire, frozen=True, kw_only=True):
    """The probable cause."""

    ref: Ref
    check: str
    """The check that found it, such as `KG-001`."""
    why: str
    """Why this is taken for the cause, in one sentence."""


class IncidentReason(Wire, frozen=True, kw_only=True):
    """One alert that shows the incident best."""

    text: str
    ref: Ref
    check: str
    evidence: str = ""
    """`<stream>:<sequence>` of the message that shows it."""


class Affected(Wire, frozen=True, kw_only=True):
    """One entity that has an alert."""

    ref: Ref
    severity: str
    """The worst of its alerts: `warning` or `critical`."""
    checks: list[str] = []


class Decided(Wire, frozen=True, kw_only=True):
    """What was decided about an incident, by whom, and why."""

    action: str
    """`acknowledge`, `unacknowledge`, `silence`, `unsilence`, `resolve`."""
    by: str
    """Who: as in the message of the decision. `alert-notifier`: no person, but what `reason` says."""
    via: str = ""
    """Where: `cli`, `http`, `web`, `slack`, `pagerduty`; `service`: no person decided it."""
    reason: str = ""
    silence: str = ""
    """The id of the silence that began or ended."""
    matchers: list[Matcher] = []
    """What that silence matches."""


class Moment(Wire, frozen=True, kw_only=True):
    """One entry of the timeline."""

    at: Time
    """When it began to count."""
    text: str
    decided: Decided | None = None
    """The decision that it is; None: it is none."""


class Acknowledged(Wire, frozen=True, kw_only=True):
    """Who takes care of it."""

    by: str
    at: Time
    via: str = ""
    """Where it was acknowledged: `cli`, `web`, `slack`, `pagerduty`."""
    note: str = ""


class Incident(Wire, frozen=True, kw_only=True):
    """One incident as it is now."""

    text: str
    """One plain sentence: its state, its title, and how much is affected."""
    title: str
    """What is wrong, in a few words."""
    cluster: str
    id: str
    """16 hexadecimal digits, made of the cluster, the root, and when it began: any instance computes the same."""
    op: str = stated("upsert")
    state: str
    """One of STATES."""
    severity: str
    """The worst that it has been: `warning` or `critical`."""
    revision: Annotated[int, msgspec.Meta(ge=1)] = 1
    """Grows with each change worth notifying: of the state, severity, root, acknowledgement, that it is flapping, and
    when twice as many entities are affected."""
    severity_revision: Annotated[int, msgspec.Meta(ge=1)] = 1
    """The revision in which the severity last rose. An acknowledgement of an earlier one no longer holds."""
    root: Root
    parent: str = ""
    """The id of the incident that probably caused this one."""
    started_at: Time
    """When its first alert began to fire."""
    opened_at: Time
    """When it was opened: its first alert had fired for as long as its routes wait."""
    waits_since: Time | None = None
    """Since when no one takes care of it: it became worse, or was no longer acknowledged or silenced. Escalations count
    from then. None: since it was opened."""
    changed_at: Time
    """When anything of it last changed."""
    calm_at: Time | None = None
    """Since when none of its alerts fires; it is resolved once that has lasted. None: one fires."""
    ended_at: Time | None = None
    """When its last alert ended; set once it is resolved."""
    acknowledged: Acknowledged | None = None
    affected: list[Affected] = []
    """At most 50, the worst first."""
    affected_count: Count = 0
    affected_by_kind: dict[str, int] = {}
    revision_affected: Count = 0
    """How many entities were affected when the revision last grew."""
    members: list[str] = []
    """The `dedup_key` of each of its alerts, firing or not, at most 10,000; empty once it is resolved."""
    is_overfull: bool = False
    """Whether there are more members than it lists."""
    timeline: list[Moment] = []
    """The first and the latest changes, at most 50."""
    flaps: Count = 0
    """How often an alert fired again before the incident was resolved."""
    is_flapping: bool = False
    """Whether that was often enough to be worth saying. It is then resolved only after a longer calm."""
    silenced_by: list[str] = []
    """The silences that together match each of its firing alerts; empty: it is not silenced."""
    reasons: list[IncidentReason] = []
    """At most three, the root's first."""
    labels: dict[str, str] = {}
    """Of the root, which routes may match."""
    cut: list[str] = []
    """What was left out because the whole message would exceed the server's max_payload. Empty: it is whole."""

    @property
    def is_removal(self) -> bool:
        """Whether it was resolved so long ago that it is removed."""
        return self.op == REMOVE

    @property
    def subject(self) -> str:
        """Its subject."""
        return subjects.build("incident", cluster=self.cluster, incident=self.id)
