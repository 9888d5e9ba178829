"""What a report is made of: plans, sources, objectives, groups, and what is printed of them."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import convert

from kgents_alert_notifier.routing.window import MaintenanceConfig, WindowConfig
from kgents_cli.availability.html import document
from kgents_cli.availability.objectives import Edge, Objective, Objectives, budgets
from kgents_cli.availability.planned import Plan, Planned
from kgents_cli.availability.report import Report, changes, groups, noisiest
from kgents_cli.availability.spans import US_PER_S, Span, Times, Window, microseconds
from kgents_cli.availability.text import budget_row, group_row, lasting, share
from kgents_cli.availability.unattended import Attended, Unattended
from kgents_cli.availability.unobserved import SourceHistory, Unobserved
from kgents_cli.versions import Version, Versions, _once
from kgents_shared.contract.alert import Alert
from kgents_shared.contract.archive import Stored
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.incident import Incident, Root
from kgents_shared.contract.meta import ABSENCES_MAX, ABSENT_AFTER_S, Absence, Attendance
from kgents_shared.contract.pulse import EdgeSample, TrafficPulse
from kgents_shared.contract.silence import Matcher, Silence
from kgents_shared.contract.sketch import Histogram, Sketch
from kgents_shared.contract.topology import Difference, TopologyEntity
from kgents_shared.contract.unread import Unread

T0 = datetime(2026, 11, 2, tzinfo=UTC)  # a Monday
HOUR = timedelta(hours=1)
DAY = Window(microseconds(T0), microseconds(T0 + 24 * HOUR))
CART = Ref("prod", "pod", "cart", "shop")
DB = Ref("prod", "database", "orders", "shop")


def hours(begin: float, end: float) -> Window:
    return Window(microseconds(T0 + begin * HOUR), microseconds(T0 + end * HOUR))


def test_a_maintenance_window_is_planned_for_what_it_matches() -> None:
    weekly = WindowConfig(zone="Europe/Berlin", days="mon", begin="03:00", end="05:00")
    plan = Plan(DAY, maintenance=[MaintenanceConfig(window="n", match={"namespace": "shop"})], windows={"n": weekly})
    assert plan.of(CART, {}) == [hours(2, 4)]
    assert plan.of(Ref("prod", "pod", "cart", "other"), {}) == []


def test_a_silence_is_planned_if_it_is_for_maintenance_and_of_the_whole_entity() -> None:
    def silence(purpose: str, *matchers: Matcher) -> Silence:
        return Silence(
            text="t", cluster="prod", id="1", matchers=list(matchers), starts_at=T0, ends_at=T0 + HOUR, by="a",
            reason="r", purpose=purpose,
        )  # fmt: skip

    shop, check = Matcher(field="namespace", value="shop"), Matcher(field="check", value="KG-101")
    assert Plan(DAY, silences=[silence("maintenance", shop)]).of(CART, {}) == [hours(0, 1)]
    for other in (silence("silence", shop), silence("maintenance", shop, check)):
        assert Plan(DAY, silences=[other]).of(CART, {}) == []


def test_of_what_its_stream_kept_whole_nothing_is_lost() -> None:
    """A stream drops the oldest versions of a subject: of one with fewer since a gap began, there are all."""
    calm = [Version("calm", at, b"{}") for at in (10, 11)]
    hot = [Version("hot", at, b"{}") for at in (10, 11, 12)]
    found = Versions(
        {"calm": calm, "hot": hot}, 0, {}, [], gaps=[Window(9, 11), Window(12, 13)], ended=[Window(1, 2)], kept=3
    )
    assert found.lost("calm") == [Window(1, 2)]
    assert found.lost("hot") == [Window(1, 2), Window(9, 11)]


def test_what_two_lives_of_a_stream_hold_alike_counts_once() -> None:
    """One that went back holds again what was archived before."""
    first, second, other = (
        Stored("s", seq, T0 + hour * HOUR, is_gone=False, body=b"{}") for seq, hour in ((1, 1), (2, 2), (2, 3))
    )
    assert list(_once([first, second, first, other])) == [first, second, other]


def test_a_file_states_what_was_planned() -> None:
    plan = Plan(
        DAY, stated=[Planned(begin=T0, end=T0 + HOUR, kind="data*"), Planned(begin=T0 + HOUR, end=T0 + 2 * HOUR)]
    )
    assert (plan.of(DB, {}), plan.of(CART, {})) == ([hours(0, 2)], [hours(1, 2)])


def test_what_a_source_did_not_attest_was_not_observed() -> None:
    source = Ref("prod", "source", "k8s")
    unread = TopologyEntity(text="t", ref=source, unread=[Unread(namespace="shop", since=T0 + HOUR)])
    fine = TopologyEntity(text="t", ref=source)
    versions = [(microseconds(T0 + 1.1 * HOUR), unread), (microseconds(T0 + 3 * HOUR), fine)]
    history = Unobserved([SourceHistory(source, versions, -(2**62))])
    assert history.of(CART, ["k8s"]) == [hours(1, 3)]
    assert history.of(CART, None) == [hours(1, 3)]  # who reported what is gone is not known
    assert history.of(CART, ["docker"]) == history.of(Ref("prod", "pod", "cart", "x"), ["k8s"]) == []
    forgotten = Unobserved([SourceHistory(source, versions, microseconds(T0 + 1.1 * HOUR))])
    assert forgotten.of(CART, ["k8s"])[0].start < DAY.start


def test_an_error_budget_is_spent_by_time_or_by_requests() -> None:
    entities = {CART: Times(healthy=990 * US_PER_S, critical=10 * US_PER_S, unknown=500 * US_PER_S)}
    samples = [
        TrafficPulse(
            ref=Ref("prod", "app", "web"), source="otel", timestamp=T0, interval_s=10,
            edges=[EdgeSample(peer=CART, kind="http", n=n, spans=1, errors_client=errors)],
        )
        for n, errors in ((1000.0, 0.0), (10.0, 10.0))
    ]  # fmt: skip
    objectives = [
        Objective(name="time", target=0.98, kind="pod"),
        Objective(name="requests", target=0.98, edge=Edge(caller="app/*", peer="pod/shop/*")),
        Objective(name="nothing", target=0.9, kind="node"),
    ]
    time, requests, nothing = budgets(objectives, entities, samples)
    assert (time.name, time.ratio, requests.ratio) == ("time", 0.99, 1000 / 1010)
    assert [time.spent, requests.spent] == pytest.approx([0.5, 10 / 1010 / 0.02])
    assert (nothing.ratio, nothing.spent, nothing.left) == (None, None, None)
    assert budget_row(nothing) == ("nothing", "90 %", "-", "-", "-", "time of 0 entities")


def test_an_objective_on_latency_counts_known_durations_and_says_how_many_are_not() -> None:
    def sample(
        n: float, spans: int, *, client: list[float] | None = None, server: list[float] | None = None
    ) -> TrafficPulse:
        client_ms, server_ms = (_histogram(each) if each is not None else None for each in (client, server))
        edge = EdgeSample(peer=CART, kind="http", n=n, spans=spans, client_ms=client_ms, server_ms=server_ms)
        return TrafficPulse(ref=Ref("prod", "app", "web"), source="otel", timestamp=T0, interval_s=10, edges=[edge])

    samples = [
        sample(400, 4, client=[10.0, 20.0, 900.0], server=[1.0, 1.0, 1.0]),  # of traces sampled at 1 %; one is a stream
        sample(100, 0, server=[30.0] * 100),  # of metrics
        sample(500, 5),
    ]
    fast = Objective(name="fast", target=0.5, edge=Edge(peer="*cart", within_ms=250))
    slow = Objective(name="slow", target=0.5, edge=Edge(peer="*cart", within_ms=5))
    nothing = Objective(name="x", target=0.5, edge=Edge(peer="*cart", within_ms=5))
    missed, met = budgets([fast, slow], {}, samples)
    assert (met.name, met.ratio, met.total, met.unknown) == ("fast", 0.75, 400, 600)
    assert (missed.name, missed.ratio) == ("slow", 0.0)
    assert budget_row(met)[-1] == "requests within 250 ms of 1 connections, 600 unknown"
    (unknown,) = budgets([nothing], {}, samples[2:])
    assert (unknown.ratio, unknown.spent, unknown.unknown) == (None, None, 500)


def _histogram(values: list[float]) -> Histogram:
    sketch = Sketch()
    sketch.add_all(values)
    return sketch.histogram()


@pytest.mark.parametrize(
    "content", [{"objectives": [{"name": "a", "target": 1.0}]}, {"objectives": [{"name": "a", "target": 0.9, "x": 1}]}]
)
def test_an_objective_that_is_none_is_refused(content: object) -> None:
    with pytest.raises(ValueError, match="objectives"):
        convert(content, Objectives)


def incident(root: Ref, lasted: timedelta | None) -> Incident:
    return Incident(
        text="t", title="t", cluster="prod", id="1", state="resolved", severity="critical", started_at=T0, opened_at=T0,
        changed_at=T0, ended_at=T0 + lasted if lasted else None, root=Root(ref=root, check="KG-101", why="w"),
    )  # fmt: skip


def test_a_group_has_its_mean_its_worst_and_the_time_in_which_any_was_critical() -> None:
    entities = {
        CART: [Span(hours(0, 18), "healthy"), Span(hours(18, 24), "critical")],
        DB: [Span(hours(0, 20), "warning"), Span(hours(20, 24), "critical")],
        Ref("prod", "node", "n1"): [Span(DAY, "unknown")],
    }
    shop, none = groups(entities, [incident(CART, HOUR), incident(DB, 3 * HOUR), incident(CART, None)], "namespace")
    assert (shop.name, shop.entities, shop.times.available, shop.worst) == ("shop", 2, 38 / 48, 0.75)
    assert (shop.any_critical, shop.incidents, shop.mttr_s) == (6 * 3600 * US_PER_S, 3, 7200.0)
    assert none.record()["available_ratio"] is None
    assert group_row(none)[:3] == ("(none)", "1", "-")


def test_what_was_made_of_a_workload_is_counted_and_what_follows_is_not() -> None:
    ref = Ref("prod", "deployment", "cart", "shop")

    def version(field: str) -> TopologyEntity:
        return TopologyEntity(text="t", ref=ref, changed=[Difference(field)])

    fields = ("attributes.kgents.k8s.workload.images", "labels.team", "attributes.kgents.k8s.deployment.ready_pods")
    versions = [(DAY.start + place, version(field)) for place, field in enumerate(fields)]
    [found] = changes({"s": [*versions, (DAY.end, version("labels.x"))]}, DAY, {"s"})
    assert (found.name, found.count, found.is_at_least) == ("deployment/shop/cart", 2, True)


def test_an_alert_is_counted_each_time_it_begins() -> None:
    def alert(state: str, started: datetime) -> Alert:
        return Alert("t", CART, "KG-101", state, "critical", started_at=started)

    one, two = T0 + HOUR, T0 + 2 * HOUR
    states = [("pending", one), ("firing", one), ("firing", one), ("resolved", one), ("firing", two)]
    versions = [(microseconds(at) + place, alert(state, at)) for place, (state, at) in enumerate(states)]
    [found] = noisiest({"s": versions}, DAY, set())
    assert (found.name, found.count) == ("KG-101 pod/shop/cart", 2)
    other = Alert("t", Ref("lab", "pod", "cart", "shop"), "KG-101", "firing", "critical", started_at=one)
    both = noisiest({"s": versions, "t": [(microseconds(one), other)]}, DAY, set())
    assert [each.name for each in both] == ["KG-101 prod/pod/shop/cart", "KG-101 lab/pod/shop/cart"]


def test_the_html_report_runs_nothing_and_loads_nothing() -> None:
    name = '<script>alert("x")</script>'
    found = groups({Ref("prod", "pod", name, "shop"): [Span(DAY, "healthy")]}, [], "entity")
    text = document(Report(DAY, "entity", found, [], [], [], [name]), "a", "b")
    assert "<script" not in text
    assert text.count("&lt;script&gt;") == 2
    assert "default-src 'none'" in text
    assert not any(word in text for word in ("http://", "https://", "src=", "url("))


@pytest.mark.parametrize(
    ("ratio", "text"), [(None, "-"), (1.0, "100 %"), (0.5, "50 %"), (0.99999, "99.999 %"), (1 - 1e-12, "99.999999 %")]
)
def test_what_is_not_everything_is_never_shown_as_everything(ratio: float | None, text: str) -> None:
    assert share(ratio) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (0.2, "under 1s"), (59.6, "1m"), (90_061, "1d 1h")])
def test_a_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert lasting(seconds) == text


def test_a_time_in_which_nothing_was_judged_is_not_known() -> None:
    def attended(*absences: Absence) -> Attended:
        return Attended(Attendance(T0 + HOUR, list(absences)), hours(0, 10).end)

    scorer, builder = ("prod", "health-scorer"), ("prod", "topology-builder")
    both = {scorer: attended(Absence(T0 + 3 * HOUR, T0 + 5 * HOUR)), builder: attended()}
    now = hours(0, 10).end + 20 * US_PER_S
    [before, absent] = Unattended(both, DAY, now=now, is_judged=True).of("prod")
    assert (before.end, absent) == (hours(0, 1).end, hours(3, 5))
    stopped = Unattended(both, DAY, now=now + 20 * US_PER_S, is_judged=True)
    assert stopped.of("prod")[-1].start == hours(0, 10).end
    assert stopped.remarks(["prod", "prod"]) == [
        f"prod: {service} did not run, or not that is known, for {lasted} of this time"
        for service, lasted in (("topology-builder", "15h"), ("health-scorer", "17h"))
    ]
    alone = Unattended({builder: attended()}, DAY, now=now, is_judged=True)
    assert DAY.common(alone.of("prod")[0]) == DAY
    assert "health-scorer has not stored when it ran" in alone.remarks(["prod"])[1]
    assert Unattended({}, DAY, now=now, is_judged=False).of("prod") == []


def test_an_absence_ends_when_the_service_is_at_work_again_and_few_are_kept() -> None:
    kept = Attendance(T0)
    assert kept.resumed(T0, T0 + timedelta(seconds=ABSENT_AFTER_S)) is kept
    for number in range(ABSENCES_MAX + 1):
        kept = kept.resumed(T0 + number * HOUR, T0 + number * HOUR + timedelta(minutes=1))
    assert (len(kept.absences), kept.since) == (ABSENCES_MAX, T0 + timedelta(minutes=1))
    assert kept.absences[0] == Absence(T0 + HOUR, T0 + HOUR + timedelta(minutes=1))
