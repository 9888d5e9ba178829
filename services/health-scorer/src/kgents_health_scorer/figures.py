"""All figures of one entity: the windows and tracks of its sources, and those from before a restart. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from kgents_health_scorer import found
from kgents_health_scorer.baseline import Past
from kgents_health_scorer.checks.check import FigureCheck, SampleCheck, SeriesCheck
from kgents_health_scorer.debounce import Window
from kgents_health_scorer.series import Remembered, Track
from kgents_health_scorer.source import TRAFFIC, Source
from kgents_health_scorer.verdict import Checks
from kgents_shared.contract.health import Baseline, Edge, UnknownFigure

PAST_MAX: Final = 256
"""Baselines in a Health message at most, those that are known for longest."""


class Figures:
    """The figures of an entity, as checks ask for them."""

    def __init__(self, sources: Mapping[str, Source], remembered: Remembered) -> None:
        self._sources = sources
        self._remembered = remembered

    def windows(self, check: SampleCheck) -> list[Window]:
        """Those of a figure, of each source that has it, and one from before a restart."""
        windows = [each.windows[check.id] for each in self._sources.values() if check.id in each.windows]
        remembered = self._remembered.window(check.id)
        return windows if remembered is None else [*windows, remembered]

    def tracks(self, check: SeriesCheck) -> list[tuple[Edge | None, Track]]:
        """The same of a figure that is judged one by one."""
        places = [*(each.series.tracks for each in self._sources.values()), self._remembered.tracks]
        return [(edge, track) for each in places for (of, edge), track in each.items() if of == check.id]

    def has(self, check: FigureCheck) -> bool:
        """Whether it applies, as far as is known."""
        return bool(self._windows(check))

    def is_known(self, check: FigureCheck, now: datetime) -> bool:
        """Whether it is judged by a source that still sends."""
        return any(each.deadline > now and _judges(each, check) for each in self._sources.values())

    def absent(self, checks: Checks) -> set[str]:
        """Checks whose figure the sources do not have, or have not known for long."""
        asked = (*checks.samples, *checks.series)
        return {each.id for each in asked if all(one.is_lapsed for one in self._windows(each))}

    def lapsed(self, checks: Iterable[FigureCheck]) -> Iterator[UnknownFigure]:
        """Which figures are not known any more by which something was found, and since when."""
        for check in checks:
            if (figure := found.lapsed(check, self._windows(check))) is not None:
                yield figure

    def learning(self, checks: Iterable[SeriesCheck]) -> list[str]:
        """Checks that do not know yet what is usual, of nothing that they compare with it.

        Which figures there are is known once a pulse was read: until then they are those from before a restart.
        """
        if self._remembered.learning and not any(each.is_read for each in self._sources.values()):
            return [each.id for each in checks if each.id in self._remembered.learning]
        asked = ((each, self._pasts(each)) for each in checks if each.usual is not None)
        return [each.id for each, pasts in asked if pasts and not any(past.is_learnt for past in pasts)]

    def found_edges(self) -> tuple[tuple[str, Edge], ...]:
        """Check and connection of everything that is found on one."""
        places = [*(each.series.tracks for each in self._sources.values()), self._remembered.tracks]
        tracks = (each for place in places for each in place.items())
        return tuple(
            sorted(((of, edge) for (of, edge), track in tracks if edge is not None and track.window.band), key=str)
        )

    def baselines(self) -> list[Baseline]:
        """What is usual, to publish: of at most PAST_MAX figures."""
        known = [*self._remembered.pasts()]
        for name, source in self._sources.items():
            for (check_id, edge), track in source.series.tracks.items():
                if (record := track.past.record(check_id, name.removesuffix(TRAFFIC), edge)) is not None:
                    known.append(record)
        known.sort(key=lambda each: (-each.seconds, each.check, each.source, str(each.edge)))
        return known[:PAST_MAX]

    def _windows(self, check: FigureCheck) -> list[Window]:
        if isinstance(check, SeriesCheck):
            return [track.window for _, track in self.tracks(check)]
        return self.windows(check) if isinstance(check, SampleCheck) else []

    def _pasts(self, check: SeriesCheck) -> list[Past]:
        by_source = (source.series.tracks.items() for source in self._sources.values())
        pasts = [track.past for tracks in by_source for (of, _), track in tracks if of == check.id]
        return [*pasts, *(Past(each) for each in self._remembered.pasts(check.id))]


def _judges(source: Source, check: FigureCheck) -> bool:
    if isinstance(check, SeriesCheck):
        tracks = (track for (of, _), track in source.series.tracks.items() if of == check.id)
        return any(
            each.window.unknown_since is None and (check.usual is None or each.past.is_learnt) for each in tracks
        )
    window = source.windows.get(check.id)
    return window is not None and window.unknown_since is None
