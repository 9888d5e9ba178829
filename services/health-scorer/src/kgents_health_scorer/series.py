"""The figures of one source that are judged one by one, most of them against their own past. Pulse → here → verdict.

A track is one figure, or that of one connection: its last three samples, and what is usual for it. A connection that a
pulse leaves out, or with too few calls to judge, keeps what was found for a while: nothing was called. Then its finding
ends. What is usual stays known, for the next call.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from math import isfinite
from typing import Final

from kgents_health_scorer import score
from kgents_health_scorer.baseline import Past
from kgents_health_scorer.checks.check import CALLS_AT_ONCE, Sample, SeriesCheck, Usual
from kgents_health_scorer.debounce import LONG_AGO, Window
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Baseline, Edge
from kgents_shared.contract.pulse import ALL, Pulse

TRACKS_MAX: Final = 256
"""Of one source of an entity: a figure beyond is not judged."""
Key = tuple[str, Edge | None]
"""Check and connection."""


class Track:
    """One figure: its last samples, what is usual for it, and what was said of it last."""

    __slots__ = ("judged_at", "past", "text", "window")

    def __init__(self, window: Window | None = None, text: str = "", past: Past | None = None) -> None:
        self.window = window or Window()
        self.text = text
        """About the last sample beyond a threshold."""
        self.past = past or Past()
        self.judged_at = LONG_AGO

    def miss(self, now: datetime, patience: timedelta) -> bool:
        """Take note that the figure is not known; returns whether the verdict may change by it."""
        was_quiet = self.window.is_quiet
        self.window.miss(now, patience)
        return not (was_quiet and self.window.is_quiet)

    def take(self, check: SeriesCheck, value: float, sample: Sample, pulse: Pulse, evidence: str) -> bool:
        """Take a sample; returns whether the verdict, or what is published of the past, may change by it."""
        usual, interval_s = check.usual, pulse.interval_s
        was_quiet = self.window.is_quiet
        if usual is None:
            judged = value
        elif self.past.is_learnt:
            judged = _unusual(check, usual, value, sample.calls, self.past)
        else:
            self.past.learn(value, usual.resolution, interval_s, is_found=False)
            return self.past.has_moved() or self.past.is_learnt
        if score.severity(check, judged):
            self.text = _text(check, pulse.ref, sample, self.past)
        if not self.window.stays_calm(check, judged, evidence):
            self.window.push(check, judged, evidence)
        if usual is not None:
            self.past.learn(value, usual.resolution, interval_s, is_found=not self.window.is_quiet)
        return not (was_quiet and self.window.is_quiet) or (usual is not None and self.past.has_moved())


def _unusual(check: SeriesCheck, usual: Usual, value: float, calls: int | None, past: Past) -> float:
    """How many spreads a sample is from what is usual, the way that is bad; 0 if that is none to speak of."""
    away = past.spreads_above(value, usual.resolution) * (1 if usual.way == "above" else -1)
    is_apart = abs(value - past.usual(usual.resolution)) >= usual.least_apart
    if away <= 0 or value < usual.least or not is_apart:
        return 0.0
    if calls is not None and calls < CALLS_AT_ONCE and check.at_once is not None:
        away = min(away, check.at_once * 0.99)
    return round(away, 2)


def _text(check: SeriesCheck, ref: Ref, sample: Sample, past: Past) -> str:
    usual = past.usual(check.usual.resolution) if check.usual is not None else None
    return check.explained(ref, sample, usual, check.thresholds.given[0])


class Remembered:
    """What was published of an entity before a restart, until its sources have sent it again."""

    __slots__ = ("_pasts", "tracks")

    def __init__(self) -> None:
        self._pasts: dict[tuple[str, Key], Baseline] = {}
        self.tracks: dict[Key, Track] = {}
        """What was found, also of figures that are compared with thresholds alone."""

    def past(self, record: Baseline) -> None:
        """Go on from what was usual."""
        self._pasts[record.source, (record.check, record.edge)] = record

    def window(self, check_id: str) -> Window | None:
        """That of a figure of the entity itself."""
        track = self.tracks.get((check_id, None))
        return track.window if track is not None else None

    def pop_window(self, check_id: str) -> Window | None:
        """The same; a source takes it over."""
        track = self.tracks.pop((check_id, None), None)
        return track.window if track is not None else None

    def pop(self, key: Key, source: str) -> Track:
        """A track that goes on from what was published, or begins."""
        track = self.tracks.pop(key, None) or Track()
        track.past = Past(self._pasts.pop((source, key), None))
        return track

    def pasts(self, check_id: str = "") -> Iterator[Baseline]:
        """What was usual, of which no sample has come yet: of one check, or of all."""
        return (each for each in self._pasts.values() if check_id in ("", each.check))

    def clear(self) -> None:
        """Forget all: it is of another incarnation."""
        self._pasts.clear()
        self.tracks.clear()


class Series:
    """The tracks of one source."""

    __slots__ = ("tracks",)

    def __init__(self) -> None:
        self.tracks: dict[Key, Track] = {}

    def take(self, check: SeriesCheck, pulse: Pulse, now: datetime, evidence: str, patience: timedelta) -> bool:
        """Take what a pulse says of one figure, or of that of each connection; returns whether a verdict may change.

        Their tracks are there: see `begin`.
        """
        matters, seen = False, set[Key]()
        for sample in check.samples(pulse):
            track = self.tracks.get(key := (check.id, sample.edge))
            if track is None:
                continue  # beyond TRACKS_MAX
            seen.add(key)
            if sample.value is None or not isfinite(sample.value):
                matters |= track.miss(now, patience)
            else:
                matters |= track.take(check, sample.value, sample, pulse, evidence)
                track.judged_at = now
        if ALL not in pulse.unread:
            unseen = [key for key in self.tracks if key[0] == check.id and key not in seen]
            matters |= self._leave_out(unseen, now, patience)
        return matters

    def begin(
        self, check: SeriesCheck, pulse: Pulse, remembered: Remembered, *, is_judged: bool, now: datetime
    ) -> bool:
        """Make the tracks of what a pulse has of a check; returns whether there are new ones.

        Once its entity is judged, all pulses from before a restart are read: then what was found of connections that
        no pulse has any more is taken over, too, to end like that of any other.
        """
        wanted = {(check.id, sample.edge) for sample in check.samples(pulse)} - self.tracks.keys()
        if is_judged and remembered.tracks:
            wanted |= {key for key in remembered.tracks if key[0] == check.id}
        for key in sorted(wanted, key=str)[: max(TRACKS_MAX - len(self.tracks), 0)]:
            self.tracks[key] = remembered.pop(key, pulse.source)
            self.tracks[key].judged_at = now
        return bool(wanted)

    def _leave_out(self, keys: Iterable[Key], now: datetime, patience: timedelta) -> bool:
        """A figure that does not apply any more has ended; a connection without calls has not for a while."""
        matters = False
        for key in keys:
            track = self.tracks[key]
            if key[1] is None:
                del self.tracks[key]
                matters = True
            elif not track.window.is_quiet and now - track.judged_at >= patience:
                track.window = Window()
                matters = True
        return matters
