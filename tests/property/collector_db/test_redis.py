"""Invariants of the Redis mapping, for any counters and texts of a server."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from kgents_collector_db.mapping import redis
from kgents_collector_db.mapping.facts import Scope
from kgents_collector_db.mapping.redis.info import Info
from kgents_collector_db.mapping.redis.latency import percentiles_s
from kgents_collector_db.mapping.redis.sample import RedisSample
from kgents_shared.contract.codec import encode
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.pulse import DatabasePulse

AT = datetime(2026, 1, 1, tzinfo=UTC)
FIXED = {"run_id": "r1", "role": "master", "redis_version": "7.0.15", "maxmemory": "100", "maxclients": "10"}
MOVING = (
    "total_commands_processed", "keyspace_hits", "keyspace_misses", "used_memory", "used_memory_rss", "evicted_keys",
    "rejected_connections", "connected_clients", "total_error_replies", "used_cpu_sys_main_thread",
    "used_cpu_user_main_thread", "master_repl_offset", "uptime_in_seconds", "server_time_usec", "latest_fork_usec",
)  # fmt: skip
numbers = st.one_of(st.integers(-1, 2**53).map(str), st.sampled_from(["", "nan", "-inf", "1e999", "x"]))
infos = st.dictionaries(st.sampled_from(MOVING), numbers)
histograms = st.dictionaries(st.sampled_from([2**n for n in range(20)]), st.integers(0, 2**30), min_size=1)


def sample(at_s: float, fields: dict[str, str]) -> RedisSample:
    return RedisSample(at=AT, address="h:1", info=Info({**FIXED, **fields}), info_at_s=at_s)


def observed(previous: RedisSample | None, current: RedisSample, published: Facts | None = None) -> Facts:
    known = {each.ref: each for each in published.entities} if published is not None else {}
    return redis.observe(previous, current, Scope("c1", "cache", "", 10.0, AT, known))


@given(first=infos, second=infos, seconds=st.floats(-10, 100))
def test_figures_never_move_the_entity_and_rates_are_never_negative(
    first: dict[str, str], second: dict[str, str], seconds: float
) -> None:
    before, now = sample(0, first), sample(seconds, second)
    seen = observed(None, before)
    again = observed(before, now, seen)
    state = [each for each in seen.entities if each.created_at is not None]
    if state:  # a first poll without the start time gets it later, once
        assert [encode(each) for each in again.entities] == [encode(each) for each in seen.entities]
    (pulse,) = again.pulses
    assert isinstance(pulse, DatabasePulse)
    rates = {**pulse.performance, **{name: each for name, each in pulse.custom.items() if "_per_second" in name}}
    assert all(rate is None or rate >= 0 for rate in rates.values())
    assert encode(pulse)


@given(st.text())
def test_any_text_is_read_without_a_fault(text: str) -> None:
    info = Info.parse(text)
    assert encode(observed(None, RedisSample(at=AT, address="h:1", info=info)).entities[0])


@given(now=histograms, ranks=st.lists(st.floats(0.01, 1.0), min_size=2, max_size=5))
def test_percentiles_rise_with_their_rank_and_stay_within_the_buckets(now: dict[int, int], ranks: list[float]) -> None:
    found = [each for each in percentiles_s({"get": {}}, {"get": now}, *sorted(ranks)) if each is not None]
    assert found == sorted(found)
    assert all(0 <= each <= max(now) / 1e6 for each in found)
    assert bool(found) == any(now.values())
