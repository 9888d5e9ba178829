"""When topology-builder or health-scorer was last at work → an alert while it is not. Pure.

While one of them is away no alert begins or ends, so no alert of theirs can say that nothing is judged.
"""

from datetime import datetime, timedelta
from typing import Final

from kgents_shared.contract.alert import Alert
from kgents_shared.contract.attestation import BUILDER, SCORER
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.meta import ABSENT_AFTER_S

KIND: Final = "writer"
CHECK: Final = "writer.absent"
ABSENT_S: Final = 120.0
"""A rollout, a takeover, a start with many entities takes less."""
UNREAD_S: Final = 30.0
"""After a longer pause of ours, as without NATS, the time begins again: the others were cut off as well."""
MEANING: Final = {
    BUILDER: "what appears, moves or goes is not noticed",
    SCORER: "no alert begins or ends",
}


class Writer:
    """One of them, in one cluster."""

    def __init__(self, cluster: str, service: str, *, is_absent: bool) -> None:
        """`is_absent`: whether that it is absent was published before this run."""
        self.ref: Final = Ref(cluster, KIND, service)
        self._is_absent = is_absent
        self._read_at: datetime | None = None
        self._watched_since: datetime | None = None

    @property
    def subject(self) -> str:
        """Of its alert, which is on no stream: the incident is."""
        return self.ref.subject("alert", check=CHECK)

    def judge(self, last: datetime | None, now: datetime) -> Alert | None:
        """Its alert, if that is to be said again; both times by the server's clock.

        `last`: when it last stored that all is up to date; None: it was never at work here, and is not missed.
        """
        if self._read_at is None or now - self._read_at > timedelta(seconds=UNREAD_S):
            self._watched_since = now
        is_first, self._read_at = self._read_at is None, now
        was_absent, self._is_absent = self._is_absent, self._is_away(last, now)
        if self._is_absent and last is not None:
            return self._alert("firing", last) if is_first or not was_absent else None
        return self._alert("resolved", last or now) if was_absent else None

    def _is_away(self, last: datetime | None, now: datetime) -> bool:
        if last is None:
            return False
        if self._is_absent:
            return (now - last).total_seconds() > ABSENT_AFTER_S
        return (now - max(last, self._watched_since or now)).total_seconds() > ABSENT_S

    def _alert(self, state: str, at: datetime) -> Alert:
        service = self.ref.name
        since = f"{service} has not kept {self.ref.cluster} up to date since {at:%Y-%m-%d %H:%M:%S} UTC"
        is_firing = state == "firing"
        return Alert(
            text=f"{since}: {MEANING[service]}; see `kgents doctor`" if is_firing else f"{service} is at work again",
            ref=self.ref,
            check=CHECK,
            state=state,
            severity="critical",
            started_at=at if is_firing else None,
            ended_at=None if is_firing else at,
        )


def is_about(incident: Incident, service: str) -> bool:
    """Whether an incident says that a service is absent."""
    root = incident.root
    return incident.state != "resolved" and root.check == CHECK and root.ref.name == service
