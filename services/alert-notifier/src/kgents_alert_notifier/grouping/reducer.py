"""Alerts, topology, silences and acknowledgements → the incidents that are desired → `app.py` publishes them.

An alert that fires waits until its routes let it, then elects its root (`election`); those with one root become an
incident. From then on the incident keeps its id and its members. What is believed is a fold of the streams and of the
own rows: no timer is kept.
"""

import heapq
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from msgspec import structs

from kgents_alert_notifier.grouping import lifecycle, shape
from kgents_alert_notifier.grouping.covering import Covering
from kgents_alert_notifier.grouping.election import Election
from kgents_alert_notifier.grouping.explain import Explaining
from kgents_alert_notifier.grouping.graph import Graph, key_of
from kgents_alert_notifier.grouping.group import Group
from kgents_alert_notifier.grouping.grouping_config import GroupingConfig
from kgents_alert_notifier.grouping.known_alert import FiringAlerts, Known, known, renew
from kgents_alert_notifier.grouping.opening import opened
from kgents_alert_notifier.grouping.silencing import Silencing
from kgents_alert_notifier.routing.router import Facts, Router, facts_about
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.silence import Silence
from kgents_shared.contract.topology import TopologyEntity

Elected = tuple[list[Known], list[Known]]
"""Alerts, and the root of each."""
SLICE: Final = 1_000
"""Alerts that elect their root at a time: some 10 ms."""
GROUPS_SLICE: Final = 100
"""Incidents that are looked through at a time."""


