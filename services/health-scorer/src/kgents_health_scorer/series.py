"""The figures of one source that are judged one by one, most of them against their own past. Pulse → here → verdict.

A track is one figure, or that of one connection: its last three samples, and what is usual for it. A figure of calls
that a pulse leaves out, or has too few calls of to judge, keeps what was found for a while. Then its finding ends. What
is usual stays known, for the next call.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct, structs

from kgents_health_scorer import score
from kgents_health_scorer.baseline import Past
from kgents_health_scorer.checks.check import CALLS_AT_ONCE, Sample, SeriesCheck, Usual
from kgents_health_scorer.debounce import LONG_AGO, Window
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Baseline, Edge
from kgents_shared.contract.pulse import ALL, Pulse
from kgents_shared.contract.sketch import Histogram

TRACKS_MAX: Final = 1_500
"""Of one source of an entity: a figure beyond is not judged."""
UNCALLED: Final = timedelta(minutes=10)
"""After the last call its absence is no fault any more, but the usual."""
POOLED: Final = 3
"""Samples in which few errors are counted together."""
POOLED_ERRORS: Final = 5.0
"""So many in them are a rate: of 60 calls of which one in a hundred fails, five fail once in a day or two."""
POOLED_OF_ONE: Final = 2.0
"""So many of one sample count: a burst is no fault that goes on."""
CHANCE: Final = 0.98
"""Of a median's rank, divided by the root of how many: what it may be off by chance, in 95 of 100 samples."""
Key = tuple[str, Edge | None]
"""Check and connection."""


class Track:
    """One figure: its last samples, what is usual for it, and what was said of it last."""

    __slots__ = ("called_at", "judged_at", "past", "recent", "text", "window")

    def __init__(self, window: Window | None = None, text: str = "", past: Past | None = None) -> None:
        self.window = window or Window()
        self.text = text
        """About the last sample beyond a threshold."""
        self.past = past or Past()
        self.judged_at = LONG_AGO
        self.called_at = LONG_AGO
        """When a pulse last had it."""
        self.recent: tuple[tuple[datetime, Sample], ...] = ()
        """Of a rate: the last samples."""

    def note(self, check: SeriesCheck, sample: Sample, pulse: Pulse, now: datetime, source: "Judging") -> bool:
        """Take what a pulse has of the figure; returns whether the verdict may change by it."""
        if sample.value is not None and math.isfinite(sample.value):
            self.judged_at = self.called_at = now
            return self.take(check, sample.value, sample, pulse, source.evidence)
        was_quiet = self.window.is_quiet
        self.window.miss(now, source.patience)
        return not (was_quiet and self.window.is_quiet)

    def take(self, check: SeriesCheck, value: float, sample: Sample, pulse: Pulse, evidence: str) -> bool:
        """Take a sample; returns whether the verdict, or what is published of the past, may change by it."""
        usual, interval_s = check.usual, pulse.interval_s
        if sample.failed is not None:
            sample = self._pooled(sample, pulse)
            value = sample.value or 0.0
        was_quiet = self.window.is_quiet
        if usual is None:
            judged = value
        elif self.past.is_learnt:
            judged = _unusual(usual, value, sample, self.past)
        else:
            self.past.learn(value, usual.resolution, interval_s)
            return self.past.has_moved() or self.past.is_learnt
        if check.at_once is not None and sample.calls is not None and sample.calls < CALLS_AT_ONCE:
            judged = min(judged, check.at_once * 0.99)
        if not self.window.stays_calm(check, judged, evidence):
            if score.severity(check, judged):
                self.text = _text(check, pulse.ref, sample, self.past)
            self.window.push(check, judged, evidence)
        if usual is not None:
            adopted_s = usual.adopted_s if not self.window.is_quiet else None
            self.past.learn(value, usual.resolution, interval_s, adopted_s)
        return not (was_quiet and self.window.is_quiet) or (usual is not None and self.past.has_moved())

    def _pooled(self, sample: Sample, pulse: Pulse) -> Sample:
        """The sample with those before it, where its own errors are too few to be a rate."""
        oldest = pulse.timestamp - timedelta(seconds=(POOLED + 0.5) * pulse.interval_s)
        recent = [each for each in self.recent[1 - POOLED :] if each[0] > oldest]
        self.recent = (*recent, (pulse.timestamp, sample))
        own, _ = sample.failed or (0.0, 0.0)
        if sample.value or not own:  # without one of its own it is well, whatever came before
            return sample
        samples = [each for _, each in self.recent]
        failed = [each.failed for each in samples if each.failed is not None]
        if sum(min(errors, POOLED_OF_ONE) for errors, _ in failed) < POOLED_ERRORS:
            return sample
        rate = sum(errors for errors, _ in failed) / sum(n for _, n in failed)
        return structs.replace(sample, value=min(rate, 1.0), calls=sum(each.calls or 0 for each in samples))


def miss(tracks: Mapping[Key, Track], of: Collection[str], now: datetime, patience: timedelta) -> None:
    """Take note that the figures of these checks are not known: after some patience, neither is what was found."""
    for (check_id, _), track in tracks.items():
        if check_id in of and not track.window.is_quiet:
            track.window.miss(now, patience)


