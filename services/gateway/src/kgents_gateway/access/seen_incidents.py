"""Incidents as one scope sees them: those whose cause is in it, without what is outside.

An incident that a cause outside of the scope has does not exist for it; its alerts do. A silence does if it can be of
nothing outside.
"""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Final

import msgspec

from kgents_gateway.access.scrub import Takes, hidden_peers, in_words, replacing
from kgents_gateway.questions.world import Incidents, Now
from kgents_shared.contract.codec import INCIDENT, encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.incident import Incident, Moment
from kgents_shared.contract.notice import Notice
from kgents_shared.contract.silence import Matcher, Silence
from kgents_shared.view.selection import Selection

_COUNTED: Final = re.compile(r"\d[\d,]* entities are affected\.|Probably caused by incident ")
"""Entries of a timeline that say something of what is outside."""
_ANY: Final = "*"


class SeenIncidents:
    """The incidents of one scope."""

    def __init__(self, incidents: Incidents, now: Now, takes: Takes, scope: Selection) -> None:
        """`now`: all entities, from which names are known; `takes`: whether the scope holds an entity."""
        self._incidents = incidents
        self._now = now
        self._takes = takes
        self._scope = scope

    def all(self) -> list[Incident]:
        """Every incident of the scope."""
        return [each for one in self._incidents.all() if (each := self.shown(one)) is not None]

    def with_key(self, key: str) -> Incident | None:
        """The incident with this key."""
        return self.shown(self._incidents.with_key(key))

    def with_id(self, id_: str) -> Incident | None:
        """The incident with this id."""
        return self.shown(self._incidents.with_id(id_))

    def notices(self, incident: Incident) -> list[Notice]:
        """What each receiver knows of an incident of the scope."""
        return self._incidents.notices(incident)

    def silences(self) -> list[Silence]:
        """The silences of the scope."""
        return [each for each in self._incidents.silences() if is_within(each.cluster, each.matchers, self._scope)]

    @cached_property
    def _silence_ids(self) -> set[str]:
        return {each.id for each in self.silences()}

    def shown(self, incident: Incident | None) -> Incident | None:
        """An incident without what is outside of the scope; None if its cause is."""
        if incident is None or not self._takes(incident.root.ref):
            return None
        parent = self._incidents.with_id(incident.parent) if incident.parent else None
        if parent is None or not self._takes(parent.root.ref):
            incident = msgspec.structs.replace(incident, parent="")
        affected = [each for each in incident.affected if self._takes(each.ref)]
        view = self._now.fold.get(incident.root.ref)
        topology = view.topology if view is not None else None
        hidden = hidden_peers([topology], self._takes) | {
            ref
            for ref in (*(each.ref for each in incident.affected), *(each.ref for each in incident.reasons))
            if not self._takes(ref)
        }
        if self._scope.namespaces and len(affected) != incident.affected_count:
            incident = _narrowed(incident, self._takes)
        of_scope = [each for each in incident.silenced_by if each in self._silence_ids]
        timeline = [each for each in incident.timeline if self._is_shown(each, incident.cluster)]
        incident = msgspec.structs.replace(incident, silenced_by=of_scope, timeline=timeline)
        if topology is None:  # gone: what its sentences name is not known any more
            incident = _wordless(incident)
        if (replace := replacing(incident.root.ref, topology, hidden, self._takes)) is None:
            return incident
        return INCIDENT.decode(in_words(encode(incident), replace))

    def _is_shown(self, moment: Moment, cluster: str) -> bool:
        """Whether it is of no silence, or of one of the scope."""
        decided = moment.decided
        return decided is None or not decided.silence or is_within(cluster, decided.matchers, self._scope)


def is_within(cluster: str, matchers: Sequence[Matcher], scope: Selection) -> bool:
    """Whether a silence can be of nothing outside of a scope: it names one of its namespaces, where it has some."""
    if not scope.takes_cluster(cluster):
        return False
    if not scope.namespaces:
        return True
    named = [each.value for each in matchers if each.field == "namespace" and not each.is_negated]
    return any(_ANY not in each and scope.takes_ref(Ref(cluster, "", "", each)) for each in named)


def _narrowed(incident: Incident, takes: Takes) -> Incident:
    """Without what is outside: its figures are those of what is left."""
    affected = [each for each in incident.affected if takes(each.ref)]
    kinds = [each.ref.kind for each in affected]
    return msgspec.structs.replace(
        incident,
        text=f"{incident.state.capitalize()}: {incident.title}.",
        root=msgspec.structs.replace(incident.root, why="it is the probable cause"),
        affected=affected,
        affected_count=len(affected),
        affected_by_kind={kind: kinds.count(kind) for kind in sorted(set(kinds))},
        revision_affected=0,
        reasons=[each for each in incident.reasons if takes(each.ref)],
        timeline=[each for each in incident.timeline if not _COUNTED.match(each.text)],
    )


def _wordless(incident: Incident) -> Incident:
    title = f"{incident.root.ref}: {incident.root.check}"
    return msgspec.structs.replace(
        incident, title=title, text=f"{incident.state.capitalize()}: {title}.", reasons=[], timeline=[]
    )
