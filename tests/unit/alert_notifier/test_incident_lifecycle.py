"""What becomes of an incident: worse, acknowledged, silenced, calm, flapping, resolved, gone."""

from datetime import datetime, timedelta

import pytest

from kgents_alert_notifier.grouping.grouping_config import GroupingConfig
from kgents_alert_notifier.grouping.shape import duration
from kgents_alert_notifier.routing.window import MaintenanceConfig, WindowConfig
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.silence import Matcher, Silence
from support.build import NOW, make_ref
from support.grouping import Grouped, alert, entity, make_node, workload

CART = make_ref("cart", kind="deployment")
CONFIG = GroupingConfig(calm_s=100)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def opened(**fields: object) -> tuple[Grouped, Incident]:
    grouped = Grouped(CONFIG, **fields)  # type: ignore[arg-type]
    grouped.feed(*workload("cart"), alert(CART, "KG-041", severity="warning"))
    (incident,) = grouped.after(31)
    return grouped, incident


def acknowledgement(incident: Incident, revision: int, *, op: str = "upsert", by: str = "ada") -> Acknowledgement:
    of = {"text": "t", "cluster": "test", "incident": incident.id, "via": "web"}
    return Acknowledgement(op=op, revision=revision, by=by, at=NOW, note="" if op == "remove" else "on it", **of)


def decisions(incident: Incident) -> list[tuple[datetime, str, str, str, str]]:
    found = [(each.at, each.decided) for each in incident.timeline if each.decided is not None]
    return [(when, each.action, each.by, each.via, each.reason) for when, each in found]


def silence(*, ends_s: float, op: str = "upsert", by: str = "ada", **matchers: str) -> Silence:
    found = [Matcher(field=name.replace("__", "."), value=value) for name, value in matchers.items()]
    return Silence(
        text="t",
        cluster="test",
        id="s1",
        op=op,
        matchers=found,
        starts_at=NOW,
        ends_at=at(ends_s),
        by=by,
        reason="r",
        via="cli",
    )


def test_it_is_resolved_after_a_calm_time_and_stays_so() -> None:
    grouped, first = opened()
    grouped.feed(alert(CART, "KG-041", at(60), state="resolved", severity="warning", started_at=NOW, ended_at=at(60)))
    grouped.after(120)
    (calm,) = grouped.open
    assert (calm.state, calm.calm_at, calm.revision) == ("open", at(60), 1)
    grouped.after(20)
    (resolved,) = grouped.rows.values()
    assert (resolved.id, resolved.state, resolved.ended_at, resolved.revision) == (first.id, "resolved", at(60), 2)
    assert resolved.members == []
    assert "it lasted 1 min" in resolved.text

    grouped.feed(alert(CART, "KG-041", at(200), severity="warning"))
    grouped.after(100)
    assert grouped.rows[first.id].state == "resolved"
    assert len(grouped.rows) == 2


def test_one_that_fires_again_within_the_calm_time_never_was_resolved() -> None:
    grouped, first = opened()
    grouped.feed(alert(CART, "KG-041", at(60), state="resolved", severity="warning"))
    grouped.after(60)
    grouped.feed(alert(CART, "KG-041", at(90), severity="warning"))
    grouped.after(300)
    (incident,) = grouped.rows.values()
    assert (incident.id, incident.state, incident.flaps, incident.revision) == (first.id, "open", 1, 1)


def test_flapping_is_damped_and_says_so_once() -> None:
    grouped, _ = opened()
    for minute in range(1, 120):
        state = "resolved" if minute % 2 else "firing"
        grouped.feed(alert(CART, "KG-041", grouped.now, state=state, severity="warning"))
        grouped.after(60)
    (incident,) = grouped.rows.values()
    assert (incident.state, incident.is_flapping, incident.revision) == ("open", True, 2)
    assert "flapping: it fired again 59 times" in incident.text
    grouped.after(100 * 8 + 60)
    (resolved,) = grouped.rows.values()
    assert (resolved.state, resolved.revision) == ("resolved", 3)


def test_getting_worse_is_news_and_ends_an_acknowledgement() -> None:
    grouped, first = opened()
    grouped.feed(acknowledgement(first, 1))
    (acknowledged,) = grouped.after(1)
    assert (acknowledged.state, acknowledged.revision, acknowledged.acknowledged.by) == ("acknowledged", 2, "ada")  # type: ignore[union-attr]
    grouped.feed(alert(CART, "KG-041"))
    (worse,) = grouped.after(1)
    assert decisions(worse) == [
        (at(32), "acknowledge", "ada", "web", "on it"),
        (at(33), "unacknowledge", "alert-notifier", "service", "it became worse than ada saw it"),
    ]
    assert (worse.state, worse.severity, worse.revision, worse.severity_revision) == ("open", "critical", 3, 3)
    assert (first.waits_since, worse.waits_since) == (None, at(33))
    grouped.feed(acknowledgement(first, 2))
    assert grouped.after(5) == []
    grouped.feed(acknowledgement(first, 3))
    (again,) = grouped.after(1)
    assert again.state == "acknowledged"


