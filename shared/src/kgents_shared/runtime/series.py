"""What a service knows of other entities → series of `/metrics`: gauges that a source computes at each scrape.

Figures of pulses are off by default, since there is a series for each entity; `telemetry.figures` names the kinds.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.figures import figures
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.vocabulary.figures.metric import METRICS

EVERY_KIND: Final = "*"
MISSED: Final = 3.0
"""Intervals after which a pulse is no longer shown: an old figure must not pass for one of now."""
_LEFT_OUT: Final = "kgents_figures_left_out_entities"


class Sample(NamedTuple):
    """One value of one series."""

    name: str
    meaning: str
    labels: Mapping[str, str]
    value: float


Source = Callable[[], Iterable[Sample]]
"""Called at each scrape; must be quick."""


class Series(Collector):
    """All sources of one process: each metric appears once, whichever of them have it."""

    def __init__(self) -> None:
        self.sources: list[Source] = []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What is known now."""
        families: dict[str, GaugeMetricFamily] = {}
        for source in self.sources:
            for each in source():
                family = families.get(each.name)
                if family is None:
                    family = families[each.name] = GaugeMetricFamily(each.name, each.meaning, labels=list(each.labels))
                family.add_metric(list(each.labels.values()), each.value)
        yield from families.values()


class LastFigures:
    """The last pulses of entities of some kinds, as a source."""

    def __init__(self, kinds: Collection[str], *, max_entities: int, monotonic_s: Callable[[], float]) -> None:
        """Begin with none; an empty list of kinds keeps none."""
        self._kinds = frozenset(kinds)
        self._max = max_entities
        self._now_s = monotonic_s
        self._last: OrderedDict[tuple[Ref, str], tuple[float, Pulse]] = OrderedDict()
        self._left_out: dict[tuple[Ref, str], float] = {}

    def take(self, pulse: Pulse) -> None:
        """Keep it, if it is of such a kind and there is room."""
        if not (self._kinds & {pulse.ref.kind, EVERY_KIND}):
            return
        until_s = self._now_s() + MISSED * pulse.interval_s
        key = (pulse.ref, pulse.source)
        if key not in self._last and len(self._last) >= self._max:
            self._drop_old()
        if key in self._last or len(self._last) < self._max:
            self._last[key] = (until_s, pulse)
            self._left_out.pop(key, None)
        elif len(self._left_out) < self._max:
            self._left_out[key] = until_s

    def __call__(self) -> Iterator[Sample]:
        """The figures of the entities that still send pulses."""
        if not self._kinds:
            return
        self._drop_old()
        for (ref, source), (_, pulse) in self._last.items():
            labels = {"cluster": ref.cluster, "source": source, "kind": ref.kind}
            labels |= {"namespace": ref.namespace, "name": ref.name}
            for name, value in figures(pulse).items():
                metric = METRICS.get(name)
                if metric is not None and value is not None:
                    yield Sample(metric.name, metric.meaning, labels, value * metric.factor)
        yield Sample(_LEFT_OUT, "Entities beyond `telemetry.figures_max`.", {}, len(self._left_out))

    def _drop_old(self) -> None:
        now_s = self._now_s()
        for key in [key for key, (until_s, _) in self._last.items() if until_s < now_s]:
            del self._last[key]
        for key in [key for key, until_s in self._left_out.items() if until_s < now_s]:
            del self._left_out[key]
