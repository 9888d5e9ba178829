"""The recording of `kgents up --demo`: what it says is what the services conclude from it."""

from collections import Counter
from functools import cache
from importlib.resources import files

import kgents.testing
from kgents_cli.demonstration import FILE
from kgents_shared.contract.recording import SIGNALS, Recording, Row
from kgents_shared.view.find import path_of

DEMO = files("kgents_cli") / FILE
WORDS_OF_A_MACHINE = (b"/work", b"/root", b"/home", b"/tmp", b"runner", b'"vm"')


@cache
def rows() -> list[Row]:
    with DEMO.open("rb") as opened:
        return list(Recording(opened).rows())  # type: ignore[arg-type]  # opened for reading bytes


@cache
def incident(until: str | None = None) -> kgents.testing.Incident:
    return kgents.testing.replay(str(DEMO), until=until)


def test_it_is_small_and_lasts_five_minutes() -> None:
    assert len(DEMO.read_bytes()) <= 1_000_000
    assert 290e6 < max(row.at_us for row in rows()) < 310e6
    assert {row.signal for row in rows()} <= set(SIGNALS)


def test_every_message_says_that_it_is_a_demo_and_none_where_it_was_made() -> None:
    assert {row.subject.split(".")[2] for row in rows()} == {"demo-shop-eu", "demo-shop-us"}
    assert not [word for word in WORDS_OF_A_MACHINE if any(word in row.body for row in rows())]


def test_it_begins_with_two_clusters_in_which_all_is_well() -> None:
    entities = [each for each in incident("9s").entities if each.ref.kind not in ("cluster", "source")]
    assert len(entities) >= 150
    assert Counter(each.level for each in entities)["critical"] == 0
    assert incident("9s").fired == []
    assert {"pod", "app", "database", "nats_stream", "node"} <= {each.ref.kind for each in entities}


def test_the_database_is_named_as_the_origin_of_its_symptoms() -> None:
    """By health-scorer, from what was recorded: nothing in the file names it."""
    first = incident().roots[0]
    assert incident().origins[0] == "database/shop/orders-db"
    assert first.explained >= 3
    assert "critical KG-301 database/shop/orders-db" in incident().fired
    assert [path_of(each.ref) for each in incident().roots if each.explained] == ["database/shop/orders-db"]
    assert {"app/shop/payments", "app/shop/checkout"} <= {each.rpartition(" ")[2] for each in incident().fired}
    symptoms = {(each.ref.cluster, each.ref.kind) for each in incident().alerts if each.severity == "critical"}
    assert {("demo-shop-eu", "deployment"), ("demo-shop-eu", "app"), ("demo-shop-us", "app")} <= symptoms


def test_what_is_done_is_in_the_feed_and_helps() -> None:
    said = [row.body for row in rows() if row.subject.startswith("kgents.event.demo-shop-eu.demo.")]
    assert [b"rolled out" in said[0], b"rolled back" in said[1]] == [True, True]
    assert incident().get("deployment/shop/orders").status == "running"


def test_it_ends_as_it_began_with_all_healthy() -> None:
    """So that what follows, the beginning, is no jump."""
    assert incident().firing == []
    levels = Counter(each.level for each in incident().entities)
    assert {*levels} == {"healthy"}
    at_first = [each for each in incident("9s").entities if each.ref.kind not in ("cluster", "source")]
    at_last = [each for each in incident().entities if each.ref.kind not in ("cluster", "source")]
    assert Counter(each.ref.kind for each in at_first) == Counter(each.ref.kind for each in at_last)
