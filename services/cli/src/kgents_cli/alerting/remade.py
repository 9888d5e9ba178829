"""The rows of a recording → topology and alerts, second by second, by their own time.

Either as they were published, or as topology-builder and health-scorer make them of what collectors published: by the
same code, and with other thresholds.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final

import msgspec

from kgents_alert_notifier.dry_run import Changed
from kgents_cli.recorded.offline import folded
from kgents_health_scorer.config import Config as Scoring
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ALERT, TOPOLOGY
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.recording import MADE, Row
from kgents_topology_builder.config import Config as Building

_CODECS: Final[dict[str, Any]] = {"topology": TOPOLOGY, "alert": ALERT}
_Stored = tuple[float, str, bytes]
"""So many seconds after the beginning, a subject, and the message."""


class Track(msgspec.Struct):
    """Topology and alerts of one cluster."""

    started_at: datetime
    seconds: dict[int, list[Changed]] = {}
    """Second of the recording → what changed by then; 0: what there was before, too."""
    last: int = 0

    def moments(self) -> Iterator[tuple[datetime, list[Changed]]]:
        """Every second of it."""
        for second in range(self.last + 1):
            yield self.started_at + timedelta(seconds=second), self.seconds.get(second, [])


def published(rows: Iterable[Row], started_at: datetime) -> dict[str, Track]:
    """Cluster → topology and alerts as the services published them."""
    rows = list(rows)
    made = ((row.at_us / 1e6, row.subject, row.body) for row in rows if row.signal in MADE)
    return _tracks(made, rows, started_at)


def remade(rows: Iterable[Row], started_at: datetime, scoring: Scoring, building: Building) -> dict[str, Track]:
    """Cluster → topology and alerts as these settings make them."""
    rows = list(rows)
    begin_s = started_at.timestamp()
    found = folded((each for each in rows if each.signal not in MADE), started_at, scoring=scoring, building=building)
    made = ((each.time_ns / 1e9 - begin_s, each.subject, each.payload) for each in found)
    return _tracks(made, rows, started_at)


def _tracks(made: Iterable[_Stored], rows: list[Row], started_at: datetime) -> dict[str, Track]:
    last = max((row.at_us / 1e6 for row in rows), default=0.0)
    tracks: dict[str, Track] = {}
    for at_s, subject, body in made:
        _, signal, cluster, *_ = subject.split(".")
        track = tracks.setdefault(subjects.unescape(cluster), Track(started_at, last=max(0, ceil(last))))
        if (codec := _CODECS.get(signal)) is None:
            continue
        try:
            message = codec.decode(body, subject=subject)
        except MalformedMessageError:
            continue
        second = min(max(0, ceil(round(at_s, 6))), track.last)
        track.seconds.setdefault(second, []).append((subject, message))
    return tracks


def clusters_of(rows: Iterable[Row]) -> set[str]:
    """The clusters that rows are of."""
    return {subjects.unescape(row.subject.split(".")[2]) for row in rows}
