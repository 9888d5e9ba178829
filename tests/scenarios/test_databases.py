"""Databases: a finding ends with its cause, and the reading of a slow tier counts once."""

import pytest

from kgents_collector_db.mapping import postgres, redis
from support.story import Story, critical, warning
from support.story_database import answers, master, primary, slot, standby

pytestmark = pytest.mark.scenarios

ORDERS = "database orders"


def test_a_standby_without_its_primary_is_promoted() -> None:
    story = Story()
    story.at("0s", answers("orders", postgres.observe, standby))
    story.at("5m", answers("orders", postgres.observe, lambda at_s: standby(at_s, link=None)))
    story.at("10m", answers("orders", postgres.observe, primary))
    story.expect(warning("KG-308", ORDERS, "5m20s", "6m10s"), critical("KG-308", ORDERS, "6m10s", "10m"), until="30m")


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
