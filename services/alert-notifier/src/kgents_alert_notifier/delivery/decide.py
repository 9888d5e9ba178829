"""One receiver and one incident: what it should know against what it was sent → the next step of its delivery. Pure.

The intent is written before the request, its outcome after it, and both are compare-and-set on the notice. So:

- The intent has a deadline, which its sender keeps, to start and to end. A successor that finds it waits for as long,
  from when it found it by its own clock: then no request of the sender is on its way any more.
- What a successor takes over, and what got no clear answer, is in doubt. The doubt stays on the notice, whatever comes
  of later tries, until a delivery is confirmed or a search of the receiver is answered.
- While in doubt the receiver counts as informed: it gets the end of what it may have been sent the opening of.
"""

from typing import Final

import msgspec

from kgents_alert_notifier.delivery.outcome import (
    Delivered,
    Found,
    InDoubt,
    NotFound,
    NotSearchable,
    NotSent,
    Outcome,
    Refused,
    Search,
)
from kgents_shared.contract.notice import Notice

RESOLVED: Final = "resolved"
DEADLINE_S: Final = 15.0
"""How long an intent is valid, from before it is written. Longer than the lease of a writer, so that a takeover finds
most intents nearly expired."""
REQUEST_S: Final = 10.0
"""The longest a request takes, with everything in it. It is started only if it ends before the deadline."""


class Desired(msgspec.Struct, frozen=True):
    """What the receiver should know."""

    revision: int
    """Of the incident: grows with each change that is news."""
    state: str
    """Of the incident. Resolved is final: the revision never grows again."""
    repeat: int = 0
    """Repetitions that are due, because no one has acknowledged."""

    @property
    def is_over(self) -> bool:
        """Whether the incident is resolved."""
        return self.state == RESOLVED


class Own(msgspec.Struct):
    """The intent that this process wrote last for the notice, while the notice still holds it."""

    desired: Desired
    deadline_s: float
    """By this process's monotonic clock."""
    outcome: Outcome | None = None
    """Of its request; None: not yet known."""
    search: Search = NotSearchable()
    """What the receiver answered before the request, if it was asked."""


class Rest(msgspec.Struct, frozen=True):
    """Nothing to do until what is desired changes."""


class Wait(msgspec.Struct, frozen=True):
    """Nothing to do before this time, by this process's monotonic clock."""

    until_s: float


class Write(msgspec.Struct, frozen=True):
    """Replace the notice by this one, if nothing else replaced it."""

    notice: Notice
    intent: Desired | None = None
    """What this process is about to send, once the notice is stored."""


class Send(msgspec.Struct, frozen=True):
    """Request this now, and be done by the deadline."""

    desired: Desired
    deadline_s: float
    may_repeat: bool
    """Whether the receiver may have it already: search it first if it can be searched."""


Step = Rest | Wait | Write | Send


def decide(notice: Notice, desired: Desired, own: Own | None, *, found_s: float, now_s: float) -> Step:
    """The next step.

    Args:
        notice: as the stream holds it.
        desired: what the receiver should know.
        own: this process's intent, if it is the one in the notice.
        found_s: when this process first saw this notice.
        now_s: by the same monotonic clock.
    """
    if own is not None and own.outcome is not None:
        return Write(settled(searched(notice, own.search), own.desired, own.outcome))
    if own is not None:
        if now_s + REQUEST_S > own.deadline_s:
            return Write(settled(notice, own.desired, NotSent("late")))
        return Send(own.desired, own.deadline_s, may_repeat=notice.unconfirmed > 0)
    if notice.sending and now_s < found_s + DEADLINE_S:
        return Wait(found_s + DEADLINE_S)
    known = taken_over(notice)
    if not is_news(known, desired):
        return Rest() if known == notice else Write(known)
    return Write(intended(known, desired.revision), desired)


def is_news(notice: Notice, desired: Desired) -> bool:
    """Whether the receiver has to hear this. What is over and was never sent is not news; a doubt has to be closed."""
    if desired.is_over and not notice.delivered and not notice.unconfirmed:
        return False
    if notice.unconfirmed:
        return desired.revision >= max(notice.unconfirmed, notice.delivered)
    is_due = desired.revision == notice.delivered and desired.repeat > notice.repeated
    return desired.revision > notice.delivered or is_due


def taken_over(notice: Notice) -> Notice:
    """The notice when the deadline of another process's intent has passed: that may have been delivered."""
    if not notice.sending:
        return notice
    return msgspec.structs.replace(
        notice,
        sending=0,
        unconfirmed=max(notice.unconfirmed, notice.sending),
        doubts=notice.doubts + 1,
        failure="taken over",
    )


def intended(notice: Notice, revision: int) -> Notice:
    """The notice with the intent to send a revision."""
    return msgspec.structs.replace(notice, sending=revision, tries=notice.tries + 1)


def settled(notice: Notice, desired: Desired, outcome: Outcome) -> Notice:
    """The notice after a request."""
    match outcome:
        case Delivered(handle):
            return msgspec.structs.replace(
                notice,
                sending=0,
                delivered=desired.revision,
                delivered_state=desired.state,
                repeated=desired.repeat,
                unconfirmed=0,
                handle=dict(handle) or notice.handle,
                failure="",
                tries=0,
            )
        case NotSent(why):
            return msgspec.structs.replace(notice, sending=0, failure=why)
        case InDoubt(why):
            unconfirmed = max(notice.unconfirmed, desired.revision)
            return msgspec.structs.replace(
                notice, sending=0, unconfirmed=unconfirmed, doubts=notice.doubts + 1, failure=why
            )
        case Refused(why):
            return msgspec.structs.replace(notice, sending=0, failure=f"refused: {why}")


def searched(notice: Notice, search: Search) -> Notice:
    """The notice after the receiver was searched because of a doubt. What cannot be searched stays in doubt."""
    match search:
        case Found(handle, revision):
            delivered = max(notice.delivered, revision)
            return msgspec.structs.replace(notice, handle=dict(handle), delivered=delivered, unconfirmed=0)
        case NotFound():
            return msgspec.structs.replace(notice, unconfirmed=0)
        case _:
            return notice


def key(incident: str) -> str:
    """By which a receiver recognises all revisions of an incident. An incident that is over never opens again."""
    return incident


def message_id(incident: str, revision: int, receiver: str) -> str:
    """The same for every try of one revision."""
    return f"{incident}.{revision}.{receiver}"
