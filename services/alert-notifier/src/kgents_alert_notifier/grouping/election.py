"""Alerts that wait to be grouped → the root of each. Pure.

Each alert elects one root: its cause, the cause of that, and so on. Alerts with one root are one incident; two that
merely share an effect are not. The result depends on the set of alerts and not on their order.
"""

from collections.abc import Callable

from kgents_alert_notifier.grouping.known_alert import Known

Root = tuple[Known, int]
"""The root, and how many explanations lead to it."""


class Election:
    """One pass over the alerts."""

    def __init__(
        self, cause: Callable[[Known], Known | None], settled: Callable[[Known], int | None], *, hops: int
    ) -> None:
        """An election.

        Args:
            cause: of an alert; None if it is its own.
            settled: how far an alert is from the root of the incident that it is already in; None: it is in none.
            hops: how many explanations may lead to a root. What is farther away is a root itself.
        """
        self._cause = cause
        self._settled = settled
        self._hops = hops
        self._roots: dict[str, Root] = {}

    def root(self, alert: Known) -> Known:
        """The alert that it elects: itself, another one that waits, or one that is already in an incident."""
        path: list[Known] = []  # each explained by the next one
        places: dict[str, int] = {}
        causes: dict[str, Known] = {}
        at = alert
        while at.subject not in self._roots:
            if (start := places.get(at.subject)) is not None:  # they explain each other: the likeliest is the root
                first = min(path[start:], key=lambda each: each.rank)
                self._roots[first.subject] = (first, 0)
                path = [*path[:start], *_towards(first, path[start:])]
                break
            if (depth := self._settled(at)) is not None:
                self._roots[at.subject] = (at, depth)
                break
            if (following := self._cause(at)) is None:
                self._roots[at.subject] = (at, 0)
                break
            places[at.subject], causes[at.subject] = len(path), following
            path.append(at)
            at = following
        for each in reversed(path):
            root, depth = self._roots[causes[each.subject].subject]
            self._roots[each.subject] = (root, depth + 1) if depth < self._hops else (each, 0)
        return self._roots[alert.subject][0]


def _towards(root: Known, cycle: list[Known]) -> list[Known]:
    """The others of a cycle, each explained by the next one, and the last one by the root."""
    at = cycle.index(root)
    return [*cycle[at + 1 :], *cycle[:at]]
