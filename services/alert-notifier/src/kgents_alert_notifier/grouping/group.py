"""One incident and its alerts, as long as it is not resolved. Pure."""

from datetime import datetime

from msgspec import Struct

from kgents_alert_notifier.grouping.known_alert import Known
from kgents_shared.contract.incident import Incident


class Group(Struct, eq=False, gc=False):
    """What the reducer keeps of an incident."""

    last: Incident
    """As it was published last, or is about to be."""
    head: str
    """The unit of its root, whose later alerts join it."""
    members: dict[str, Known] = {}
    """Its alerts, by subject."""
    restored: set[str] = set()
    """Members that were published before this run, and of which no alert has been read yet."""
    is_published: bool = False
    root_subject: str = ""
    """Of the alert of its root; empty: not asked for yet."""
    calm_floor: datetime | None = None
    """Before which no calm counts: NATS was away until then."""

    @property
    def root(self) -> Known | None:
        """The alert of its root, if it is known."""
        if not self.root_subject:  # computed once: asked for at each opening
            root = self.last.root
            self.root_subject = root.ref.subject("alert", check=root.check)
        return self.members.get(self.root_subject)

    def take(self, alert: Known) -> None:
        """Make an alert a member."""
        alert.incident = self.last.id
        self.members[alert.subject] = alert
        self.restored.discard(alert.member)
