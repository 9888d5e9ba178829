"""Whether a primary has fewer standbys than it had: its senders and the published entity → figures, attributes. Pure.

Nothing in the server says how many standbys there should be, so it is as many as there were. The entity holds that, so
that it outlives a restart of the collector. After a day without one, there should be fewer.
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from kgents_collector_db.mapping.facts import Figures
from kgents_collector_db.mapping.postgres.sample import PostgresSample
from kgents_shared.contract.entity import Entity, Value
from kgents_shared.contract.vocabulary.attributes import postgres as attribute
from kgents_shared.contract.vocabulary.figures import postgres as figure

EXPECTED_FOR: Final = timedelta(days=1)


class Standbys(Struct, frozen=True):
    """The standbys of a primary."""

    connected: int | None
    """None: not known."""
    expected: int
    missing_since: datetime | None

    def attributes(self) -> dict[str, Value]:
        """What the entity holds of them."""
        found: dict[str, Value] = {}
        if self.expected:
            found[attribute.STANDBYS_EXPECTED] = self.expected
        if self.missing_since is not None:
            found[attribute.STANDBYS_MISSING_SINCE] = self.missing_since.isoformat()
        return found

    def figures(self, at: datetime) -> Figures:
        """Nothing for a primary that had none."""
        if not self.expected:
            return {}
        if self.connected is None:
            return dict.fromkeys((figure.STANDBYS_MISSING, figure.STANDBY_MISSING_S))
        since = self.missing_since
        return {
            figure.STANDBYS_MISSING: float(self.expected - self.connected),
            figure.STANDBY_MISSING_S: (at - since).total_seconds() if since is not None else 0.0,
        }


def standbys(sample: PostgresSample, known: Entity | None, at: datetime) -> Standbys | None:
    """None of a server that is a standby itself.

    Args:
        sample: the poll.
        known: the published entity of the same database.
        at: now.
    """
    if sample.identity is None or sample.identity.in_recovery:
        return None
    published = known.attributes if known is not None else {}
    expected, since = published.get(attribute.STANDBYS_EXPECTED), published.get(attribute.STANDBYS_MISSING_SINCE)
    expected = expected if isinstance(expected, int) else 0
    missing_since = datetime.fromisoformat(since) if isinstance(since, str) else None
    if sample.senders is None:
        return Standbys(None, expected, missing_since)
    connected = len(sample.senders)
    if connected >= expected or (missing_since is not None and at - missing_since >= EXPECTED_FOR):
        return Standbys(connected, connected, None)
    return Standbys(connected, expected, missing_since or at)
