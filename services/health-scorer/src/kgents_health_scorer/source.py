"""One source of pulses of one entity: its last pulse, and a window for each figure it measures. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Final

from kgents_health_scorer.calm import Calm
from kgents_health_scorer.debounce import LONG_AGO, Window
from kgents_health_scorer.series import Series
from kgents_health_scorer.traffic import Minute
from kgents_health_scorer.verdict import Checks
from kgents_shared.contract.pulse import Pulse, ResourcePulse, TrafficPulse
from kgents_shared.contract.streams import NAME_BY_SIGNAL

MISSED: Final = 3
"""Samples that must be late in a row before a source counts as silent."""
INTERVAL_MAX_S: Final = 86_400.0
"""A source that promises a sample less than daily is held to daily."""
SILENT_AFTER_S: Final = 45.0
"""How long a source may be late with its next sample in any case: that the source itself is silent comes first."""
UNKNOWN_AFTER_S: Final = 300.0
"""How long a finding outlives its figure's last number while the figure is `null`; or MISSED intervals, if longer."""


SKEW: Final = timedelta(seconds=60)
"""How far a source's clock may be ahead of the server's. A pulse from beyond would make all later ones old."""


TRAFFIC: Final = " traffic"
STREAM: Final = NAME_BY_SIGNAL["pulse"]


def evidence_of(seq: int) -> str:
    """How a verdict names a pulse."""
    return f"{STREAM}:{seq}"


def time_of(time_ns: int) -> datetime:
    """A time of the server's, from Unix nanoseconds."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC)


def name_of(pulse: Pulse) -> str:
    """The name of its source; what one measures of resources and of traffic are two sequences of pulses."""
    return f"{pulse.source}{TRAFFIC}" if isinstance(pulse, TrafficPulse) else pulse.source


class Source:
    """One source of pulses of an entity, and the last of them."""

    __slots__ = (
        "calm",
        "deadline",
        "evidence",
        "interval_s",
        "is_read",
        "minute",
        "patience",
        "series",
        "stands_until",
        "stood_until",
        "timestamp",
        "uid",
        "unknown_after",
        "windows",
    )

    def __init__(self, uid: str, evidence: str) -> None:
        self.uid = uid
        self.evidence = evidence  # of the last pulse
        self.timestamp = LONG_AGO
        self.deadline = LONG_AGO  # silent from then on
        self.patience = timedelta(0)  # from one pulse to its deadline
        self.unknown_after = timedelta(0)  # how long a figure may be `null`
        self.interval_s = 0.0  # by which these were determined
        self.stands_until = LONG_AGO  # what the last pulse says: until the next one that it promises
        self.stood_until = LONG_AGO  # the same of the one before, which this one may have cut short
        self.is_read = False  # whether a pulse said which figures there are
        self.windows: dict[str, Window] = {}  # by check
        self.series = Series()
        self.minute = Minute()
        self.calm: Calm | None = None  # None: no pulse was such

    def note(self, pulse: Pulse, now: datetime, evidence: str) -> None:
        """Take note of the next pulse, apart from its figures."""
        interval_s = min(pulse.interval_s, INTERVAL_MAX_S)
        if interval_s != self.interval_s:
            self.interval_s = interval_s
            self.patience = timedelta(seconds=max(MISSED * interval_s, interval_s + SILENT_AFTER_S))
            self.unknown_after = timedelta(seconds=max(UNKNOWN_AFTER_S, MISSED * interval_s))
        self.stood_until = min(self.stands_until, now)
        self.stands_until = now + timedelta(seconds=interval_s)
        self.uid = pulse.uid or self.uid
        self.timestamp = pulse.timestamp
        self.deadline = now + self.patience
        self.evidence = evidence
        if self.calm is not None:
            self.calm.is_open = False

    def hear(self) -> datetime:
        """Take note of the last sample that said nothing new; returns when it was stored, long ago if there is none."""
        calm = self.calm
        if calm is None or not calm.seq:
            return LONG_AGO
        now = time_of(calm.time_ns)
        self.timestamp, self.deadline, self.evidence = calm.timestamp, now + self.patience, evidence_of(calm.seq)
        calm.seq = 0
        return now

    def settle(self) -> datetime:
        """Take over all that such samples have left behind; returns the same."""
        if self.calm is not None:
            self.calm.settle()
        return self.hear()

    def expect_calm(self, pulse: Pulse, checks: Checks, now: datetime) -> None:
        """The next pulses may say nothing new, if this one was fine."""
        if isinstance(pulse, ResourcePulse) and self.is_read and all(each.is_calm for each in self.windows.values()):
            self.calm = self.calm or Calm(pulse)
            self.calm.open(pulse, checks, self.series.tracks, now, self.patience)

    def wait_again(self, now: datetime) -> bool:
        """Give it as long for its next pulse as after any other; returns whether it was silent."""
        was_silent, self.deadline = self.deadline <= now, max(self.deadline, now + self.patience)
        return was_silent

    @property
    def has_lapsed(self) -> bool:
        """Whether what was found by one of its figures is not known any more."""
        tracks = (each.window for each in self.series.tracks.values())
        return any(each.is_lapsed for each in (*self.windows.values(), *tracks))
