"""Which silences let an incident notify no one: its alerts, silences, and maintenance of machines. Pure.

A maintenance of a node or host covers what is unwell because of it, too: what runs there and nowhere else, as far as
its check says that a machine may explain it, and what such alerts alone explain.
"""

from collections.abc import Callable, Iterable
from typing import Final

from kgents_alert_notifier.grouping.explain import Explaining
from kgents_alert_notifier.grouping.graph import Graph, ref_of
from kgents_alert_notifier.grouping.known_alert import Known
from kgents_alert_notifier.grouping.silencing import Facts, Silencing
from kgents_alert_notifier.routing.router import facts_about
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.explanations import BACKEND, HOST

MACHINES: Final = (kinds.NODE, kinds.HOST)
Ids = frozenset[str]
_NONE: Final[Ids] = frozenset()


class Covering:
    """The silences of one cluster, applied to its incidents."""

    def __init__(
        self, cluster: str, graph: Graph, explaining: Explaining, silencing: Silencing, facts: Callable[[Known], Facts]
    ) -> None:
        self._cluster = cluster
        self._graph = graph
        self._explaining = explaining
        self._silencing = silencing
        self._facts = facts

    def silenced_by(self, members: Iterable[Known]) -> list[str]:
        """The silences that together cover all alerts that fire; none if one alert is covered by none."""
        found: set[str] = set()
        if not self._silencing.is_any:
            return []
        known: dict[str, Ids] = {}
        for each in members:
            if each.is_firing:
                ids = self._of(each, known)
                if not ids:
                    return []
                found |= ids
        return sorted(found)

    def _of(self, alert: Known, known: dict[str, Ids]) -> Ids:
        """The silences that cover an alert. `known`: what was found; one that is asked for again explains itself."""
        if alert.subject not in known:
            known[alert.subject] = _NONE
            known[alert.subject] = self._found(alert, known)
        return known[alert.subject]

    def _found(self, alert: Known, known: dict[str, Ids]) -> Ids:
        if silence := self._silencing.of(self._facts(alert)):
            return frozenset({silence})
        if not self._silencing.is_of_machines:
            return _NONE
        relations = alert.explanation.explained_by
        if HOST in relations and (found := self._of_machines([alert.entity])):
            return found
        if causes := self._explaining.causes(alert):
            return _all(self._of(each, known) for each in causes)
        return self._of_machines(self._graph.related(alert.entity, BACKEND)) if BACKEND in relations else _NONE

    def _of_machines(self, entities: Iterable[str]) -> Ids:
        """Maintenances of all machines on which these entities run; none if one runs elsewhere, too."""
        return _all(
            next(filter(None, (_all(map(self._of_machine, to)) for to in self._explaining.onward(each, HOST))), _NONE)
            for each in entities
        )

    def _of_machine(self, key: str) -> Ids:
        ref = ref_of(self._cluster, key)
        if ref is None or ref.kind not in MACHINES:
            return _NONE
        found = self._silencing.of_machine(facts_about(ref, "", "", self._graph.labels(key)))
        return frozenset({found}) if found else _NONE


def _all(found: Iterable[Ids]) -> Ids:
    """All of them together; none if there is nothing, or one is empty."""
    ids: Ids = _NONE
    for each in found:
        if not each:
            return _NONE
        ids |= each
    return ids
