"""Who is notified, when, and why."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kgents_alert_notifier.routing.route import EscalationConfig, RouteConfig, matches
from kgents_alert_notifier.routing.router import Router, facts_of
from kgents_alert_notifier.routing.window import WindowConfig
from support.build import NOW
from support.incidents import make_incident

OFFICE = {"office": WindowConfig(zone="UTC", days="mon-fri", begin="08:00", end="18:00")}
SATURDAY = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
MONDAY = SATURDAY + timedelta(days=2)
ROUTES = [
    RouteConfig(
        match={"severity": "critical", "namespace": "shop"}, to=["pager", "ops"], wait_s=10,
        escalate=[EscalationConfig(after_s=900, to=["mail"])],
    ),
    RouteConfig(match={"severity": "warning"}, when="!office", to=[]),
    RouteConfig(to=["ops"]),
]  # fmt: skip


def wanted(at: datetime = NOW, routes: list[RouteConfig] = ROUTES, **fields: Any) -> list[str]:
    incident = make_incident(opened_at=NOW, affected_count=1, **fields)
    return list(Router(routes, OFFICE).wanted(incident, at))


def test_the_first_route_that_matches_counts() -> None:
    assert wanted() == ["pager", "ops"]


def test_outside_of_its_window_a_route_does_not_count() -> None:
    assert wanted(SATURDAY, severity="warning") == []
    assert wanted(MONDAY, severity="warning") == ["ops"]


def test_also_lets_the_next_ones_count() -> None:
    routes = [RouteConfig(match={"severity": "critical"}, to=["pager"], also=True), RouteConfig(to=["ops", "pager"])]
    assert wanted(routes=routes) == ["pager", "ops"]


def test_without_an_acknowledgement_it_is_escalated() -> None:
    later = NOW + timedelta(seconds=900)
    assert wanted(later - timedelta(seconds=1)) == ["pager", "ops"]
    assert wanted(later) == ["pager", "ops", "mail"]
    assert wanted(later, state="acknowledged") == ["pager", "ops"]
    assert Router(ROUTES, OFFICE).next_change_s(make_incident(opened_at=NOW), NOW) == 900


def test_people_have_their_time_before_it_is_escalated() -> None:
    """Not at once, when the time of their route begins, or when it became worse, or a silence ended."""
    evening = MONDAY.replace(hour=17)
    waits: dict[str, Any] = {"opened_at": evening - timedelta(days=1), "affected_count": 1}
    at_work = [RouteConfig(when="office", to=["ops"], escalate=[EscalationConfig(after_s=900, to=["mail"])])]
    for routes, since in ((ROUTES, evening), (at_work, None)):
        began = evening if since is not None else MONDAY.replace(hour=8)
        router, incident = Router(routes, OFFICE), make_incident(waits_since=since, **waits)
        assert "mail" not in router.wanted(incident, began + timedelta(seconds=899))
        assert "mail" in router.wanted(incident, began + timedelta(seconds=900))
    assert Router(ROUTES, OFFICE).next_change_s(make_incident(waits_since=evening, **waits), evening) == 900


def test_what_is_not_acknowledged_is_repeated() -> None:
    router = Router([RouteConfig(to=["ops"], repeat_s=3_600)], {})
    incident = make_incident(opened_at=NOW, affected_count=1)
    counts = [router.wanted(incident, NOW + timedelta(seconds=each))["ops"].repeat for each in (0, 3_599, 3_600, 7_300)]
    assert counts == [0, 0, 1, 2]
    acknowledged = make_incident(opened_at=NOW, affected_count=1, state="acknowledged")
    assert router.wanted(acknowledged, NOW + timedelta(hours=5))["ops"].repeat == 0


def test_a_silenced_incident_notifies_no_one() -> None:
    assert wanted(silenced_by=["s1"]) == []


def test_fewer_than_min_alerts_notify_no_one() -> None:
    routes = [RouteConfig(to=["ops"], min_alerts=2)]
    assert wanted(routes=routes) == []
    router = Router(routes, {})
    assert list(router.wanted(make_incident(affected_count=2), NOW)) == ["ops"]


def test_the_wait_does_not_depend_on_the_time_of_day() -> None:
    routes = [RouteConfig(when="office", to=["ops"], wait_s=5), RouteConfig(to=["mail"], wait_s=60)]
    assert Router(routes, OFFICE).wait_s({"severity": "critical"}) == 5


@pytest.mark.parametrize(
    ("match", "is_so"),
    [
        ({}, True),
        ({"namespace": "shop"}, True),
        ({"namespace": "sh*"}, True),
        ({"namespace": "pay"}, False),
        ({"namespace": ["pay", "shop"]}, True),
        ({"namespace": "!shop"}, False),
        ({"namespace": ["!pay", "!web"]}, True),
        ({"label.team": "core"}, True),
        ({"label.team": "!core"}, False),
        ({"label.tier": "*"}, True),
        ({"label.tier": "?*"}, False),
        ({"namespace": "sh?p"}, False),
        ({"namespace": "sho[p]"}, False),
        ({"namespace": "shop", "severity": "warning"}, False),
    ],
)
def test_all_that_a_route_names_must_be_so(match: dict[str, str | list[str]], is_so: bool) -> None:
    assert matches(match, facts_of(make_incident(labels={"team": "core"}))) == is_so


@pytest.mark.parametrize("severity", ["critical", "warning"])
@pytest.mark.parametrize("at", [SATURDAY, MONDAY])
def test_what_is_explained_is_what_is_done(severity: str, at: datetime) -> None:
    router = Router(ROUTES, OFFICE)
    incident = make_incident(severity=severity, opened_at=at, affected_count=1)
    steps = router.explain(facts_of(incident), at)
    assert [name for step in steps if step.takes for name in step.to] == list(router.wanted(incident, at))


def test_an_explanation_says_why_a_route_passes() -> None:
    found = Router(ROUTES, OFFICE).explain(facts_of(make_incident(severity="warning")), MONDAY)
    assert [(each.route, each.takes, each.why) for each in found] == [
        (0, False, "severity is warning, not critical"),
        (1, False, "not at this time (!office)"),
        (2, True, "it takes everything"),
    ]
