"""What each check finds of one entity: its state and its windows → findings with their sentences. Pure."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from kgents_health_scorer import score
from kgents_health_scorer.checks.check import FigureCheck, GradedCheck, SampleCheck, SeriesCheck, State
from kgents_health_scorer.debounce import Window
from kgents_health_scorer.score import Band
from kgents_health_scorer.series import Track
from kgents_health_scorer.verdict import Checks, Finding
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Edge, Reason, UnknownFigure
from kgents_shared.contract.quantity import worded


def by_age(ref: Ref, state: State, checks: Checks, now: datetime, evidence: str) -> Iterator[Finding]:
    """What has lasted for too long."""
    for check in checks.ages:
        age_s = check.age_s(state)
        how_bad = score.severity(check, age_s)
        if (band := score.band_of(how_bad)) != Band.FINE:
            began = now - timedelta(seconds=age_s - check.thresholds.given[0])
            yield Finding(check, _reason(ref, check, age_s, score.within(band, how_bad), evidence), began=began)


def by_sample(ref: Ref, check: SampleCheck, windows: Iterable[Window]) -> Finding | None:
    """The finding of a check, confirmed or not; the worst one if several sources measure the same."""
    found = []
    for window in windows:
        if window.band or window.is_suspect:
            value, evidence = window.last_beyond
            reason = _reason(ref, check, value, _severity(check, window), evidence)
            found.append(Finding(check, reason, is_suspect=window.is_suspect))
    return max(found, key=lambda each: (not each.is_suspect, each.reason.severity), default=None)


def by_series(check: SeriesCheck, tracks: Iterable[tuple[Edge | None, Track]], last: Edge | None) -> Finding | None:
    """The finding of a check: of the connections that are beyond it now the one that it named last, else the worst."""
    found = [(edge, track) for edge, track in tracks if track.window.band or track.window.is_suspect]
    if not found:
        return None
    worst = check.thresholds.given[0]
    edge, track = max(found, key=lambda each: _rank(each[1].window, worst, is_named=each[0] == last, edge=each[0]))
    window = track.window
    value, evidence = window.last_beyond
    others = sum(not each.window.is_suspect for of, each in found if of != edge)
    text = track.text if not others else f"{track.text} The same holds for {others} more of its connections."
    threshold = check.thresholds.given[0]
    reason = Reason(check.id, text, _severity(check, window), value, threshold, check.unit, evidence, edge=edge)
    return Finding(check, reason, is_suspect=window.is_suspect)


def lapsed(check: FigureCheck, windows: Iterable[Window]) -> UnknownFigure | None:
    """The figure, if it is not known any more and something was found by it, and since when."""
    since = (each.unknown_since for each in windows if each.is_lapsed and each.unknown_since is not None)
    first = min(since, default=None)
    return UnknownFigure(check.id, check.figure, first) if first is not None else None


def _rank(window: Window, warn: float, *, is_named: bool, edge: Edge | None) -> tuple[object, ...]:
    now = window.last[0]
    return not window.is_suspect, now >= warn, is_named, now, str(edge)


def _severity(check: FigureCheck, window: Window) -> float:
    """As bad as the last sample is within what is confirmed."""
    value, _ = window.last_beyond
    band = window.band or max(score.band_of(score.severity(check, value)), Band.WARNING)
    return score.within(band, score.severity(check, value if window.is_suspect else window.last[0]))


def _reason(ref: Ref, check: GradedCheck, value: float, how_bad: float, evidence: str) -> Reason:
    threshold = score.threshold_passed(check, how_bad)
    text = check.sentence(ref, worded(value, check.unit), worded(threshold, check.unit))
    return Reason(check.id, text, how_bad, value, threshold, check.unit, evidence)
