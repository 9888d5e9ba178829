"""A receiver that cannot be informed → an incident of its own, for the other receivers. Pure.

It is on no stream but in their notices; its id names the receiver, so a restart finds it again.
"""

import hashlib
from datetime import datetime
from typing import Final

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.incident import Incident, Root

PREFIX: Final = "receiver-"
KIND: Final = "receiver"
REFUSES: Final = "notice.refused"
OPEN, OVER = 1, 2


def problem_id(receiver: str, since: datetime) -> str:
    """Another one for each time that a receiver cannot be informed: who knows of an end takes no more of that id."""
    return f"{PREFIX}{receiver}-{hashlib.blake2b(since.isoformat().encode(), digest_size=6).hexdigest()}"


def receiver_of(problem: str) -> str:
    """The receiver that an id is about; empty for other ids."""
    return problem.removeprefix(PREFIX).rpartition("-")[0] if problem.startswith(PREFIX) else ""


def as_incident(cluster: str, problem: str, why: str, *, since: datetime, now: datetime) -> Incident:
    """The problem in the form that receivers take; without a reason it is over."""
    receiver = receiver_of(problem)
    title = f"receiver {receiver} cannot be notified" if why else f"receiver {receiver} is notified again"
    return Incident(
        text=f"{title}: {why}" if why else title,
        title=title,
        cluster=cluster,
        id=problem,
        state="open" if why else "resolved",
        severity="critical",
        revision=OPEN if why else OVER,
        root=Root(ref=Ref(cluster, KIND, receiver), check=REFUSES, why=why or "the last request was successful"),
        started_at=since,
        opened_at=since,
        changed_at=now,
        ended_at=None if why else now,
    )