def test_an_acknowledgement_can_be_taken_back() -> None:
    grouped, first = opened()
    grouped.feed(acknowledgement(first, 1))
    grouped.after(1)
    grouped.feed(acknowledgement(first, 1, op="remove", by="bob"))
    (incident,) = grouped.after(1)
    assert (incident.state, incident.acknowledged, incident.revision) == ("open", None, 3)
    assert incident.waits_since == at(33)
    assert decisions(incident)[1:] == [(at(33), "unacknowledge", "bob", "web", "")]
    assert incident.timeline[-1].text == "No longer acknowledged: bob took it back."


def test_an_acknowledgement_after_the_end_does_nothing() -> None:
    grouped, first = opened()
    grouped.feed(alert(CART, "KG-041", at(40), state="resolved", severity="warning"))
    grouped.after(150)
    count = len(grouped.published)
    grouped.feed(acknowledgement(first, 9))
    grouped.after(50)
    assert len(grouped.published) == count
    assert grouped.rows[first.id].state == "resolved"


def test_an_acknowledged_incident_is_resolved_too() -> None:
    grouped, first = opened()
    grouped.feed(acknowledgement(first, 1), alert(CART, "KG-041", at(40), state="resolved", severity="warning"))
    grouped.after(150)
    resolved = grouped.rows[first.id]
    assert (resolved.state, resolved.acknowledged.by) == ("resolved", "ada")  # type: ignore[union-attr]
    assert decisions(resolved)[1:] == [
        (at(140), "resolve", "alert-notifier", "service", "nothing of it has fired for 1 min 40 s")
    ]


def test_a_silence_shows_within_a_second_and_ends_by_itself() -> None:
    grouped, _ = opened()
    grouped.feed(silence(ends_s=60, namespace="shop"))
    (silenced,) = grouped.after(1)
    assert (silenced.silenced_by, silenced.revision) == (["s1"], 1)
    ended = grouped.after(40)
    assert [(each.silenced_by, each.changed_at, each.waits_since) for each in ended] == [([], at(60), at(60))]
    assert decisions(ended[0]) == [
        (at(32), "silence", "ada", "cli", "r"),
        (at(60), "unsilence", "alert-notifier", "service", "the silence is over"),
    ]
    assert [each.text for each in ended[0].timeline[1:]] == [
        f"Silenced by ada until {at(60):%Y-%m-%d %H:%M} UTC: r", "No longer silenced: the silence is over.",
    ]  # fmt: skip


def test_a_silenced_incident_stays_so_when_its_alerts_end() -> None:
    grouped, _ = opened()
    grouped.feed(silence(ends_s=90, namespace="shop"))
    grouped.after(1)
    grouped.feed(alert(CART, "KG-041", at(60), state="resolved", severity="warning", started_at=NOW, ended_at=at(60)))
    (calm,) = grouped.after(10)
    assert (calm.calm_at, calm.silenced_by) == (at(60), ["s1"])
    (over,) = grouped.after(50)
    assert (over.calm_at, over.silenced_by, over.changed_at) == (at(60), [], at(90))


def test_a_silence_that_is_ended_early_acts_no_more() -> None:
    grouped, _ = opened()
    grouped.feed(silence(ends_s=600, namespace="shop"))
    grouped.after(1)
    grouped.feed(silence(ends_s=900, by="eve", namespace="shop"))
    grouped.after(20)
    grouped.feed(silence(ends_s=900, op="remove", by="bob", namespace="shop"))
    grouped.publish()
    assert grouped.open[0].silenced_by == []
    assert [each[1:3] for each in decisions(grouped.open[0])] == [
        ("silence", "ada"), ("silence", "eve"), ("unsilence", "bob"),
    ]  # fmt: skip


def test_one_that_was_silenced_before_it_opened_says_by_whom() -> None:
    grouped = Grouped(CONFIG)
    grouped.feed(silence(ends_s=600, namespace="shop"), *workload("cart"), alert(CART, "KG-041"))
    (incident,) = grouped.after(31)
    assert (incident.silenced_by, decisions(incident)) == (["s1"], [(at(30), "silence", "ada", "cli", "r")])
    (moment,) = [each.decided for each in incident.timeline if each.decided is not None]
    assert (moment.silence, moment.matchers) == ("s1", [Matcher(field="namespace", value="shop")])


def test_a_calm_moment_repeats_no_silence_and_an_alert_outside_of_it_ends_it() -> None:
    grouped, _ = opened()
    grouped.feed(silence(ends_s=9_000, kind="deployment"))
    grouped.after(1)
    for state in ("resolved", "firing"):
        grouped.feed(alert(CART, "KG-041", grouped.now, state=state, severity="warning"))
        grouped.after(15)
    assert [each[1] for each in decisions(grouped.open[0])] == ["silence"]
    grouped.feed(alert(make_ref("cart-0"), "KG-043", grouped.now))
    grouped.after(45)
    assert [each[1:] for each in decisions(grouped.open[0])[1:]] == [
        ("unsilence", "alert-notifier", "service", "an alert fires that no silence matches")
    ]