def _unusual(usual: Usual, value: float, sample: Sample, past: Past) -> float:
    """How many spreads a sample is from what is usual, the way that is bad; 0 if that is none to speak of."""
    away = _away(usual, value, sample.least_apart, past)
    if away and sample.median_of is not None:  # the same few calls might as well have another one
        away = _away(usual, surely(sample.median_of), sample.least_apart, past)
    return round(away, 2)


def _away(usual: Usual, value: float, least_apart: float, past: Past) -> float:
    if value < usual.least:
        return 0.0
    away = past.spreads_above(value, usual.resolution) * (1 if usual.way == "above" else -1)
    if away <= 0:
        return 0.0
    apart = abs(value - past.usual(usual.resolution))
    return away if apart >= max(usual.least_apart, least_apart) else 0.0


def surely(histogram: Histogram) -> float:
    """What the median of all calls is at least, by those that there were."""
    share = 0.5 - CHANCE / math.sqrt(histogram.n)
    return histogram.quantile(max(share, 0.0)) or 0.0


def _text(check: SeriesCheck, ref: Ref, sample: Sample, past: Past) -> str:
    usual = past.usual(check.usual.resolution) if check.usual is not None else None
    return check.explained(ref, sample, usual, check.thresholds.given[0])


class Remembered:
    """What was published of an entity before a restart, until its sources have sent it again."""

    __slots__ = ("_pasts", "learning", "tracks")

    def __init__(self) -> None:
        self._pasts: dict[tuple[str, Key], Baseline] = {}
        self.learning: frozenset[str] = frozenset()
        """Checks that did not know what is usual."""
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
        self.learning = frozenset()
        self._pasts.clear()
        self.tracks.clear()


class Judging(Struct, frozen=True, gc=False):
    """How a pulse is taken."""

    evidence: str
    patience: timedelta
    """How long a figure may be missing."""
    is_judged: bool
    """Whether its entity has had a verdict."""


class Series:
    """The tracks of one source."""

    __slots__ = ("tracks",)

    def __init__(self) -> None:
        self.tracks: dict[Key, Track] = {}

    def take(self, check: SeriesCheck, pulse: Pulse, now: datetime, remembered: Remembered, source: "Judging") -> bool:
        """Take what a pulse says of one figure, or of that of each connection; returns whether a verdict may change."""
        samples = [*check.samples(pulse)]
        if len(samples) == len(self.tracks) == 1 and not remembered.tracks:  # the one figure that most entities have
            track = self.tracks.get((check.id, samples[0].edge))
            if track is not None:
                return track.note(check, samples[0], pulse, now, source)
        keys = {(check.id, each.edge) for each in samples}
        matters = self._begin(check, keys, pulse, now, remembered, source)
        for sample in samples:
            track = self.tracks.get((check.id, sample.edge))
            if track is not None:  # else beyond TRACKS_MAX
                matters |= track.note(check, sample, pulse, now, source)
        if ALL not in pulse.unread:
            unseen = [key for key in self.tracks if key[0] == check.id and key not in keys]
            uncalled = check.uncalled(pulse)
            if uncalled is not None and uncalled.value is not None:
                called = [key for key in unseen if self.tracks[key].called_at > now - UNCALLED]
                matters |= self._miss_calls(check, called, pulse, uncalled, source.evidence)
                unseen = [key for key in unseen if key not in called]
            matters |= self._leave_out(check, unseen, now, source.patience)
        return matters

    def _miss_calls(self, check: SeriesCheck, keys: Iterable[Key], pulse: Pulse, sample: Sample, evidence: str) -> bool:
        """Connections that are called no more; they have been until lately."""
        matters = False
        for key in keys:
            value = sample.value or 0.0
            track = self.tracks[key]
            track.judged_at = pulse.timestamp
            matters |= track.take(check, value, structs.replace(sample, edge=key[1]), pulse, evidence)
        return matters

    def _begin(
        self, check: SeriesCheck, keys: set[Key], pulse: Pulse, now: datetime, remembered: Remembered, source: "Judging"
    ) -> bool:
        """Make the tracks of what a pulse has of a check; returns whether there are new ones.

        Once its entity is judged, all pulses from before a restart are read: then what was found of connections that
        no pulse has any more is taken over, too, to end like that of any other.
        """
        wanted = keys - self.tracks.keys()
        if source.is_judged and remembered.tracks:
            wanted |= {key for key in remembered.tracks if key[0] == check.id}
        for key in sorted(wanted, key=str)[: max(TRACKS_MAX - len(self.tracks), 0)]:
            self.tracks[key] = remembered.pop(key, pulse.source)
            self.tracks[key].judged_at = now
        return bool(wanted)

    def _leave_out(self, check: SeriesCheck, keys: Iterable[Key], now: datetime, patience: timedelta) -> bool:
        """A figure that does not apply any more has ended; one of calls has not for a while."""
        matters = False
        for key in keys:
            track = self.tracks[key]
            if not check.of_calls:
                del self.tracks[key]
                matters = True
            elif not track.window.is_quiet and now - track.judged_at >= patience:
                track.window = Window()
                matters = True
        return matters