class Incidents:
    """Everything known of one cluster, and the incidents that it makes."""

    def __init__(self, cluster: str, config: GroupingConfig, router: Router, silencing: Silencing) -> None:
        self._cluster = cluster
        self._config = config
        self._router = router
        self._silencing = silencing
        self._graph = Graph()
        self._firing = FiringAlerts()
        self._explaining = Explaining(self._graph, self._firing, window_s=config.window_s, quiet_hops=config.quiet_hops)
        self._covering = Covering(cluster, self._graph, self._explaining, silencing, self._facts)
        self._known: dict[str, Known] = {}  # by subject
        self._waiting: dict[str, Known] = {}  # those that fire and are in no incident
        self._groups: dict[str, Group] = {}  # incidents that are not resolved, by id
        self._by_head: dict[str, str] = {}  # unit → the incident of which it is the root
        self._restored: dict[str, str] = {}  # member → incident, of alerts not read yet
        self._resolved: dict[str, Incident] = {}
        self._expiries: list[tuple[datetime, str]] = []
        self._acknowledgements: dict[str, Acknowledgement] = {}
        self._parents: dict[str, str] = {}  # incident → its parent, not published yet
        self._changed: dict[str, None] = {}  # incidents to look through again
        self._covered_as_of = self._explaining.as_of  # a maintenance of a machine may cover others after each change
        self._later: dict[str, datetime] = {}  # incidents of which figures have grown, and when to publish that
        self._election: tuple[Election, list[Known]] | None = None  # under way, and who has not elected yet
        self._elected: dict[str, Known] = {}
        self._has_new = False  # whether some of these were
        self._opening: list[tuple[str, Elected]] = []  # units and what elected them, of which none is opened yet
        self._due_s = float("inf")  # when an alert may have waited long enough
        self._now = datetime.fromisoformat("1970-01-01T00:00Z")

    # What is read

    def restore(self, incident: Incident) -> None:
        """Go on from what was published before this run."""
        if incident.state == "resolved":
            self._keep(incident)
            return
        head = key_of(incident.root.ref.subject("topology"))
        self._groups[incident.id] = Group(incident, head, {}, set(incident.members), is_published=True)
        self._restored.update(dict.fromkeys(incident.members, incident.id))
        self._changed[incident.id] = None

    def begin(self, now: datetime) -> None:
        """Everything that was stored at the start has been read."""
        for group in self._groups.values():
            group.head = self._graph.head(group.head)
            self._by_head[group.head] = group.last.id
        self.tick(now)

    def on_topology(self, entity: TopologyEntity | None, subject: str) -> None:
        """An entity as it is now, or None: it is gone."""
        key = key_of(subject)
        self._graph.put(key, entity)
        if self._silencing.is_any:  # a silence may match its labels
            self._changed.update((each.incident, None) for each in self._firing.of([key]) if each.incident)

    def on_alert(self, alert: Alert | None, subject: str, evidence: str) -> None:
        """An alert as it is now, or None: it has expired. `evidence` names its message."""
        before = self._known.get(subject)
        if alert is None:
            if before is not None:
                before.is_firing, before.is_gone = False, True
                self._settle(before)
            return
        if before is None:
            before = self._known[subject] = known(alert, subject, evidence)
            if (incident := self._restored.pop(before.member, "")) in self._groups:
                self._groups[incident].take(before)
        else:
            renew(before, alert, evidence)
        if before.is_firing:
            self._fire(before)
        else:
            self._settle(before)

    def on_silence(self, silence: Silence | None, subject: str) -> None:
        """A silence, maybe ended early; None: its message has expired."""
        self._silencing.put(subject, silence)
        self._changed.update(dict.fromkeys(self._groups))

    def on_acknowledgement(self, acknowledgement: Acknowledgement | None, subject: str) -> None:
        """An acknowledgement, maybe taken back; None: its message has expired."""
        incident = subject.rpartition(".")[2]
        if acknowledgement is None:
            self._acknowledgements.pop(incident, None)
        else:
            self._acknowledgements[incident] = acknowledgement
        if incident in self._groups:
            self._changed[incident] = None

    def tick(self, now: datetime) -> None:
        """Let the time be `now`, by the server's clock."""
        self._now = max(self._now, now)
        is_moved = self._silencing.is_of_machines and self._covered_as_of != self._explaining.as_of
        self._covered_as_of = self._explaining.as_of
        if self._silencing.is_changed(self._now) or is_moved:
            self._changed.update(dict.fromkeys(self._groups))
        self._changed.update((each, None) for each, group in self._groups.items() if self._is_over(group))
        for incident, at in list(self._later.items()):
            if at <= self._now:
                self._changed[incident] = None
                del self._later[incident]

    def was_away(self, begin_ns: int, end_ns: int) -> None:
        """NATS was away: what was calm before is to be calm for as long again, since it could not be read."""
        floor = datetime.fromtimestamp(end_ns / 1e9, UTC)
        for group in self._groups.values():
            group.calm_floor = floor

    # What is desired

    @property
    def is_dirty(self) -> bool:
        """Whether `take` has results."""
        under_way = self._election is not None or bool(self._opening)
        return bool(self._changed) or under_way or self._is_due or self._has_expired

    def take(self) -> Iterator[Incident]:
        """The incidents that have changed; as long as `is_dirty`, there is more."""
        if self._election is None and not self._opening and self._is_due:
            self._begin_election()
        if self._election is not None:
            self._elect()
        elif self._opening:
            self._open()
        if self._opening:  # their parents are found once all are there
            return
        for incident in list(islice(self._changed, GROUPS_SLICE)):
            del self._changed[incident]
            if (group := self._groups.get(incident)) is not None:
                yield from self._next(group)
        if self._has_expired:
            yield from self._expire(heapq.heappop(self._expiries)[1])

    @property
    def has_entities(self) -> bool:
        """Whether the cluster has any."""
        return len(self._graph) > 0

    @property
    def incidents(self) -> Iterator[Incident]:
        """Those that are not resolved."""
        return (group.last for group in self._groups.values())

    # Alerts

    def _fire(self, alert: Known) -> None:
        self._firing.put(alert)
        if alert.incident:
            self._changed[alert.incident] = None
        elif not alert.is_gone:
            self._waiting[alert.subject] = alert
            self._due_s = min(self._due_s, alert.started_s + self._router.min_wait_s)

    def _settle(self, alert: Known) -> None:
        """It fires no more."""
        self._firing.remove(alert)
        self._waiting.pop(alert.subject, None)
        if alert.incident:
            self._changed[alert.incident] = None
        elif alert.is_gone:
            self._known.pop(alert.subject, None)

    def _facts(self, alert: Known) -> dict[str, str]:
        labels = self._graph.labels(alert.entity)
        facts = facts_about(alert.alert.ref, alert.alert.check, alert.alert.severity, labels)
        return {**facts, "incident": alert.incident}

    # Opening

    @property
    def _is_due(self) -> bool:
        return bool(self._waiting) and self._now.timestamp() >= self._due_s

    def _begin_election(self) -> None:
        election = Election(self._explaining.cause, self._distance, hops=self._config.hops)
        self._election = (election, list(self._waiting.values()))
        self._elected = {}
        self._due_s = float("inf")

    def _distance(self, alert: Known) -> int | None:
        """How far an alert is from the root of its incident; None: it waits."""
        group = self._groups.get(alert.incident)
        if group is None:
            return None
        return 0 if self._graph.head(alert.entity) == group.head else max(1, self._config.hops - 1)

    def _elect(self) -> None:
        """Let some alerts elect their root, and if these were the last ones, open what is due."""
        assert self._election is not None  # noqa: S101 - asked by the caller
        election, voters = self._election
        for each in voters[-SLICE:]:
            if each.subject in self._waiting:
                self._elected[each.subject] = election.root(each)
        del voters[-SLICE:]
        if not voters:
            self._election = None
            self._sort()

    def _sort(self) -> None:
        """Alerts by the unit that is their root, of which `_open` makes incidents some at a time."""
        by_head: dict[str, Elected] = {}
        for subject, root in self._elected.items():
            if (alert := self._waiting.get(subject)) is None:
                continue
            if root.incident in self._groups:
                self._join(self._groups[root.incident], [alert], wait_s=self._router.min_wait_s)
                continue
            if root.subject not in self._waiting:
                root = alert  # noqa: PLW2901 - what it elected has ended since
            of_head = by_head.setdefault(self._graph.head(root.entity), ([], []))
            of_head[0].append(alert)
            of_head[1].append(root)
        self._opening = list(by_head.items())

    def _open(self) -> None:
        """Open some of what was sorted. An alert that has ended meanwhile is no member, and no root."""
        for head, elected in self._opening[-GROUPS_SLICE:]:
            members, roots = ([each for each in side if each.subject in self._waiting] for side in elected)
            if (incident := self._by_head.get(head)) in self._groups:
                self._join(self._groups[incident], members, wait_s=self._router.min_wait_s)
            elif members:
                self._open_one(head, roots or members, members)
        del self._opening[-GROUPS_SLICE:]
        if not self._opening and self._has_new:
            self._has_new = False
            self._find_parents()

    def _find_parents(self) -> None:
        """Also of those there were: what caused one may have been found only now."""
        for each in self._groups.values():
            if not each.last.parent and (parent := self._parent(each)):
                self._parents[each.last.id] = parent
                self._changed[each.last.id] = None

    def _join(self, group: Group, members: Sequence[Known], *, wait_s: float = 0.0) -> None:
        """Make alerts members that have fired for long enough."""
        for each in members:
            due_s = each.started_s + wait_s
            if wait_s and self._now.timestamp() < due_s:
                self._due_s = min(self._due_s, due_s)
                continue
            self._waiting.pop(each.subject, None)
            group.take(each)
            self._changed[group.last.id] = None

    def _open_one(self, head: str, roots: Sequence[Known], members: Sequence[Known]) -> None:
        """Make an incident of these alerts, if they have waited for long enough."""
        began_s = min(each.started_s for each in members)
        if self._now.timestamp() < began_s + self._router.min_wait_s:
            self._due_s = min(self._due_s, began_s + self._router.min_wait_s)
            return
        members = sorted(members, key=lambda each: each.subject)
        root = min(roots, key=lambda each: each.rank)
        severity = "critical" if any(each.alert.severity == "critical" for each in members) else "warning"
        facts: Facts = {**self._facts(root), "severity": severity}
        due_s = began_s + self._router.wait_s(facts)
        if self._now.timestamp() < due_s:
            self._due_s = min(self._due_s, due_s)
            return
        incident = opened(self._cluster, root, members, self._now, self._is_taken)
        labels = shape.labels(self._graph.labels(root.entity))
        group = Group(structs.replace(incident, labels=labels), head, {}, set())
        self._groups[incident.id] = group
        self._by_head[head] = incident.id
        self._has_new = True
        self._join(group, members)

    def _is_taken(self, incident: str) -> bool:
        return incident in self._groups or incident in self._resolved

    # Changing

    def _next(self, group: Group) -> Iterator[Incident]:
        """The incident as it is now, if that differs from what was published."""
        last = group.last
        inputs = lifecycle.Inputs(
            members=group.members,
            root=group.root,
            unknown_members=tuple(group.restored),
            parent=self._parents.pop(last.id, ""),
            acknowledgement=self._acknowledgements.get(last.id),
            silencing=self._silencing,
            silenced_by=self._covering.silenced_by(group.members.values()),
            calm_floor=group.calm_floor,
        )
        if self._is_as_opened(group):
            found = lifecycle.as_opened(last, inputs, self._now)
        else:
            found = lifecycle.next_incident(last, inputs, self._config, self._now)
        at = lifecycle.may_wait_until(last, found) if found is not last and group.is_published else None
        if at is not None and at > self._now:
            self._later[last.id] = at
            return
        if found is last and group.is_published:
            return
        group.last, group.is_published = found, True
        if found.state == "resolved":
            self._close(group)
        yield found

    def _is_as_opened(self, group: Group) -> bool:
        """Whether nothing of its alerts has changed since it was opened, a moment ago."""
        last, members = group.last, group.members.values()
        is_new = not group.is_published and last.opened_at == self._now
        return is_new and len(members) == len(last.members) and all(each.is_firing for each in members)

    def _is_over(self, group: Group) -> bool:
        return group.last.calm_at is not None and self._now >= lifecycle.calm_until(
            group.last, self._config, group.calm_floor
        )

    def _parent(self, group: Group) -> str:
        """The incident that probably caused this one; empty: none, or it was caused by this one."""
        root = group.root
        if root is None or not root.is_firing or not root.explanation.explained_by:
            return ""
        cause = self._explaining.cause(root, is_old_too=True)
        if cause is None or cause.incident not in self._groups:
            return ""
        at, seen = cause.incident, {group.last.id}
        while at:
            if at in seen:
                return ""
            seen.add(at)
            at = (self._groups[at].last.parent or self._parents.get(at, "")) if at in self._groups else ""
        return cause.incident

    # Ending

    def _close(self, group: Group) -> None:
        for each in group.members.values():
            each.incident = ""
            if each.is_gone:
                self._known.pop(each.subject, None)
        for member in group.restored:
            self._restored.pop(member, None)
        del self._groups[group.last.id]
        if self._by_head.get(group.head) == group.last.id:
            del self._by_head[group.head]
        self._later.pop(group.last.id, None)
        self._keep(group.last)

    def _keep(self, incident: Incident) -> None:
        self._resolved[incident.id] = incident
        ended = incident.ended_at or incident.changed_at
        heapq.heappush(self._expiries, (ended + timedelta(days=self._config.keep_days), incident.id))

    @property
    def _has_expired(self) -> bool:
        return bool(self._expiries) and self._expiries[0][0] <= self._now

    def _expire(self, incident: str) -> Iterator[Incident]:
        yield lifecycle.expired(self._resolved.pop(incident), self._now)
