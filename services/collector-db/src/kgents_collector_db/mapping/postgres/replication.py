"""Replication lag: senders and the standby's own statistics → figures. Pure.

The usual query returns 0 on a standby whose link is down, since all that was received is replayed. So the link is
checked first: while it is down there is no lag in seconds, but the time since it went down. For the seconds see
`freshness.py`.
"""

from datetime import datetime

from msgspec import Struct

from kgents_collector_db.mapping.facts import Figures
from kgents_collector_db.mapping.postgres.freshness import link_is_up
from kgents_collector_db.mapping.postgres.rates import greatest
from kgents_collector_db.mapping.postgres.sample import PostgresSample
from kgents_shared.contract.vocabulary.figures import database
from kgents_shared.contract.vocabulary.figures import postgres as figure


class Lag(Struct, frozen=True):
    """The lag of a standby."""

    link_up: bool
    bytes: int | None
    """Behind the primary's position if known, else behind what was received; None: not known."""
    seconds: float | None
    """Age of its data; an upper bound while it replays. None: not known."""


def lag(sample: PostgresSample, primary_position: int | None) -> Lag | None:
    """The standby's lag; None on a primary, and on a server that replays an archive and so has no link.

    Args:
        sample: the poll of the standby.
        primary_position: WAL position of its primary, if that is polled too.
    """
    identity, standby = sample.identity, sample.standby
    if identity is None or standby is None or standby.replayed is None:
        return None
    if standby.status is None and not standby.has_upstream:
        return None
    link_up = link_is_up(identity, standby)
    known = [each for each in (primary_position, standby.received if link_up else None) if each is not None]
    behind = max(0, max(known) - standby.replayed) if known else None
    if not link_up or sample.fresh_at is None:
        return Lag(link_up, behind, None)
    return Lag(True, behind, max(0.0, (identity.now - sample.fresh_at).total_seconds()))


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
    return found


def _seconds(lag_s: float | None, lag_bytes: int | None) -> float | None:
    return lag_s if lag_s is not None or lag_bytes != 0 else 0.0
