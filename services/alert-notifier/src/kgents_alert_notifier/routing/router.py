"""An incident → the routes that take it, who is notified, and why. Pure.

Everything is computed from the incident and the time, so no timer is kept, and none is lost.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from kgents_alert_notifier.routing.route import FIELDS, LABEL, EscalationConfig, RouteConfig, listed, matches
from kgents_alert_notifier.routing.window import WindowConfig, is_within
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.incident import Incident

Facts = Mapping[str, str]


class Wanted(Struct, frozen=True):
    """That a receiver is to know of an incident."""

    revision: int
    """Which of it."""
    repeat: int = 0
    """How many repetitions of it are due until now, because no one has acknowledged."""
    since: datetime | None = None
    """Since when; later than the incident was opened for an escalation."""
    regroup_s: float = 0.0
    """How long at least between two notifications of growth alone."""
    route: int = 0
    """The place of the route."""
    is_escalation: bool = False


class Step(Struct, frozen=True):
    """What one route makes of an incident, for people."""

    route: int
    takes: bool
    why: str
    to: list[str] = []
    escalation: list[str] = []
    """`mail after 15 min without acknowledgement`."""
    wait_s: float = 0.0


class Router:
    """The routes of the configuration."""

    def __init__(self, routes: Sequence[RouteConfig], windows: Mapping[str, WindowConfig]) -> None:
        self.routes = routes
        self._windows = windows
        self.min_wait_s = min((each.wait_s for each in routes), default=30.0)
        """How long an alert fires at least before its incident is opened."""

    def wait_s(self, facts: Facts) -> float:
        """How long an alert of these facts fires before its incident is opened: as its most impatient route says.

        At whatever time of day, since it is the same incident for all.
        """
        waits = [each.wait_s for each in self._taking(facts, None)]
        return min(waits, default=self.min_wait_s)

    def wanted(self, incident: Incident, now: datetime) -> dict[str, Wanted]:
        """Receiver → what it is to know by now. Of a silenced incident it is nothing."""
        found: dict[str, Wanted] = {}
        if incident.silenced_by and incident.state != "resolved":
            return found
        age_s = (now - incident.opened_at).total_seconds()
        for place, route in self._places(facts_of(incident), now):
            if incident.affected_count < route.min_alerts and incident.state != "resolved":
                continue
            is_waiting = incident.state == "open" and incident.calm_at is None
            repeat = int(age_s // route.repeat_s) if route.repeat_s and is_waiting else 0
            plain = Wanted(incident.revision, repeat, incident.opened_at, route.regroup_s, place)
            for name in route.to:
                found.setdefault(name, plain)
            for step in route.escalate:
                if is_waiting and self._is_due(step, route, incident, now):
                    escalated = Wanted(incident.revision, repeat, now, route.regroup_s, place, is_escalation=True)
                    for name in step.to:
                        found.setdefault(name, escalated)
        return found

    def _is_due(self, step: EscalationConfig, route: RouteConfig, incident: Incident, now: datetime) -> bool:
        """Whether people of this route have had their time: not at once when a silence, or its hours off, end."""
        had = _waited_s(incident, now) >= step.after_s
        return had and self._is_time(route, now - timedelta(seconds=step.after_s))

    def next_change_s(self, incident: Incident, now: datetime) -> float | None:
        """In how many seconds time alone may next make it escalate or repeat; None: never."""
        age_s, waited_s = (now - incident.opened_at).total_seconds(), _waited_s(incident, now)
        found = []
        for _, route in self._places(facts_of(incident), None):
            found += [step.after_s - waited_s for step in route.escalate if step.after_s > waited_s]
            if route.repeat_s:
                found.append(route.repeat_s - age_s % route.repeat_s)
        return min(found, default=None)

    def explain(self, facts: Facts, now: datetime) -> list[Step]:
        """What each route makes of these facts, up to the one that ends it."""
        steps: list[Step] = []
        for place, route in enumerate(self.routes):
            refusal = self._refusal(route, facts, now)
            if refusal:
                steps.append(Step(place, takes=False, why=refusal))
                continue
            escalation = [
                f"{', '.join(step.to)} after {step.after_s:g} s without acknowledgement" for step in route.escalate
            ]
            why = "; ".join(f"{name}={facts.get(name, '')}" for name in route.match) or "it takes everything"
            steps.append(Step(place, takes=True, why=why, to=route.to, escalation=escalation, wait_s=route.wait_s))
            if not route.also:
                break
        return steps

    def _refusal(self, route: RouteConfig, facts: Facts, now: datetime) -> str:
        for name, admitted in route.match.items():
            if not matches({name: admitted}, facts):
                return f"{name} is {facts.get(name) or 'empty'}, not {' or '.join(listed(admitted))}"
        if not self._is_time(route, now):
            return f"not at this time ({route.when})"
        return ""

    def _taking(self, facts: Facts, now: datetime | None) -> list[RouteConfig]:
        return [route for _, route in self._places(facts, now)]

    def _places(self, facts: Facts, now: datetime | None) -> list[tuple[int, RouteConfig]]:
        """The routes that take these facts at a time; None: at any."""
        found = []
        for place, route in enumerate(self.routes):
            if matches(route.match, facts) and (now is None or self._is_time(route, now)):
                found.append((place, route))
                if not route.also and (now is not None or not route.when):
                    break
        return found

    def _is_time(self, route: RouteConfig, now: datetime) -> bool:
        if not route.when:
            return True
        within = is_within(self._windows[route.when.removeprefix("!")], now)
        return within != route.when.startswith("!")


def _waited_s(incident: Incident, now: datetime) -> float:
    """For how long no one has taken care of it."""
    return (now - (incident.waits_since or incident.opened_at)).total_seconds()


def facts_of(incident: Incident) -> Facts:
    """What routes match of an incident: its probable root, and how bad it is."""
    return facts_about(incident.root.ref, incident.root.check, incident.severity, incident.labels)


def facts_about(ref: Ref, check: str, severity: str, labels: Mapping[str, str]) -> Facts:
    """The same of an alert."""
    values = (ref.cluster, ref.namespace, ref.kind, ref.name, check, severity)
    return {**dict(zip(FIELDS, values, strict=True)), **{f"{LABEL}{name}": value for name, value in labels.items()}}
