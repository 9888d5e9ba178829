"""One entity as readers see it: what it says, what it decodes, and what it makes of a message that cannot be read."""

import msgspec

from kgents_shared.contract.attestation import SCORER, Attestation
from kgents_shared.contract.subjects import parse
from kgents_shared.contract.unread import Unread
from kgents_shared.view.difference import fields
from kgents_shared.view.entity import EntityView, Rows, key_of, key_of_ref, subject_of
from support.build import NOW, make_ref
from support.state import edge, encoded, make_alert, make_health, make_topology

REF = make_ref()
KEY = key_of_ref(REF)


def test_a_view_joins_what_is_known() -> None:
    owner = make_ref("cart", kind="deployment")
    topology = make_topology(status="failed", reason="OOMKilled", connections=[edge("owns", owner, "in")])
    alerts = {each.check: encoded(each) for each in (
        make_alert(check="KG-002", severity="warning"), make_alert(check="KG-003"),
        make_alert(check="KG-001", state="resolved"),
    )}  # fmt: skip
    view = EntityView(KEY, Rows(encoded(topology), encoded(make_health(level="critical")), alerts))

    assert view.ref == REF
    assert (view.condition, view.level, view.score) == ("failed (OOMKilled)", "critical", 0.2)
    assert view.why == "pod shop/cart-7f is not ready"
    assert view.owner == owner
    assert [each.check for each in view.alerts] == ["KG-001", "KG-003", "KG-002"]
    assert [each.check for each in view.firing] == ["KG-003", "KG-002"]


def test_a_view_of_nothing_is_unknown() -> None:
    view = EntityView(KEY, Rows())

    assert (view.ref, view.status, view.level, view.score, view.why, view.owner) == (
        REF, "unknown", "unknown", None, "", None,
    )  # fmt: skip


def test_stale_facts_are_the_reason_if_there_is_no_better_one() -> None:
    view = EntityView(KEY, Rows(encoded(make_topology(stale=["k8s", "docker"], reason="Evicted"))))

    assert view.why == "stale: no report from k8s, docker"


def test_a_message_that_cannot_be_read_is_missing_and_named() -> None:
    view = EntityView(KEY, Rows(encoded(make_topology()), b'{"ref": 5}', {"KG-001": b"[]"}))

    assert view.status == "running"
    assert view.health is None
    assert view.alerts == ()
    assert set(view.malformed) == {REF.subject("health"), REF.subject("alert", check="KG-001")}


def test_a_long_name_is_read_from_a_message() -> None:
    ref = make_ref("x" * 200)

    assert EntityView(key_of_ref(ref), Rows(None, encoded(make_health(ref=ref)))).ref == ref


def test_a_record_holds_the_messages_as_they_are_stored() -> None:
    topology, health, alert = make_topology(), make_health(), make_alert()
    record = msgspec.json.decode(
        EntityView(KEY, Rows(encoded(topology), encoded(health), {"KG-001": encoded(alert)})).record()
    )
    bare = msgspec.json.decode(EntityView(KEY, Rows()).record())

    assert record["status"] == "running"
    assert record["health"]["level"] == "healthy"
    assert [each["check"] for each in record["alerts"]] == ["KG-001"]
    assert next(iter(record)) == "text"
    assert (bare["ref"]["name"], bare["health"], bare["alerts"]) == ("cart-7f", None, [])


def test_a_subject_and_its_key_are_one_another() -> None:
    for subject in (REF.subject("topology"), REF.subject("health"), REF.subject("alert", check="KG-1.2")):
        assert subject_of(*key_of(subject)) == subject
        assert parse(subject).signal == key_of(subject)[0]


