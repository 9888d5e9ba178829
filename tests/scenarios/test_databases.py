"""Databases: a finding ends with its cause, and the reading of a slow tier counts once."""

from collections.abc import Callable
from functools import partial

import pytest

from kgents_collector_db.mapping import coherency, postgres, qdrant, redis
from kgents_collector_db.mapping.coherency import Pair
from kgents_collector_db.mapping.coherency.sample import CoherencySample, Counts
from kgents_collector_db.mapping.facts import Unreachable
from kgents_collector_db.mapping.postgres.sample import PostgresSample
from kgents_collector_db.mapping.redis.sample import RedisSample
from support.story import Story, critical, warning
from support.story_database import answers, at, master, peer, primary, slot, standby

pytestmark = pytest.mark.scenarios

ORDERS = "database orders"


def test_a_standby_without_its_primary_is_promoted() -> None:
    story = Story()
    story.at("0s", answers("orders", postgres.observe, standby))
    story.at("5m", answers("orders", postgres.observe, lambda at_s: standby(at_s, link=None)))
    story.at("10m", answers("orders", postgres.observe, primary))
    story.expect(warning("KG-308", ORDERS, "5m20s", "6m10s"), critical("KG-308", ORDERS, "6m10s", "10m"), until="30m")


def test_a_server_that_answers_again_is_not_called_down_for_another_poll() -> None:
    def refused(at_s: float) -> PostgresSample:
        return PostgresSample(at=at(at_s), address="db:5432", unreachable=Unreachable("failing", "refused", ""))

    story = Story()
    story.at("0s", answers("orders", postgres.observe, primary))
    story.at("5m", answers("orders", postgres.observe, refused))
    assert [each.check for each in story.run("9m").health(ORDERS).reasons] == ["KG-001", "KG-300"]
    story.at("10m", answers("orders", postgres.observe, primary))
    world = story.run("10m2s")
    assert world.health(ORDERS).level == "healthy", world.health(ORDERS).text


def test_a_slot_that_lost_its_log_is_dropped() -> None:
    story = Story()
    story.at("0s", answers("orders", postgres.observe, lambda at_s: primary(at_s, slots=(slot(),))))
    lost = slot(active=False, wal_status="lost")
    story.at("5m", answers("orders", postgres.observe, lambda at_s: primary(at_s, slots=(lost,))))
    story.at("20m", answers("orders", postgres.observe, lambda at_s: primary(at_s, slots=())))
    story.expect(critical("KG-309", ORDERS, "5m10s", "20m"), until="30m")


def test_a_full_redis_is_allowed_to_evict() -> None:
    story = Story()
    full = {"used_memory": str(99 * 1024**2)}
    story.at("0s", answers("cache", redis.observe, master))
    story.at("5m", answers("cache", redis.observe, lambda at_s: master(at_s, **full)))
    story.at("10m", answers("cache", redis.observe, lambda at_s: master(at_s, maxmemory_policy="allkeys-lru", **full)))
    story.expect(critical("KG-333", "database cache", "5m10s", "10m"), until="30m")


# Redis


def replica_of(*states: str) -> dict[str, str]:
    """Fields of a master with these replicas."""
    slaves = {f"slave{n}": f"ip=10.0.0.{n},port=6379,state={each},offset=1,lag=0" for n, each in enumerate(states)}
    return {"connected_slaves": str(len(states)), **slaves}


def with_replicas(*states: str, **fields: str) -> Callable[[float], RedisSample]:
    return lambda at_s: master(at_s, **replica_of(*states), **fields)


def test_a_replica_that_restarts_in_a_rolling_update_raises_nothing() -> None:
    story = Story()
    story.at("0s", answers("cache", redis.observe, with_replicas("online", "online")))
    for at_s in story.every("2m", since="5m", until="11m"):
        story.at(at_s, answers("cache", redis.observe, with_replicas("online")))
        story.at(at_s + 30, answers("cache", redis.observe, with_replicas("online", "wait_bgsave")))
        story.at(at_s + 50, answers("cache", redis.observe, with_replicas("online", "online")))
    story.expect(until="30m")


def test_a_master_loses_its_only_replica_and_gets_it_back() -> None:
    story = Story()
    story.at("0s", answers("cache", redis.observe, with_replicas("online")))
    story.at("10m", answers("cache", redis.observe, with_replicas()))
    story.at("20m", answers("cache", redis.observe, with_replicas("online")))
    story.expect(warning("KG-384", "database cache", "10m40s", "20m"), until="30m")


def test_a_replica_that_is_removed_on_purpose_is_forgotten_after_a_day() -> None:
    story = Story()
    story.at("0s", answers("cache", redis.observe, with_replicas("online", "online")))
    story.at("10m", answers("cache", redis.observe, with_replicas("online")))
    story.expect(warning("KG-385", "database cache", "11m10s", "24h10m"), until="25h")


def test_a_planned_failover_raises_nothing() -> None:
    """The old master becomes a replica within seconds; the new one starts without a replica to miss."""
    story = Story()
    story.at("0s", answers("cache", redis.observe, with_replicas("online")))
    story.at("10m", answers("cache", redis.observe, lambda at_s: master(at_s, role="slave", master_link_status="up")))
    story.at("20m", answers("cache", redis.observe, with_replicas()))
    story.expect(until="40m")


