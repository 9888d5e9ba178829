"""The join of three signals per entity: what it keeps, and what it says changed."""

from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.unread import Unread
from kgents_shared.view.fold import SOURCES, EntityChange, Fold, Row
from kgents_shared.view.selection import Selection, select
from support.build import make_ref
from support.state import Message, encoded, make_alert, make_health, make_topology, subject_of


def row(message: Message) -> Row:
    return Row(subject_of(message), encoded(message))


def gone(message: Message) -> Row:
    return Row(subject_of(message), None)


def folded(*messages: Message, selection: Selection | None = None) -> Fold:
    fold = Fold(selection or select())
    for message in messages:
        fold.put(row(message))
    return fold


def names(fold: Fold) -> list[str]:
    return sorted(each.ref.name for each in fold.entities())


def shapes(changes: list[EntityChange]) -> list[tuple[bool, bool, bool]]:
    return [(each.before is not None, each.after is not None, each.is_gone) for each in changes]


def test_an_entity_is_there_while_its_topology_is() -> None:
    fold = folded(make_topology("a"), make_health("a"), make_health("b"), make_alert("c"))

    assert names(fold) == ["a"]
    assert len(fold) == 3
    changes, _ = fold.take("topology", [gone(make_topology("a"))])
    assert shapes(changes) == [(True, False, True)]
    assert names(fold) == []
    assert fold.take("health", [gone(make_health("a"))])[0] == []
    assert len(fold) == 2


def test_the_first_signal_decides_what_is_there() -> None:
    fold = Fold(select(), ("alert", "health"))
    fold.put(row(make_health("a")))
    fold.put(row(make_alert("b")))

    assert names(fold) == ["b"]


def test_what_filters_let_through_and_was_not_asked_for_is_not_kept() -> None:
    fold = folded(make_topology("cart-1"), make_topology("pay-1"), selection=select(name="cart-*"))
    changes, rows = fold.take("topology", [row(make_topology("pay-2")), row(make_topology("cart-2"))])

    assert len(fold) == 2
    assert [each.subject for each in rows] == [subject_of(make_topology("cart-2"))]
    assert shapes(changes) == [(False, True, False)]


def test_the_same_message_again_changes_nothing() -> None:
    fold = folded(make_topology("a"))

    assert fold.take("topology", [row(make_topology("a"))]) == ([], [])
    assert fold.take("alert", [gone(make_alert("a"))]) == ([], [])


def test_what_a_new_snapshot_does_not_bring_vanishes_in_turn() -> None:
    fold = folded(make_topology("a"), make_topology("b"), make_health("a"))
    fold.begin("topology")
    assert fold.take("topology", [row(make_topology("b"))]) == ([], [])
    assert names(fold) == ["a", "b"]

    vanished = fold.vanished("topology")

    assert vanished == [gone(make_topology("a"))]
    assert shapes(fold.take("topology", vanished)[0]) == [(True, False, True)]
    assert fold.vanished("topology") == []
    assert [each.subject for each in fold.rows("health")] == [subject_of(make_health("a"))]


def test_an_announced_entity_counts_as_new_when_it_comes_and_as_gone_when_it_does_not() -> None:
    known, lost = make_topology("known"), make_topology("lost")
    fold = folded(known)
    fold.announced = {"test.pod.shop.known", "test.pod.shop.lost"}

    changes, _ = fold.take("topology", [row(known)])
    assert shapes(changes) == [(False, True, False)]
    assert fold.take("topology", [row(known), gone(lost)])[0] == []
    settled = fold.settle()
    assert [each.subject for each in settled] == [subject_of(lost)]
    assert settled[0].before is not None
    assert settled[0].before.ref == make_ref("lost")
    assert shapes(settled) == [(True, False, True)]
    assert fold.settle() == []


def test_each_check_has_an_alert_of_its_own() -> None:
    fold = folded(make_topology("a"), make_alert("a", check="KG-001"), make_alert("a", check="KG-002"))
    fold.take("alert", [gone(make_alert("a", check="KG-001"))])

    view = fold.get(make_ref("a"))
    assert view is not None
    assert [each.check for each in view.alerts] == ["KG-002"]
    assert len(list(fold.rows("alert"))) == 1


def source(*unread: Unread) -> TopologyEntity:
    return make_topology(ref=make_ref("k8s", kind="source", namespace=""), unread=list(unread))


def observed(name: str, *sources: str) -> TopologyEntity:
    return make_topology(name, sources=list(sources or ("k8s",)))


def levels(fold: Fold) -> dict[str, str]:
    return {each.ref.name: each.level for each in fold.entities()}


def test_a_source_that_falls_silent_changes_its_entities_for_the_reader() -> None:
    pods = select(kind="pod")
    fold = folded(observed("a"), make_health("a"), observed("b", "docker"), make_health("b"), selection=pods)
    changes, rows = fold.take(SOURCES, [row(source(Unread()))])
    assert (changes, [each.subject for each in rows]) == ([], [subject_of(source())])
    assert levels(fold) == {"a": "healthy", "b": "healthy"}  # until the reader gets the changes

    (change,) = fold.reattested(7, 8)

    assert change.before is not None
    assert change.after is not None
    assert (change.before.level, change.after.level, change.after.stale) == ("healthy", "unknown", ["k8s"])
    assert (change.subject, change.seq, change.time_ns) == (subject_of(observed("a")), 7, 8)
    assert levels(fold) == {"a": "unknown", "b": "healthy"}
    assert list(fold.reattested()) == []


def test_an_entity_enters_and_leaves_a_selection_by_level_with_its_source() -> None:
    fold = folded(observed("a"), make_health("a"), selection=select(level="unknown", kind="pod"))
    fold.take(SOURCES, [row(source(Unread(name="a")))])
    assert shapes(list(fold.reattested())) == [(False, True, False)]
    fold.take(SOURCES, [row(source())])
    assert shapes(list(fold.reattested())) == [(True, False, False)]
    assert names(fold) == []


def test_a_source_that_a_new_snapshot_does_not_bring_attests_again() -> None:
    for selection, feed in ((select(), "topology"), (select(kind="pod"), SOURCES), (select(name="a*"), "topology")):
        fold = folded(observed("a"), make_health("a"), source(Unread()), selection=selection)
        assert feed in fold.feeds
        assert levels(fold)["a"] == "unknown"
        fold.begin(feed)
        fold.take(feed, [row(observed("a"))] if feed == "topology" else [])
        fold.take(feed, fold.vanished(feed))
        assert [each.after.level for each in fold.reattested() if each.after] == ["healthy"]


def test_health_is_never_read_without_what_attests_it() -> None:
    fold = Fold(select(), ("health",))
    for message in (make_health("a"), observed("a"), source(Unread())):
        fold.put(row(message))
    assert levels(fold) == {"a": "unknown"}


def test_rows_of_sources_are_kept_with_the_feed_that_brings_them() -> None:
    for selection, feed in ((select(), "topology"), (select(kind="pod"), SOURCES), (select(name="a*"), "topology")):
        fold = folded(observed("a"), source(Unread()), selection=selection)
        by_feed = {each: [found.subject for found in fold.rows(each)] for each in fold.feeds}
        assert subject_of(source()) in by_feed[feed]
        assert sum(map(len, by_feed.values())) == 2
