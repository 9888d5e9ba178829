"""How old a standby's data is at most: its polls so far → the last moment at which it was up to date. Pure.

The time since the last replayed commit is no lag: an idle primary commits nothing. What was received at an earlier poll
and is replayed by now proves that the data is not older than that poll.
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from kgents_collector_db.mapping.postgres.sample import Identity, Standby

LATE_S: Final = 5.0
"""Added to half of `wal_receiver_timeout`: after that half the receiver requests a reply from its upstream."""


class Freshness(Struct, frozen=True):
    """What one poll proves, by the standby's clock."""

    at: datetime
    received: int | None
    """WAL position received over a link that lives; None: not known."""
    replayed: int
    fresh_at: datetime | None
    """The data is not older than this; None: not known."""


def link_is_up(identity: Identity, standby: Standby) -> bool:
    """Whether the standby receives what its upstream writes."""
    return standby.status == "streaming" and standby.msg_age_s is not None and not is_late(identity, standby.msg_age_s)


def is_late(identity: Identity, msg_age_s: float) -> bool:
    """Whether a receiver should have received the answer to its own request since its last message."""
    return identity.receiver_timeout_s > 0 and msg_age_s >= identity.receiver_timeout_s / 2 + LATE_S


def freshness(before: Freshness | None, identity: Identity, standby: Standby) -> Freshness | None:
    """What this poll proves, and all earlier ones. None: nothing is replayed yet."""
    if standby.replayed is None:
        return None
    if before is not None and standby.replayed < before.replayed:  # it was made again from an older backup
        before = None
    received = standby.received if link_is_up(identity, standby) else None
    proofs: list[datetime] = []
    if before is not None and before.fresh_at is not None:
        proofs.append(before.fresh_at)
    if before is not None and before.received is not None and standby.replayed >= before.received:
        proofs.append(before.at)
    if received is not None and standby.replayed >= received:
        proofs.append(identity.now)
    if standby.since_last_xact_s is not None:  # by the primary's clock, which may be ahead
        proofs.append(identity.now - timedelta(seconds=max(0.0, standby.since_last_xact_s)))
    return Freshness(identity.now, received, standby.replayed, max(proofs, default=None))
