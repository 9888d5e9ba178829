"""Replication lag: senders, slots and the standby's own statistics → figures. Pure.

The usual query returns 0 on a standby whose link is down, since all that was received is replayed; and its result grows
while the primary is idle. So the link is checked first: while it is down there is no lag in seconds, but the time since
it went down.
"""

from datetime import datetime
from typing import Final

from msgspec import Struct

from kgents_collector_db.mapping.facts import Figures
from kgents_collector_db.mapping.postgres.rates import Span, greatest
from kgents_collector_db.mapping.postgres.sample import PostgresSample, Slot
from kgents_shared.contract.vocabulary.figures import database
from kgents_shared.contract.vocabulary.figures import postgres as figure

LATE_S: Final = 5.0
"""Added to half of `wal_receiver_timeout`: after that half the receiver requests a reply from its upstream."""


class Lag(Struct, frozen=True):
    """The lag of a standby."""

    link_up: bool
    bytes: int | None
    """Behind the primary's position if known, else behind what was received; None: not known."""
    seconds: float | None
    """Age of its data; an upper bound while it replays. None: not known."""


def lag(sample: PostgresSample, primary_position: int | None, previous: PostgresSample | None = None) -> Lag | None:
    """The standby's lag; None on a primary, and on a server that replays an archive and so has no link.

    Args:
        sample: the poll of the standby.
        primary_position: WAL position of its primary, if that is polled too.
        previous: the previous poll; bounds the lag.
    """
    identity, standby = sample.identity, sample.standby
    if identity is None or standby is None or standby.replayed is None:
        return None
    if standby.status is None and not standby.has_upstream:
        return None
    patience_s = identity.receiver_timeout_s / 2 + LATE_S
    is_fresh = standby.msg_age_s is not None and (identity.receiver_timeout_s == 0 or standby.msg_age_s < patience_s)
    link_up = standby.status == "streaming" and is_fresh
    known = [each for each in (primary_position, standby.received if link_up else None) if each is not None]
    behind = max(0, max(known) - standby.replayed) if known else None
    if not link_up:
        return Lag(False, behind, None)
    if standby.received is not None and standby.received <= standby.replayed:
        return Lag(True, behind, 0.0)
    seconds = standby.since_last_xact_s
    if seconds is not None:
        seconds = max(0.0, seconds)  # the primary's clock may be ahead of the standby's
    return Lag(True, behind, _bounded(seconds, standby.replayed, Span(previous, sample), previous))


def _bounded(seconds: float | None, replayed: int, span: Span, previous: PostgresSample | None) -> float | None:
    """At most the time between two polls, if all WAL received by the first is replayed by the second.

    During one long transaction no commit arrives, so the time since the last one grows without any lag.
    """
    before = previous.standby if previous is not None else None
    if span.seconds is None or before is None or before.received is None or replayed < before.received:
        return seconds
    return span.seconds if seconds is None else min(seconds, span.seconds)


def figures(sample: PostgresSample, own_lag: Lag | None, link_down_since: datetime | None) -> Figures:
    """The pulse's section `replication`."""
    found: Figures = {}
    if sample.standby is None and sample.identity is not None and sample.identity.in_recovery:
        found |= dict.fromkeys((figure.LINK_DOWN_S, figure.LAG_S))
    if own_lag is not None and sample.standby is not None:
        found |= {
            database.LINK_UP: float(own_lag.link_up),
            figure.LINK_DOWN_S: (sample.at - link_down_since).total_seconds() if link_down_since else 0.0,
            database.LAG_BYTES: own_lag.bytes,
            figure.LAG_S: own_lag.seconds,
            figure.REPLAY_PAUSED: float(sample.standby.paused),
            figure.APPLY_DELAY_S: sample.standby.apply_delay_s,
        }
    senders = sample.senders or ()
    if sample.senders is not None:
        found[figure.STANDBYS] = len(senders)
    if senders:
        found |= {
            figure.STANDBYS_STREAMING: sum(each.state == "streaming" for each in senders),
            figure.STANDBY_LAG_BYTES: greatest(each.lag_bytes for each in senders),
            # Null on an idle primary: the lag is 0 then.
            figure.STANDBY_WRITE_LAG_S: greatest(_seconds(each.write_lag_s, each.lag_bytes) for each in senders),
            figure.STANDBY_FLUSH_LAG_S: greatest(_seconds(each.flush_lag_s, each.lag_bytes) for each in senders),
            figure.STANDBY_LAG_S: greatest(_seconds(each.replay_lag_s, each.lag_bytes) for each in senders),
        }
    return found | _of_slots(sample.slots, sample.settings.max_wal_bytes if sample.settings else None)


def _seconds(lag_s: float | None, lag_bytes: int | None) -> float | None:
    return lag_s if lag_s is not None or lag_bytes != 0 else 0.0


def _of_slots(slots: tuple[Slot, ...] | None, max_wal_bytes: int | None) -> Figures:
    if slots is None:
        return dict.fromkeys((figure.SLOTS_LOST, figure.SLOT_RETAINED_RATIO, figure.SLOT_SAFE_RATIO))
    found: Figures = {figure.SLOTS: len(slots)}
    if slots:
        retained_bytes = greatest(each.retained_bytes for each in slots)
        found |= {
            figure.SLOTS_INACTIVE: sum(not each.active for each in slots),
            figure.SLOTS_LOST: sum(is_lost(each) for each in slots),
            figure.SLOT_RETAINED_BYTES: retained_bytes,
            figure.SLOT_SAFE_BYTES: min(
                (each.safe_wal_bytes for each in slots if each.safe_wal_bytes is not None), default=None
            ),
            figure.SLOT_INACTIVE_S: greatest(each.inactive_s for each in slots if not each.active),
        }
        safe = [
            each.safe_wal_bytes / each.limit_wal_bytes
            for each in slots
            if each.safe_wal_bytes is not None and each.limit_wal_bytes
        ]
        if safe:  # else none of them has a limit
            found[figure.SLOT_SAFE_RATIO] = min(safe)
        if retained_bytes is not None:
            found[figure.SLOT_RETAINED_RATIO] = retained_bytes / max_wal_bytes if max_wal_bytes else None
    return found


def is_lost(slot: Slot) -> bool:
    """Whether WAL that its consumer still needs was removed."""
    return slot.wal_status == "lost" or bool(slot.invalidation_reason)
