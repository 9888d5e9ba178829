"""What the last readings of an edge's copies mean: link down, catching up, blocked, in sync. Pure; time is an argument.

A copy that hears nothing although the edge answers is to be woken. One that waits for messages and does not advance is
blocked: the hub refuses the next one, again and again, and JetStream reports no error. Streams that were made at one
time and then again at another are of two servers that both answer as this edge.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

import msgspec

from kgents_shared.bus.edges import Copy

WAKE_AGAIN_S: Final = 60.0
"""A copy is woken once in so long: each time the whole stream is configured again."""
BLOCKED_AFTER_S: Final = 30.0
"""With messages waiting, a copy that runs advances many times a second."""


TWINS: Final = 3
"""Changes between servers within TWINS_WITHIN_S; a stream that is made again, and restored, is two."""
TWINS_WITHIN_S: Final = 60.0


class _Progress(msgspec.Struct):
    seq: int = -1
    since_s: float = 0.0
    created_at: datetime | None = None
    others_s: list[float] = []
    """When the stream of another server answered."""
    woken_s: float | None = None


CLOCKS_S: Final = 10.0
"""How far the clocks of both servers may differ before it is said: a sample covers as long."""


def remark(copies: Sequence[Copy]) -> str:
    """What is not as it should be, although the copies are complete; empty: nothing."""
    found = [f"{copy.stream}: {copy.dropped}" for copy in copies if copy.dropped]
    limits = [f"{'; '.join(found)}; try: give the hub the limits of the edge"] if found else []
    return "; ".join([*limits, *_clock(skew_s(copies))])


def skew_s(copies: Sequence[Copy]) -> float:
    """By how much the clock of the edge's server is ahead of the hub's at least; below 0: behind it.

    The edge answered for each stream before the hub did, and after the hub had for the one before: what is within
    that is the time that answers take.
    """
    ahead = [(copy.edge_at - copy.hub_at).total_seconds() for copy in copies if copy.edge_at and copy.hub_at]
    behind = [
        (before.hub_at - copy.edge_at).total_seconds()
        for before, copy in pairwise(copies)
        if before.hub_at and copy.edge_at
    ]
    return max([0.0, *ahead]) or -max([0.0, *behind])


def _clock(skew_s: float) -> Iterator[str]:
    if abs(skew_s) >= CLOCKS_S:
        way = "ahead of" if skew_s > 0 else "behind"
        yield (
            f"the clock of the edge's server is {abs(skew_s):.0f} s {way} the hub's: all that the edge reports has its "
            "time; try: `timedatectl` on both"
        )


class Link:
    """One edge, from reading to reading."""

    def __init__(self) -> None:
        self.down_since_s: float | None = None
        self.is_due = True
        """Whether the two sides are to be compared: after each time that the copies were not complete."""
        self._progress: dict[str, _Progress] = {}

    def lost(self, now_s: float) -> None:
        """The edge does not answer."""
        self.is_due = True
        if self.down_since_s is None:
            self.down_since_s = now_s
        for each in self._progress.values():
            each.woken_s = None  # the next answer comes after a cut: all copies may sleep

    def read(self, copies: Sequence[Copy], now_s: float) -> None:
        """The edge answers."""
        self.down_since_s = None
        for copy in copies:
            progress = self._progress.setdefault(copy.stream, _Progress())
            seq = copy.source.seq if copy.source is not None else 0
            if seq < progress.seq:
                self.is_due = True  # the hub's stream was restored, or made again
            if seq != progress.seq or copy.behind == 0:
                progress.seq, progress.since_s = seq, now_s
            if progress.created_at not in (None, copy.created_at):
                self.is_due = True
                progress.others_s = [at_s for at_s in progress.others_s if now_s - at_s < TWINS_WITHIN_S] + [now_s]
            progress.created_at = copy.created_at

    def to_wake(self, copies: Sequence[Copy], now_s: float) -> Iterator[str]:
        """The streams whose copies sleep."""
        for copy in copies:
            progress = self._progress[copy.stream]
            if copy.is_heard or copy.source is None:
                continue
            if progress.woken_s is None or now_s - progress.woken_s >= WAKE_AGAIN_S:
                progress.woken_s = now_s
                yield copy.stream

    def fault(self, copies: Sequence[Copy], now_s: float) -> str:
        """What keeps the copies from being complete, as the end of a sentence; empty while they only catch up."""
        for copy in copies:
            if copy.refused:
                return f"{copy.stream}: {copy.refused}; try: give the hub the limits of the edge"
            progress = self._progress[copy.stream]
            if sum(now_s - at_s < TWINS_WITHIN_S for at_s in progress.others_s) >= TWINS:
                return (
                    f"two servers answer as this edge, one for {copy.stream} of {copy.created_at:%Y-%m-%d %H:%M:%S}: "
                    "neither is copied whole; try: stop one, and make it an edge of its own with `kgents edge new`"
                )
            since_s = progress.since_s
            if copy.behind and copy.is_heard and now_s - since_s > BLOCKED_AFTER_S:
                seq = copy.source.seq if copy.source is not None else 0
                return (
                    f"{copy.stream} is blocked at sequence {seq} of the edge, {copy.behind} messages wait: "
                    "the hub refuses the next one; try: its log, and compare max_payload and the limits of the stream"
                )
        return ""