def test_two_views_differ_in_their_fields() -> None:
    peer = make_ref("n1", kind="node")
    before = EntityView(KEY, Rows(encoded(make_topology(labels={"a": "1", "b": "2"})), None, None))
    after = EntityView(
        KEY,
        Rows(
            encoded(make_topology(text="other words", labels={"a": "1", "b": "3", "c": "4"}, stale=["k8s"],
                                  connections=[edge("runs_on", peer)])),
            encoded(make_health()),
            {"KG-001": encoded(make_alert())},
        ),
    )  # fmt: skip

    assert {each.field: (each.old, each.new) for each in fields(before, after)} == {
        "health.level": ("unknown", "healthy"),
        "alerts.KG-001": (None, "firing critical"),
        "stale": ([], ["k8s"]),
        "labels.b": ("2", "3"),
        "labels.c": (None, "4"),
        f"connections.runs_on → {peer}": (None, "connected"),
    }
    assert fields(before, before) == []


SILENT = Unread(since=NOW, reason="no heartbeat")
HUNG = Unread(name=REF.name, reason="inspect timed out")


def attested(*unread: Unread, source: str = "k8s") -> Attestation:
    message = make_topology(ref=make_ref(source, kind="source", namespace=""), unread=list(unread))
    return Attestation().with_source(message, REF.cluster, source)


def test_an_entity_that_its_source_does_not_attest_is_stale_and_unknown() -> None:
    rows = Rows(encoded(make_topology(sources=["k8s"])), encoded(make_health()), {"KG-001": encoded(make_alert())})
    view = EntityView(KEY, rows, attested(SILENT))

    assert (view.stale, view.status, view.level, view.score) == (["k8s"], "running", "unknown", None)
    assert view.why == "pod shop/cart-7f is stale: no report from k8s since 2026-11-21 09:00:00Z (no heartbeat)."
    assert view.text.startswith(f"Unknown: {view.why.removesuffix('.')}; last known: ")
    assert [each.check for each in view.reasons] == ["KG-003"]
    assert view.health is not None
    assert view.health.since == NOW
    assert [each.check for each in view.firing] == ["KG-001"]
    record = msgspec.json.decode(view.record())
    assert (record["stale"], record["health"]["level"]) == (["k8s"], "unknown")


def test_what_is_critical_stays_critical_while_it_is_stale() -> None:
    rows = Rows(encoded(make_topology(sources=["k8s"])), encoded(make_health(level="critical", score=0.2)))
    view = EntityView(KEY, rows, attested(HUNG))

    assert (view.stale, view.level, view.score) == (["k8s"], "critical", 0.2)
    assert view.reasons[-1].check == "KG-003"
    assert view.text == "pod shop/cart-7f is critical, as last known: no report from k8s (inspect timed out)."


def test_what_is_critical_says_that_it_is_not_scored_any_more() -> None:
    rows = Rows(encoded(make_topology(sources=["k8s"])), encoded(make_health(level="critical", score=0.2)))
    view = EntityView(KEY, rows, Attestation(silent={(REF.cluster, SCORER): [SILENT]}))

    assert (view.stale, view.level) == ([], "critical")
    assert view.text == (
        "pod shop/cart-7f is critical, as last known: no report from health-scorer since 2026-11-21 09:00:00Z "
        "(no heartbeat)."
    )


def test_what_another_source_or_scope_cannot_read_changes_nothing() -> None:
    rows = Rows(encoded(make_topology(sources=["k8s"])), encoded(make_health()))
    for attestation in (attested(SILENT, source="docker"), attested(Unread(kind="node")), attested()):
        view = EntityView(KEY, rows, attestation)
        assert view == EntityView(KEY, rows)
        assert view.rows is rows


def test_staleness_is_a_difference_of_two_times() -> None:
    rows = Rows(encoded(make_topology(sources=["k8s"])), encoded(make_health()))
    now = fields(EntityView(KEY, rows), EntityView(KEY, rows, attested(HUNG)))
    found = {each.field: (each.old, each.new) for each in now}
    assert found["stale"] == ([], ["k8s"])
    assert found["health.level"] == ("healthy", "unknown")
