"""All entities now → gauges: how many there are, how many alerts fire, and the score of each. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from kgents_otlp_exporter.record import Gauge, Point
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.view.entity import EntityView

SCORED_MAX: Final = 10_000
"""Entities of one cluster with a series of their own: what a receiver pays for are series."""


class Figures:
    """The figures of one cluster, entity by entity."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._entities: Counter[tuple[str, str]] = Counter()
        self._alerts: Counter[str] = Counter({"warning": 0, "critical": 0})
        self._scores: list[Point] = []
        self._whole: list[Point] = []
        self.hidden = 0
        """Entities without a series of their own."""

    def add(self, view: EntityView) -> None:
        """Count one entity, or the health of the cluster as a whole."""
        if view.ref.kind == kinds.CLUSTER:
            aggregate = view.health.aggregate if view.health is not None else None
            self._whole.append(Point({}, aggregate.overall if aggregate is not None else None))
            return
        self._entities[view.ref.kind, view.level] += 1
        self._alerts.update(each.severity for each in view.firing)
        if view.health is None:
            return
        if len(self._scores) >= SCORED_MAX:
            self.hidden += 1
            return
        ref = view.ref
        named = {"kgents.kind": ref.kind, "kgents.namespace": ref.namespace, "kgents.name": ref.name}
        self._scores.append(Point({name: value for name, value in named.items() if value}, view.score))

    def gauges(self) -> Iterator[Gauge]:
        """The metrics of the cluster."""
        counted = [
            Point({"kgents.kind": kind, "kgents.health.level": level}, count)
            for (kind, level), count in sorted(self._entities.items())
        ]
        fires = [Point({"kgents.alert.severity": name}, count) for name, count in sorted(self._alerts.items())]
        for name, unit, description, points in (
            ("kgents.entities", "{entity}", "Entities by kind and level of health.", counted),
            ("kgents.alerts", "{alert}", "Alerts that fire, by severity.", fires),
            ("kgents.cluster.health.score", "1", "Mean score of all entities, from 0 to 1.", self._whole),
            ("kgents.entity.health.score", "1", "1 healthy, 0 dead; no value: not known.", self._scores),
        ):
            if points:
                yield Gauge(name, unit, description, self._cluster, points)


def figures(views: Iterable[EntityView]) -> dict[str, Figures]:
    """Cluster → its figures."""
    found: dict[str, Figures] = {}
    for view in views:
        found.setdefault(view.ref.cluster, Figures(view.ref.cluster)).add(view)
    return found
