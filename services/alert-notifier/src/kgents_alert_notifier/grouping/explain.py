"""An alert → the alert that probably caused it, by the relations that its check declares. Pure."""

from collections.abc import Iterator
from typing import Final

from kgents_alert_notifier.grouping.graph import Graph
from kgents_alert_notifier.grouping.known_alert import FiringAlerts, Known, Rank
from kgents_shared.contract.vocabulary.explanations import BACKEND, DEPENDENCY, HOST, SOURCE, STORAGE, Relation

FRONTIER_MAX: Final = 256
"""Entities that are asked on one hop. What needs more than that is not explained by one of them."""

_ONWARD: Final[dict[Relation, tuple[Relation, ...]]] = {
    HOST: (HOST,),
    DEPENDENCY: (BACKEND, HOST, DEPENDENCY),
    BACKEND: (BACKEND, HOST),
    STORAGE: (STORAGE, HOST),
    SOURCE: (),
}
"""Relation → by which relations it goes on beyond an entity that has no alert."""


class Explaining:
    """Finds causes among the alerts that fire. What it remembers of them it forgets when anything changes."""

    def __init__(self, graph: Graph, firing: FiringAlerts, *, window_s: float, quiet_hops: int) -> None:
        self._graph = graph
        self._firing = firing
        self._window_s = window_s
        self._quiet_hops = quiet_hops
        self._related: dict[str, Known | None] = {}  # alert → its cause by a relation; a pass asks again for those left
        self._as_of = (-1, -1)

    @property
    def as_of(self) -> tuple[int, int]:
        """Differs once the alerts that fire, or what they depend on, have changed."""
        return self._firing.changes, self._graph.changes

    def cause(self, alert: Known, *, is_old_too: bool = False) -> Known | None:
        """The alert that probably caused this one; None: it is its own cause.

        `is_old_too`: also one that began long before or after it.
        """
        if not alert.explanation.explained_by:
            return None
        window_s = float("inf") if is_old_too else self._window_s
        found = self._by_any(alert, window_s) if is_old_too else self._remembered(alert)
        return found if found is not None else self._companion(alert, window_s)

    def _remembered(self, alert: Known) -> Known | None:
        if self._as_of != self.as_of:
            self._related.clear()
            self._as_of = self.as_of
        if alert.subject not in self._related:
            self._related[alert.subject] = self._by_any(alert, self._window_s)
        return self._related[alert.subject]

    def _by_any(self, alert: Known, window_s: float) -> Known | None:
        by = (self._by(relation, alert, window_s) for relation in alert.explanation.explained_by)
        return next((found for found in by if found is not None), None)

    def causes(self, alert: Known) -> list[Known]:
        """All alerts that may have caused this one, by any relation, whenever they began."""
        head, found = self._graph.head(alert.entity), dict[str, Known]()
        for relation in alert.explanation.explained_by:
            for frontier in self.onward(alert.entity, relation):
                firing = (each for key in frontier for each in self._firing.of(self._near(key)))
                near = {each.subject: each for each in firing if each.breaks and self._graph.head(each.entity) != head}
                found |= near
                if near:
                    break
        return list(found.values())

    def onward(self, entity: str, relation: Relation) -> Iterator[tuple[str, ...]]:
        """What an entity needs in this way, and beyond that, as far as it is asked."""
        frontier = self._graph.related(entity, relation)
        for _ in range(self._quiet_hops + 1):
            if not frontier or len(frontier) > FRONTIER_MAX:
                return
            yield frontier
            beyond = (to for key in frontier for each in _ONWARD[relation] for to in self._graph.related(key, each))
            frontier = tuple(dict.fromkeys(beyond))

    def _companion(self, alert: Known, window_s: float) -> Known | None:
        """An alert of the same entity that is in an incident, and is explained as this one may be.

        What an entity suffers from may end before the last alert of it fires.
        """
        others = [each for each in self._firing.of((alert.entity,)) if each.incident and each is not alert]
        if not others:
            return None
        relations = frozenset(alert.explanation.explained_by)
        return min(
            (
                each
                for each in others
                if not relations.isdisjoint(each.explanation.explained_by) and _is_within(each, alert, window_s)
            ),
            key=_rank,
            default=None,
        )

    def _by(self, relation: Relation, alert: Known, window_s: float) -> Known | None:
        head = self._graph.head(alert.entity)
        for hop, frontier in enumerate(self.onward(alert.entity, relation)):
            causes = [best for key in frontier if (best := self._best(key, alert, head, window_s)) is not None]
            is_all = relation != HOST or hop > 0 or len(causes) == len(frontier)  # it runs on the others, too
            if causes:
                return min(causes, key=_rank) if is_all else None
        return None

    def _best(self, key: str, alert: Known, head: str, window_s: float) -> Known | None:
        """The likeliest cause among the alerts of an entity, its owners, and what it owns."""
        return min(
            (
                each
                for each in self._firing.of(self._near(key))
                if each.breaks and _is_within(each, alert, window_s) and self._graph.head(each.entity) != head
            ),
            key=_rank,
            default=None,
        )

    def _near(self, key: str) -> Iterator[str]:
        yield from self._graph.chain(key)
        yield from self._graph.owned(key)


def _is_within(cause: Known, effect: Known, window_s: float) -> bool:
    """Whether one may have caused the other: they fired, or began, at about the same time.

    A pod counts as not ready long after its node does, though both began together.
    """
    if abs(cause.started_s - effect.started_s) <= window_s:
        return True
    return cause.started_s <= effect.started_s and abs(cause.began_s - effect.began_s) <= window_s


def _rank(alert: Known) -> Rank:
    return alert.rank
