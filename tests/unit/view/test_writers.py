"""What is not kept up to date, by the heartbeats of those who write it and by the server's clock."""

from typing import Any

import msgspec

from kgents_shared.contract.attestation import BUILDER, SCORER, Attestation
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.unread import Unread
from kgents_shared.view.entity import EntityView, Rows, key_of_ref
from kgents_shared.view.fold import Fold, Row
from kgents_shared.view.selection import select
from kgents_shared.view.writers import Writers
from support.build import NOW, make_ref
from support.state import encoded, make_health, make_topology, subject_of

S = 1_000_000_000
T = 1_000 * S
UNSTORED = Unread(kind="pod", namespace="shop", name="cart-7f", reason="no ack within 5 s")


def beat(state: str = "in_sync", service: str = BUILDER, **fields: Any) -> Heartbeat:
    return Heartbeat(text="", service=service, instance="one", version="1", started_at=NOW, state=state, **fields)


def taken(*messages: tuple[Heartbeat | None, int]) -> Writers:
    writers = Writers()
    for heartbeat, time_ns in messages:
        writers.take(f"kgents.meta.test.{BUILDER}.one", heartbeat, time_ns)
    return writers


def reasons(writers: Writers, now_ns: int) -> list[str]:
    return [each.reason for scopes in writers.silent(["test"], now_ns).values() for each in scopes]


def test_a_heartbeat_is_believed_for_fifteen_seconds_however_long_the_server_holds_it() -> None:
    writers = taken((beat(), T))

    assert reasons(writers, T + 14 * S) == []
    assert reasons(writers, T + 15 * S) == ["no heartbeat"]
    assert list(writers.silent(["test"], T + 60 * S)) == [("test", BUILDER)]


def test_one_that_has_expired_or_was_stopped_is_silent_and_a_takeover_is_not() -> None:
    stopped = taken((beat(), T), (beat("stopped"), T + S), (None, T + 16 * S))
    assert reasons(stopped, T + 10 * S) == []
    assert reasons(stopped, T + 16 * S) == ["no heartbeat"]

    stopped.take(f"kgents.meta.test.{BUILDER}.two", beat(), T + 17 * S)
    assert reasons(stopped, T + 18 * S) == []

    standby = taken((beat(), T), (beat("standby"), T + 16 * S))
    assert reasons(standby, T + 17 * S) == ["no heartbeat"]


def test_what_it_cannot_publish_is_stale_alone_and_only_if_that_lasts() -> None:
    writers = taken((beat(), T), (beat("degraded", reason="no ack", unread=[UNSTORED]), T + 5 * S))
    assert reasons(writers, T + 14 * S) == []

    writers.take(f"kgents.meta.test.{BUILDER}.one", beat("degraded", reason="no ack", unread=[UNSTORED]), T + 15 * S)
    ((_, scopes),) = writers.silent(["test"], T + 16 * S).items()
    assert [(each.name, each.reason) for each in scopes] == [("cart-7f", UNSTORED.reason)]

    writers.take(f"kgents.meta.test.{BUILDER}.one", beat("degraded", reason="stepped down"), T + 20 * S)
    ((_, scopes),) = writers.silent(["test"], T + 21 * S).items()
    assert [(each.is_everything, each.reason) for each in scopes] == [(True, "stepped down")]

    writers.take(f"kgents.meta.test.{BUILDER}.one", beat(), T + 25 * S)
    assert reasons(writers, T + 26 * S) == []


def test_a_lease_is_no_sign_of_life_and_a_service_without_a_message_counts_only_where_others_report() -> None:
    writers = Writers()
    assert not writers.judges(f"kgents.meta.test.{BUILDER}.lease")
    assert not writers.judges("kgents.meta.test.collector-k8s.one")
    assert writers.judges(f"kgents.meta.test.{BUILDER}.one")
    assert writers.silent(["test"], T + S) == {}

    writers.is_required = True
    assert set(writers.silent(["test"], T + S)) == {("test", BUILDER), ("test", SCORER)}


def fold_of(*, scorer_only: bool = False) -> Fold:
    fold = Fold(select())
    for message in (make_topology(), make_topology("web-1"), make_health(), make_health("web-1")):
        fold.put(Row(subject_of(message), encoded(message)))
    fold.silence({("test", SCORER if scorer_only else BUILDER): [UNSTORED]})
    return fold


def test_entities_that_are_not_kept_up_to_date_change_and_change_back() -> None:
    fold = fold_of()
    assert fold.clusters == ["test"]

    changes = list(fold.reattested())
    assert [(each.after.ref.name, each.after.level, each.after.stale) for each in changes if each.after] == [
        ("cart-7f", "unknown", ["k8s"])
    ]
    assert list(fold.reattested()) == []

    fold.silence({})
    (change,) = fold.reattested()
    assert change.before is not None
    assert change.after is not None
    assert (change.before.level, change.after.level, change.after.stale) == ("unknown", "healthy", [])


def test_without_a_scorer_the_health_is_unknown_and_the_topology_as_it_is() -> None:
    (change,) = fold_of(scorer_only=True).reattested()

    assert change.after is not None
    assert (change.after.level, change.after.stale, change.after.status) == ("unknown", [], "running")
    assert "no report from health-scorer" in change.after.why


def test_the_sum_over_a_cluster_is_unknown_too() -> None:
    ref = make_ref("test", kind="cluster", namespace="")
    silent = Attestation(silent={("test", SCORER): [Unread(reason="no heartbeat")]})
    view = EntityView(key_of_ref(ref), Rows(health=encoded(make_health(ref=ref))), silent)

    assert view.level == "unknown"
    assert msgspec.json.decode(view.rows.health or b"")["text"].startswith("Unknown: ")
