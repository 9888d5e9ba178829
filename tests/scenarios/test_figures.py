"""Figures of databases: a costly reading counts once, what is switched off ends, our own faults are not its faults."""

import pytest
from msgspec import structs

from kgents_collector_db.mapping import postgres
from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.mapping.postgres.sample import Archiver, PostgresSample, Tables
from support.story import Story, warning
from support.story_database import answers, at, identity, primary

pytestmark = pytest.mark.scenarios

ORDERS = "database orders"


def unreachable(at_s: float, phase: str, cause: str) -> PostgresSample:
    return structs.replace(primary(at_s), identity=None, unreachable=Unreachable(phase, cause, f"it is {cause}"))


def bloated(at_s: float, ratio: float) -> PostgresSample:
    """Tables are read every ten minutes: in between the last reading is repeated."""
    read_s = at_s // 600 * 600
    tables = Tables(
        n=1, live_tuples=100, dead_tuples=100, worst_dead_ratio=ratio, never_analyzed=0, vacuum_due=0, analyze_due=0,
        at=at(read_s),
    )  # fmt: skip
    return primary(at_s, tables={"shop": tables})


def archiving(at_s: float, mode: str) -> PostgresSample:
    failing = Archiver(archived_count=5, failed_count=9, since_archived_s=at_s, since_failed_s=1.0)
    return primary(at_s, identity=identity(at_s, archive_mode=mode), archiver=failing)


def test_one_reading_of_a_slow_tier_is_no_alert_and_the_second_is() -> None:
    story = Story()
    story.at("0s", answers("orders", postgres.observe, lambda at_s: bloated(at_s, 0.1)))
    story.at("10m", answers("orders", postgres.observe, lambda at_s: bloated(at_s, 0.9)))
    found = [each for each in story.run("40m").fired if each.check == "KG-314"]
    assert [each.since_s for each in found] == [20 * 60]


def test_archiving_that_fails_is_switched_off() -> None:
    story = Story()
    story.at("0s", answers("orders", postgres.observe, primary))
    story.at("5m", answers("orders", postgres.observe, lambda at_s: archiving(at_s, "on")))
    story.at("20m", answers("orders", postgres.observe, primary))
    found = story.run("1h").fired
    assert {each.check for each in found} >= {"KG-311"}
    assert [each for each in found if each.until_s is None] == []
    assert max(each.until_s or 0 for each in found) == 20 * 60


def test_a_database_that_is_down_is_critical_and_well_when_it_is_back() -> None:
    story = Story()
    story.at("0s", answers("orders", postgres.observe, primary))
    story.at("10m", answers("orders", postgres.observe, lambda at_s: unreachable(at_s, "failing", "refused")))
    story.at("20m", answers("orders", postgres.observe, primary))
    found = story.run("40m").fired
    assert {each.severity for each in found} == {"critical"}
    assert {each.entity for each in found} == {ORDERS}
    assert all(each.since_s <= 10 * 60 + 30 for each in found)
    assert all(each.until_s is not None and each.until_s <= 20 * 60 + 40 for each in found)


def test_one_poll_that_fails_is_no_alert() -> None:
    story = Story()
    story.at("0s", answers("orders", postgres.observe, primary))
    story.at("10m", answers("orders", postgres.observe, lambda at_s: unreachable(at_s, "failing", "refused")))
    story.at("10m9s", answers("orders", postgres.observe, primary))
    story.expect(until="30m")


@pytest.mark.parametrize("cause", ["wrong credentials", "tls", "missing privilege"])
def test_a_database_that_does_not_let_us_in_is_unknown_and_never_critical(cause: str) -> None:
    story = Story()
    story.at("0s", answers("orders", postgres.observe, primary))
    story.at("10m", answers("orders", postgres.observe, lambda at_s: unreachable(at_s, "degraded", cause)))
    world = story.run("1h")
    assert world.health(ORDERS).level == "unknown"
    assert {each.severity for each in world.fired} == {"warning"}


def test_a_database_that_starts_is_not_down() -> None:
    story = Story()
    story.at("0s", answers("orders", postgres.observe, primary))
    story.at("10m", answers("orders", postgres.observe, lambda at_s: unreachable(at_s, "starting", "starting")))
    story.at("12m", answers("orders", postgres.observe, primary))
    story.expect(until="30m")


def test_a_database_that_recovers_for_long_warns() -> None:
    story = Story()
    story.at("0s", answers("orders", postgres.observe, primary))
    story.at("10m", answers("orders", postgres.observe, lambda at_s: unreachable(at_s, "starting", "starting")))
    story.at("22m", answers("orders", postgres.observe, primary))
    story.expect(warning("KG-004", ORDERS, "15m20s", "22m"), until="30m")
