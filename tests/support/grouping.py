"""Incidents as their reducer makes them, without a server: messages in, rows out, and a restart from these rows."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from kgents_alert_notifier.grouping.grouping_config import GroupingConfig
from kgents_alert_notifier.grouping.reducer import Incidents
from kgents_alert_notifier.grouping.silencing import Silencing
from kgents_alert_notifier.routing.route import RouteConfig
from kgents_alert_notifier.routing.router import Router
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.silence import Silence
from kgents_shared.contract.topology import ResolvedConnection, TopologyEntity
from support.build import NOW, make_ref

Message = TopologyEntity | Alert | Silence | Acknowledgement


class Grouped:
    """One cluster."""

    def __init__(
        self,
        config: GroupingConfig | None = None,
        routes: Sequence[RouteConfig] = (),
        *,
        cluster: str = "test",
        **more: Any,
    ) -> None:
        self._cluster = cluster
        self._config = config or GroupingConfig()
        self._routes = routes or [RouteConfig(to=["ops"])]
        self._more = {"maintenance": (), "windows": {}, **more}
        self.now = NOW
        self.rows: dict[str, Incident] = {}
        self.published: list[Incident] = []
        self._stored: dict[str, Message] = {}
        self.reducer = self._new()

    def _new(self) -> Incidents:
        router = Router(self._routes, self._more["windows"])
        return Incidents(self._cluster, self._config, router, Silencing(**self._more))

    def feed(self, *messages: Message) -> None:
        for each in messages:
            subject = subject_of(each)
            self._stored[subject] = each
            self._apply(each, subject)

    def _apply(self, message: Message, subject: str) -> None:
        gone = message.is_removal
        match message:
            case TopologyEntity():
                self.reducer.on_topology(None if gone else message, subject)
            case Alert():
                self.reducer.on_alert(None if gone else message, subject, "KGENTS_ALERT:1")
            case Silence():
                self.reducer.on_silence(message, subject)
            case Acknowledgement():
                self.reducer.on_acknowledgement(message, subject)

    def after(self, seconds: float) -> list[Incident]:
        """Let time pass, second by second; returns what is published meanwhile."""
        before = len(self.published)
        for _ in range(int(seconds)):
            self.now += timedelta(seconds=1)
            self.reducer.tick(self.now)
            self.publish()
        return self.published[before:]

    def publish(self) -> None:
        while self.reducer.is_dirty:
            for each in self.reducer.take():
                self.published.append(each)
                if each.is_removal:
                    self.rows.pop(each.id)
                else:
                    self.rows[each.id] = each

    def restart(self) -> None:
        """Another instance goes on: it has the rows, and the last message of each subject."""
        self.reducer = self._new()
        for row in self.rows.values():
            self.reducer.restore(row)
        for kind in (TopologyEntity, Silence, Acknowledgement, Alert):
            for subject, each in self._stored.items():
                if isinstance(each, kind):
                    self._apply(each, subject)
        self.reducer.begin(self.now)
        self.publish()

    @property
    def open(self) -> list[Incident]:
        return [each for each in self.rows.values() if each.state != "resolved"]

    def grouped(self) -> set[frozenset[str]]:
        """The groups of entities that have an incident in common."""
        found: dict[str, set[str]] = {}
        for each in self.rows.values():
            found.setdefault(each.id, set()).update(each.members)
        return {frozenset(members) for members in found.values()}

    def roots(self) -> list[str]:
        return sorted(str(each.root.ref) for each in self.rows.values())


def subject_of(message: Message) -> str:
    match message:
        case TopologyEntity():
            return message.ref.subject("topology")
        case Alert():
            return message.ref.subject("alert", check=message.check)
        case _:
            return message.subject


def alert(ref: Ref, check: str, at: datetime = NOW, *, state: str = "firing", **fields: Any) -> Alert:
    found = {"text": f"{ref} has {check}.", "severity": "critical", "started_at": at, **fields}
    if state == "resolved":
        found = {"ended_at": at, **found}
    return Alert(ref=ref, check=check, state=state, **found)


def entity(ref: Ref, *edges: tuple[str, Ref] | tuple[str, Ref, str], **fields: Any) -> TopologyEntity:
    connections = [ResolvedConnection(edge[0], edge[1], *edge[2:]) for edge in edges]
    return TopologyEntity(**{"text": "t", "ref": ref, "connections": connections, "sources": ["k8s"], **fields})


def workload(name: str, *, pods: int = 2, node: str = "n1", needs: Iterable[Ref] = ()) -> list[TopologyEntity]:
    """A Deployment, its Service, and its pods with a container each."""
    owner, service = make_ref(name, kind="deployment"), make_ref(name, kind="service")
    found = [entity(owner), entity(service)]
    for number in range(pods):
        pod = make_ref(f"{name}-{number}")
        needed = (("depends", each) for each in needs)
        found += [entity(pod, ("owns", owner, "in"), ("routes", service, "in"), ("runs_on", make_node(node)), *needed)]
        found += [entity(make_ref(f"{name}-{number}/app", kind="container"), ("owns", pod, "in"))]
    return found


def make_node(name: str) -> Ref:
    return make_ref(name, kind="node", namespace="")


def make_database(name: str) -> Ref:
    return make_ref(name, kind="database")
