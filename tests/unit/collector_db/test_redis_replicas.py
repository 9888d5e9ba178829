"""Redis: what the entity remembers of replicas, who is a rival, and which errors count."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kgents_collector_db.mapping import redis
from kgents_collector_db.mapping.facts import Scope
from kgents_collector_db.mapping.redis.delta import Delta
from kgents_collector_db.mapping.redis.info import Info
from kgents_collector_db.mapping.redis.replicas import FORGET, Claim, Replicas, promoted_from, replicas, rivals
from kgents_collector_db.mapping.redis.sample import RedisSample
from kgents_collector_db.mapping.redis.state import lacks_replicas
from kgents_shared.contract.entity import Entity, Ref, Value
from kgents_shared.contract.pulse import DatabasePulse
from support.vocabulary import declared

pytestmark = pytest.mark.unit

AT = datetime(2026, 1, 1, tzinfo=UTC)
CACHE = Ref("c1", "database", "cache")


def info(*states: str, **fields: str) -> Info:
    slaves = {f"slave{n}": f"ip=10.0.0.{n},port=6379,state={each}" for n, each in enumerate(states)}
    return Info({"redis_version": "7.0.15", "redis_mode": "standalone", "run_id": "r1", "role": "master",
                 "total_error_replies": "0", **slaves, **fields})  # fmt: skip


def published(**attributes: Value) -> Entity:
    named = {f"kgents.redis.{name.replace('__', '.')}": value for name, value in attributes.items()}
    return Entity(ref=CACHE, source="db", attributes=named)


def test_first_loss_is_dated_and_a_partial_return_keeps_the_date() -> None:
    lost = replicas(info("online"), published(replicas=3), AT)
    assert lost == Replicas(online=1, before=3, lost_at=AT)
    later = replicas(
        info("online", "online"), Entity(ref=CACHE, source="db", attributes=lost.attributes), AT + FORGET / 2
    )
    assert later == Replicas(online=2, before=3, lost_at=AT)
    assert replicas(
        info("online"), published(replicas=2, replicas__before=3, replicas__lost_at=AT.isoformat()), AT
    ) == (Replicas(online=1, before=3, lost_at=AT))


def test_loss_ends_with_the_replica_or_after_a_day_or_in_another_role() -> None:
    known = published(replicas=0, replicas__before=1, replicas__lost_at=AT.isoformat())
    assert replicas(info("online"), known, AT) == Replicas(1, 1)
    assert replicas(info("wait_bgsave"), known, AT) == Replicas(0, 1, AT)  # it has no data yet
    assert replicas(info(), known, AT + FORGET - timedelta(seconds=1)) == Replicas(0, 1, AT)
    assert replicas(info(), known, AT + FORGET) == Replicas(0, 0)
    assert replicas(info(role="slave"), known, AT) is None
    assert replicas(info("online"), None, AT) == Replicas(1, 1)


def test_only_what_was_observed_as_a_replica_was_promoted() -> None:
    """A server started from the backup of another has its replication id as the second one, too."""
    now = info(master_replid="b", master_replid2="a")
    assert promoted_from(now, published(role="replica")) == "a"
    assert promoted_from(now, published(role="master", promoted_from="a")) == "a"
    assert promoted_from(now, published(role="master")) == ""
    assert promoted_from(now, None) == ""
    assert promoted_from(info(master_replid2="c"), published(role="master", promoted_from="a")) == ""
    assert promoted_from(info(role="slave", master_replid2="a"), published(role="replica")) == ""


@pytest.mark.parametrize(
    ("claim", "count"),
    [
        (Claim(AT, 10.0, is_master=True, promoted_from="a"), 1),
        (Claim(AT, 10.0, is_master=True, promoted_from="b"), 0),
        (Claim(AT, 10.0, is_master=False, promoted_from="a"), 0),
        (Claim(AT, 10.0, is_master=None, promoted_from="a"), None),  # it was not read: still one, maybe
        (Claim(AT - timedelta(seconds=30), 10.0, is_master=True, promoted_from="a"), 0),  # not watched any more
    ],
)
def test_rival_is_a_master_that_was_promoted_from_the_same_history(claim: Claim, count: int | None) -> None:
    assert rivals("a", [claim], AT) == count


@pytest.mark.parametrize(
    ("fields", "lacks"),
    [
        ({}, False),  # `min-replicas-to-write` is not set
        ({"min_slaves_good_slaves": "0"}, True),
        ({"min_slaves_good_slaves": "1"}, None),  # without a poll before, errors are not known
        ({"min_slaves_good_slaves": "0", "role": "slave"}, False),
    ],
)
def test_writes_are_rejected_for_certain_without_a_good_replica(fields: dict[str, str], lacks: bool | None) -> None:
    assert lacks_replicas(info(**fields), None) is lacks


def test_figures_of_what_is_not_set_are_absent_and_of_what_is_not_known_null() -> None:
    def custom(**fields: str) -> dict[str, float | None]:
        sample = RedisSample(at=AT, address="h:6379", info=info(**fields))
        (pulse,) = declared(redis.observe(None, sample, Scope("c1", "cache", "", 10.0, AT, {}))).pulses
        assert isinstance(pulse, DatabasePulse)
        return pulse.custom

    assert "redis_too_few_replicas" not in custom()
    assert custom(min_slaves_good_slaves="1")["redis_too_few_replicas"] is None
    assert custom()["redis_misconf_errors"] is None
    assert "redis_readonly_errors" not in custom()
    assert custom(role="slave")["redis_readonly_errors"] is None
    assert "redis_misconf_errors" not in custom(redis_mode="sentinel")
    assert "redis_aof_last_rewrite_ok" not in custom(aof_last_bgrewrite_status="err")  # it is off


def ratio(**fields: Any) -> float | None:
    before = Info({"total_error_replies": "0"})
    return Delta(before, Info({"total_error_replies": "0", **fields}), 10.0, 0).failed_ratio


def test_share_of_failed_commands_leaves_out_what_is_routine_ours_or_hardly_anything() -> None:
    failing = {"cmdstat_set": "calls=90,usec=1,rejected_calls=10,failed_calls=40"}
    assert ratio(**failing) == pytest.approx(0.5)
    assert ratio(**failing, errorstat_MOVED="count=30", errorstat_OOM="count=20") == 0.0
    assert ratio(**failing, errorstat_WRONGTYPE="count=50") == pytest.approx(0.5)
    assert ratio(cmdstat_set="calls=10,usec=1,rejected_calls=9,failed_calls=10") is None
    assert ratio(cmdstat_info="calls=100,usec=1,rejected_calls=0,failed_calls=100") is None
