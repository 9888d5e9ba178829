"""Alerts that notify no one for a time: `kgents.silence.<cluster>.<silence>`. Written by people and maintenance jobs.

A silence is of one cluster; the message expires with it.
"""

from typing import Final

from kgents_shared.contract import subjects
from kgents_shared.contract.wire import REMOVE, Time, Wire, stated

FIELDS: Final = ("namespace", "kind", "name", "check", "severity", "incident", "label")
"""What a matcher may compare; `label` stands for `label.<name>`."""


class Matcher(Wire, frozen=True, kw_only=True):
    """One condition on an alert and its entity. `*` in the value stands for any characters."""

    field: str
    """`namespace`, `kind`, `name`, `check`, `severity`, `incident`, or `label.<name>`. No alert has any other one."""
    value: str
    is_negated: bool = False
    """Whether the value must not be this one."""


class Silence(Wire, frozen=True, kw_only=True):
    """Alerts that match all of `matchers` are silenced from `starts_at` until `ends_at`."""

    text: str
    cluster: str
    id: str
    op: str = stated("upsert")
    matchers: list[Matcher] = []
    """At least one: an empty list matches nothing."""
    starts_at: Time
    ends_at: Time
    by: str
    """Who silenced it."""
    reason: str
    via: str = ""
    """`cli`, `http`, `web`, `slack`."""
    purpose: str = "silence"
    """`silence`, or `maintenance`: the disruption is planned."""

    @property
    def is_removal(self) -> bool:
        """Whether it was ended early."""
        return self.op == REMOVE

    @property
    def subject(self) -> str:
        """Its subject."""
        return subjects.build("silence", cluster=self.cluster, silence=self.id)