def test_a_silence_that_matches_one_of_two_alerts_silences_nothing() -> None:
    node = make_node("n1")
    grouped = Grouped(CONFIG)
    grouped.feed(entity(node), *workload("cart"), alert(node, "KG-044"), alert(make_ref("cart-0"), "KG-043"))
    grouped.after(31)
    grouped.feed(silence(ends_s=600, kind="pod"))
    assert grouped.after(5) == []
    grouped.feed(silence(ends_s=600, kind="*"))
    assert [each.silenced_by for each in grouped.after(1)] == [["s1"]]


@pytest.mark.parametrize(
    ("matchers", "is_silenced"),
    [
        ({"name": "ca*"}, True),
        ({"name": "ca"}, False),
        ({"check": "KG-041", "severity": "warning"}, True),
        ({"check": "KG-041", "severity": "critical"}, False),
        ({"label__team": "core"}, True),
        ({"label__team": "web"}, False),
        ({"nonsense": "*"}, False),
        ({}, False),
    ],
)
def test_all_matchers_of_a_silence_must_hold(matchers: dict[str, str], is_silenced: bool) -> None:
    grouped, _ = opened()
    grouped.feed(entity(CART, labels={"team": "core"}))
    grouped.feed(silence(ends_s=600, **matchers))
    grouped.after(2)
    assert bool(grouped.open[0].silenced_by) == is_silenced


def test_maintenance_is_a_silence_of_the_configuration() -> None:
    window = WindowConfig(zone="UTC", begin="09:01", end="09:02")  # NOW is 09:00
    maintenance = [MaintenanceConfig(window="upgrade", match={"namespace": "shop"}, reason="upgrade of the shop")]
    grouped, _ = opened(maintenance=maintenance, windows={"upgrade": window})
    found = grouped.after(120)
    assert [(each.silenced_by, each.changed_at) for each in found] == [(["maintenance[0]"], at(60)), ([], at(120))]
    assert [each[1:] for each in decisions(found[-1])] == [
        ("silence", "alert-notifier", "service", "upgrade of the shop"),
        ("unsilence", "alert-notifier", "service", "the silence is over"),
    ]


def test_twice_as_many_affected_is_news_and_one_more_is_not() -> None:
    grouped = Grouped(CONFIG)
    node = make_node("n1")
    grouped.feed(entity(node), *workload("cart", pods=20), alert(node, "KG-044"))
    grouped.after(31)
    revisions = []
    for number in range(12):
        grouped.feed(alert(make_ref(f"cart-{number}"), "KG-043", at(40)))
        grouped.after(45)
        revisions.append(grouped.open[0].revision)
    assert revisions == [1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3]  # at 5 and at 10 entities


def test_what_is_no_news_is_published_every_ten_seconds_at_most() -> None:
    grouped = Grouped(CONFIG)
    node = make_node("n1")
    grouped.feed(entity(node), *workload("cart", pods=20), alert(node, "KG-044"))
    grouped.after(31)
    count = 0
    for number in range(3):
        grouped.feed(alert(make_ref(f"cart-{number}"), "KG-043", at(1)))
        count += len(grouped.after(2))
    assert count == 0
    grouped.after(10)
    assert grouped.open[0].affected_count == 4


def test_an_alert_that_expires_counts_as_ended() -> None:
    grouped, first = opened()
    grouped.feed(alert(CART, "KG-041", op="remove"))
    grouped.after(150)
    assert grouped.rows[first.id].state == "resolved"


def test_a_resolved_incident_is_removed_after_its_days() -> None:
    grouped, first = opened()
    grouped.feed(alert(CART, "KG-041", at(40), state="resolved", severity="warning"))
    grouped.after(150)
    grouped.now += timedelta(days=CONFIG.keep_days)
    (removal,) = grouped.after(2)
    assert (removal.id, removal.op, grouped.rows) == (first.id, "remove", {})


def test_time_without_nats_is_no_calm() -> None:
    grouped, first = opened()
    grouped.feed(alert(CART, "KG-041", at(40), state="resolved", severity="warning"))
    grouped.after(10)
    begin, grouped.now = grouped.now, grouped.now + timedelta(seconds=500)
    grouped.reducer.was_away(int(begin.timestamp() * 1e9), int(grouped.now.timestamp() * 1e9))
    grouped.after(95)
    assert grouped.rows[first.id].state == "open"
    grouped.after(10)
    assert grouped.rows[first.id].state == "resolved"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (555, "9 min 15 s"),
        (3_600, "1 h"),
        (11_050, "3 h 4 min"),
        (183_700, "2 d 3 h"),
    ],
)
def test_a_duration_has_two_units(seconds: float, text: str) -> None:
    assert duration(timedelta(seconds=seconds)) == text
