"""What one receiver knows of one incident: `kgents.notice.<cluster>.<receiver>.<incident>`.

The intent is published before a request to the receiver, its confirmation after it, each as compare-and-set. What was
begun and not confirmed is unconfirmed: the receiver may have it or not.
"""

from typing import Annotated

import msgspec

from kgents_shared.contract import subjects
from kgents_shared.contract.wire import REMOVE, Time, Wire, stated

Count = Annotated[int, msgspec.Meta(ge=0)]


class Notice(Wire, frozen=True, kw_only=True):
    """What was delivered to a receiver, and what is being delivered."""

    text: str
    cluster: str
    receiver: str
    """Its name in the configuration."""
    incident: str
    """The id of the incident, or of a digest."""
    op: str = stated("upsert")
    delivered: Count = 0
    """The revision of the incident that the receiver has confirmed; 0: none."""
    delivered_state: str = ""
    """The state of the incident in that revision."""
    delivered_at: Time | None = None
    opened_at: Time | None = None
    """When the receiver was first notified, confirmed or not."""
    sending: Count = 0
    """The revision of a request that was begun; 0: none."""
    sending_until: Time | None = None
    """The deadline of that request. Its sender does not begin it later, and ends it by then."""
    unconfirmed: Count = 0
    """The revision that may have been delivered: its request was begun, and how it ended is not known. 0: none."""
    doubts: Count = 0
    """How often that was so: as many repeats are possible."""
    handle: dict[str, str] = {}
    """How the receiver names the message: `channel` and `ts` at Slack, `message_id` of an e-mail."""
    opened_with: str = ""
    """A digest of the key that opened it there, where only the same key may resolve it."""
    tries: Count = 0
    """Requests since the last confirmation."""
    retry_at: Time | None = None
    """When it is tried again; None: now."""
    paused_until: Time | None = None
    """Until when the receiver asks for no request at all, of any incident; None: it does not."""
    failure: str = ""
    """Why the last request failed: a class and a code, never an address or a body."""
    via: str = "own"
    """`own`: a notification of its own; `digest`: one entry among others."""
    digest: str = ""
    """The id of the digest that it was an entry of."""
    entries: list[str] = []
    """Of a digest: the incidents in it, each as `<incident>@<revision>`."""
    repeated: Count = 0
    """How many repetitions of an incident that no one acknowledged it has had."""

    @property
    def is_removal(self) -> bool:
        """Whether it is removed with its incident."""
        return self.op == REMOVE

    @property
    def subject(self) -> str:
        """Its subject."""
        return subjects.build("notice", cluster=self.cluster, receiver=self.receiver, incident=self.incident)
