"""A recording → its canonical form: what a replay of it has in common with it. Pure.

Not in it: sequences, headers, times of arrival, names of clusters, which machine's clock it was, what services other
than collectors report, and that it was replayed. So a recording of a replay has the form of what was replayed.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from kgents_cli.recorded.moved import Moved
from kgents_shared.contract.codec import encode
from kgents_shared.contract.recording import Row

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def canonical(rows: Iterable[Row]) -> list[bytes]:
    """A line for each message, in the order of the file: its subject and its body.

    Clusters are numbered in the order in which they come; times count from the earliest one in any message.
    """
    kept = list(rows)
    times: list[datetime] = []

    def noted(time: datetime) -> datetime:
        times.append(time)
        return time

    each_time = Moved(noted, lambda cluster: cluster)
    for row in kept:
        each_time.message(row)
    later = _EPOCH - min(times, default=_EPOCH)
    clusters: dict[str, str] = {}
    moved = Moved(lambda time: time + later, lambda cluster: clusters.setdefault(cluster, str(len(clusters) + 1)))
    found = (moved.message(row) for row in kept)
    return [b"%s %s" % (each[0].encode(), encode(each[1])) for each in found if each is not None]