def test_too_few_replicas_reject_every_write() -> None:
    story = Story()
    good = with_replicas("online", min_slaves_good_slaves="1")
    story.at("0s", answers("cache", redis.observe, good))
    story.at("10m", answers("cache", redis.observe, with_replicas(min_slaves_good_slaves="0")))
    story.at("20m", answers("cache", redis.observe, good))
    story.expect(critical("KG-380", "database cache", "10m10s", "20m20s"), until="30m")


def test_a_burst_of_failed_commands_raises_nothing_and_a_lasting_one_does() -> None:
    def failing(share: float) -> Callable[[float], RedisSample]:
        def sample(at_s: float) -> RedisSample:
            calls = int(100 * at_s)
            return master(at_s, cmdstat_set=f"calls={calls},usec=1,rejected_calls=0,failed_calls={int(calls * share)}")

        return sample

    story = Story()
    story.at("0s", answers("cache", redis.observe, failing(0.0)))
    story.at("10m", answers("cache", redis.observe, failing(0.001)))  # of one poll: all failures since the start
    story.at("20m", answers("cache", redis.observe, failing(0.2)))
    story.at("30m", answers("cache", redis.observe, failing(0.0)))
    fired = {each.check for each in story.run("40m").fired}
    assert fired == {"KG-383"}


def test_a_name_that_does_not_resolve_leaves_the_database_unknown_and_not_down() -> None:
    reason = "expected an address of cache, found that the name does not resolve here; try: getent hosts cache"

    def unresolved(at_s: float) -> RedisSample:
        return RedisSample(
            at=at(at_s), address="cache:6379", unreachable=Unreachable("degraded", "unknown name", reason)
        )

    story = Story()
    story.at("0s", answers("cache", redis.observe, master), answers("orders", postgres.observe, primary))
    story.at("10m", answers("cache", redis.observe, unresolved))
    world = story.run("15m")
    assert world.health("database cache").level == "unknown"
    assert "try: getent hosts cache" in world.health("database cache").text
    assert world.health("database orders").level == "healthy"
    assert [each.reason for each in world.unread["db"]] == [f"cache: {reason}"]
    story.at("15m", answers("cache", redis.observe, master))
    world = story.expect(warning("KG-011", "source db", "10m25s", "15m"), until="30m")
    assert world.health("database cache").level == "healthy"


# Qdrant


def test_a_collection_that_answers_500_is_unread_alone() -> None:
    why = "vectors:6333: GET /collections/… answers HTTP 500"
    story = Story()
    story.at("0s", answers("vectors", qdrant.observe, lambda at_s: peer(at_s, "docs", "images")))
    story.at("10m", answers("vectors", qdrant.observe, lambda at_s: peer(at_s, "docs", unread={"images": why})))
    world = story.run("15m")
    assert [str(each) for each in world.unread["db"]] == ["collection vectors/images part /vectors"]
    assert world.health("collection vectors/images").level == "unknown"
    assert world.health("collection vectors/docs").level == "healthy"
    assert world.health("database vectors").level == "healthy"
    story.at("15m", answers("vectors", qdrant.observe, lambda at_s: peer(at_s, "docs", "images")))
    story.expect(warning("KG-011", "source db", "10m25s", "15m"), until="30m")


# Comparisons


def compared(missing: int, ghosts: int = 0, *, unreachable: bool = False) -> Callable[[float], CoherencySample]:
    """A round that sampled a thousand rows and vectors."""
    why = Unreachable("degraded", "refused", "vectors: nothing listens") if unreachable else None
    rows, points = Counts(good=1_000 - missing, missing=missing), Counts(good=1_000 - ghosts, ghost=ghosts)
    return lambda at_s: CoherencySample(at=at(at_s), unreachable=why, rows=rows, points=points)


def test_rows_lost_their_vectors_and_are_indexed_again() -> None:
    """A few are no finding: they may be chance. In between the finding lasts."""
    observe = partial(coherency.observe, pair=Pair(("orders", ""), ("vectors", ""), "articles"))
    story = Story()
    story.at("0s", answers("articles", observe, compared(0)))
    story.at("5m", answers("articles", observe, compared(12)))
    story.at("10m", answers("articles", observe, compared(40)))
    story.at("12m", answers("articles", observe, compared(12)))
    story.at("14m", answers("articles", observe, compared(1)))
    story.at("20m", answers("articles", observe, compared(0, ghosts=300)))
    story.at("25m", answers("articles", observe, compared(0)))
    story.expect(
        warning("KG-392", "comparison articles", "10m10s", "14m20s"),
        critical("KG-393", "comparison articles", "20m", "25m20s"),
        until="40m",
    )


def test_comparison_that_cannot_be_made_is_unknown_and_no_verdict() -> None:
    observe = partial(coherency.observe, pair=Pair(("orders", ""), ("vectors", ""), "articles"))
    story = Story()
    story.at("0s", answers("articles", observe, compared(0)))
    story.at("5m", answers("articles", observe, compared(200)))
    story.at("10m", answers("articles", observe, compared(0, unreachable=True)))
    story.at("10m", answers("drafts", observe, compared(0, unreachable=True)))
    assert "KG-392" in [each.check for each in story.run("12m").health("comparison articles").reasons]
    world = story.run("30m")
    assert world.health("comparison articles").level == "unknown"
    assert world.health("comparison drafts").level == "unknown"
