"""That a person takes care of an incident: `kgents.ack.<cluster>.<incident>`. A removal takes it back."""

from typing import Annotated

import msgspec

from kgents_shared.contract import subjects
from kgents_shared.contract.wire import REMOVE, Time, Wire, stated


class Acknowledgement(Wire, frozen=True, kw_only=True):
    """It holds for the incident as the person saw it: not for one that is resolved, or more severe since."""

    text: str
    cluster: str
    incident: str
    """The incident's id."""
    op: str = stated("upsert")
    revision: Annotated[int, msgspec.Meta(ge=0)] = 0
    """The revision that the person saw."""
    by: str
    at: Time
    via: str = ""
    """`cli`, `web`, `slack`, `pagerduty`."""
    note: str = ""

    @property
    def is_removal(self) -> bool:
        """Whether it is taken back."""
        return self.op == REMOVE

    @property
    def subject(self) -> str:
        """Its subject."""
        return subjects.build("ack", cluster=self.cluster, incident=self.incident)
