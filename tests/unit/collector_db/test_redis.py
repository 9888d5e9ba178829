"""Redis mapping: fields of INFO to entity, figures and events."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import structs

from kgents_collector_db.mapping import redis
from kgents_collector_db.mapping.facts import Scope, Unreachable
from kgents_collector_db.mapping.redis import state
from kgents_collector_db.mapping.redis.delta import Delta
from kgents_collector_db.mapping.redis.info import Info
from kgents_collector_db.mapping.redis.latency import percentiles_s
from kgents_collector_db.mapping.redis.memory import fill
from kgents_collector_db.mapping.redis.sample import ClusterNode, RedisSample, SlowCommand
from kgents_collector_db.source.redis_answer import histograms, nodes
from kgents_collector_db.targets.redis import RedisTarget
from kgents_shared.bus.config import Secret
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.pulse import DatabasePulse
from kgents_topology_builder.graph import Graph
from support.vocabulary import declared

pytestmark = pytest.mark.unit

AT = datetime(2026, 1, 1, tzinfo=UTC)
MIB = 1024**2
DATABASE = Ref("c1", "database", "cache", "shop")
FIELDS = {
    "redis_version": "7.0.15", "redis_mode": "standalone", "run_id": "r1", "role": "master",
    "uptime_in_seconds": "100", "server_time_usec": "1767225600500000", "total_commands_processed": "1000",
    "total_error_replies": "0", "connected_clients": "5", "maxclients": "100", "used_memory": str(50 * MIB),
    "used_memory_rss": str(60 * MIB), "maxmemory": str(100 * MIB), "maxmemory_policy": "noeviction",
    "keyspace_hits": "900", "keyspace_misses": "100", "rdb_last_bgsave_status": "ok",
}  # fmt: skip


def sample(at_s: float = 0.0, *, own_commands: int = 0, limit: int | None = None, **fields: Any) -> RedisSample:
    return RedisSample(
        at=AT,
        address="redis.shop:6379",
        info=Info({**FIELDS, **fields}),
        info_at_s=at_s,
        own_commands=own_commands,
        memory_limit_bytes=limit,
    )


def unreachable(cause: str = "frozen", phase: str = "failing") -> RedisSample:
    return RedisSample(at=AT, address="redis.shop:6379", unreachable=Unreachable(phase, cause, "x"))


def observed(
    current: RedisSample, previous: RedisSample | None = None, published: Facts | None = None
) -> tuple[Entity, DatabasePulse, Facts]:
    known = {each.ref: each for each in published.entities} if published is not None else {}
    facts = declared(redis.observe(previous, current, Scope("c1", "cache", "shop", 10.0, AT, known)))
    (entity,), (pulse,) = facts.entities, facts.pulses
    assert isinstance(pulse, DatabasePulse)
    return entity, pulse, facts


def test_field_that_is_missing_or_no_number_is_not_known() -> None:
    info = Info.parse("# Server\r\nredis_version:7.0.15\r\nbroken\r\nratio:nan\r\nword:many\r\nn:7\r\n\r\n")
    assert info.fields == {"redis_version": "7.0.15", "ratio": "nan", "word": "many", "n": "7"}
    assert [info.number(name) for name in ("ratio", "word", "gone", "n")] == [None, None, None, 7]


def test_fields_of_a_field_are_read() -> None:
    info = Info.parse("slave0:ip=10.0.0.7,port=6379,state=online,offset=42,lag=1\nslave_priority:100\n")
    assert info.group("slave") == {
        "0": {"ip": "10.0.0.7", "port": "6379", "state": "online", "offset": "42", "lag": "1"}
    }


def test_our_own_commands_are_not_the_databases_work() -> None:
    delta = Delta.between(sample(0, own_commands=3), sample(10, own_commands=8, total_commands_processed="1105"))
    assert delta is not None
    assert delta.commands_per_second == 10


@pytest.mark.parametrize(
    "changed",
    [{"run_id": "r2"}, {"total_commands_processed": "999"}, {"keyspace_hits": "0", "total_commands_processed": "5000"}],
)
def test_no_delta_across_a_restart_or_reset(changed: dict[str, Any]) -> None:
    assert Delta.between(sample(0), sample(10, **changed)) is None
    assert Delta.between(None, sample(10)) is None
    assert Delta.between(unreachable(), sample(10)) is None
    assert Delta.between(sample(10), sample(10)) is None


def test_first_error_of_its_kind_counts_and_an_old_server_reports_none() -> None:
    delta = Delta.between(sample(0), sample(10, errorstat_OOM="count=4"))
    assert delta is not None
    assert (delta.errors("OOM"), delta.errors("MISCONF")) == (4, 0)
    old = Delta(Info({}), Info({}), 10, 0)
    assert old.errors("OOM") is None


@pytest.mark.parametrize(("hits", "misses", "ratio"), [("900", "100", None), ("903", "101", 0.75), ("900", "150", 0.0)])
def test_hit_ratio_is_that_of_the_window(hits: str, misses: str, ratio: float | None) -> None:
    delta = Delta.between(sample(0), sample(10, keyspace_hits=hits, keyspace_misses=misses))
    assert delta is not None
    assert delta.hit_ratio == ratio


def test_mean_duration_is_that_of_applications() -> None:
    before = sample(0, cmdstat_get="calls=10,usec=100", cmdstat_info="calls=5,usec=900000")
    now = sample(
        10, cmdstat_get="calls=14,usec=300", cmdstat_info="calls=9,usec=9900000", cmdstat_set="calls=1,usec=100"
    )
    delta = Delta.between(before, now)
    assert delta is not None
    assert delta.command_s == pytest.approx(300 / 5 / 1e6)


def test_percentiles_are_those_of_the_window_and_leave_observers_out() -> None:
    before = {"get": {1: 1_000_000, 1024: 10}}
    now = {"get": {1: 1_000_000, 1024: 60, 2048: 50}, "info": {524_288: 10_000}, "latency|histogram": {65_536: 9}}
    p50_s, p99_s = percentiles_s(before, now, 0.5, 0.99)
    assert p50_s == pytest.approx(1024e-6)
    assert p99_s == pytest.approx((1024 + 1024 * 0.98) * 1e-6)
    assert percentiles_s(now, now, 0.5) == percentiles_s(None, now, 0.5) == percentiles_s(now, before, 0.5) == [None]


def test_cumulative_buckets_become_counts() -> None:
    answer = [b"get", [b"calls", 10, b"histogram_usec", [1, 4, 2, 9, 8, 10]], b"set", [b"calls", 0]]
    assert histograms(answer) == {"get": {1: 4, 2: 5, 8: 1}, "set": {}}


@pytest.mark.parametrize(
    ("fields", "limit", "ratio", "hard_ratio"),
    [
        ({}, None, 0.5, 0.5),
        ({"mem_not_counted_for_evict": str(10 * MIB)}, None, 0.4, 0.4),  # what replicas are served from
        ({"maxmemory": "0"}, None, None, None),  # the host's memory is no ceiling
        ({"maxmemory": "0"}, 80 * MIB, 0.75, 0.75),  # what is resident counts against the container
        ({"maxmemory_policy": "allkeys-lru"}, None, 0.5, None),  # a cache is full by design
        ({"maxmemory_policy": "allkeys-lru"}, 64 * MIB, 60 / 64, 60 / 64),  # killed before it ever evicts
        ({"maxmemory": "0", "maxmemory_policy": "allkeys-lru"}, 80 * MIB, 0.75, 0.75),  # no maxmemory, no eviction
        ({"role": "slave", "maxmemory": str(20 * MIB)}, None, 2.5, None),  # a replica does as its master does
        ({"role": "slave", "maxmemory": str(100 * MIB)}, 80 * MIB, 0.75, 0.75),  # but for the kernel
    ],
)
def test_ceiling_is_the_one_that_is_reached_first(
    fields: dict[str, Any], limit: int | None, ratio: float | None, hard_ratio: float | None
) -> None:
    full = fill(sample(limit=limit, **fields))
    assert full.ratio == pytest.approx(ratio)
    assert full.hard_ratio == pytest.approx(hard_ratio)


@pytest.mark.parametrize(
    ("fields", "phase", "cause"),
    [
        ({}, "healthy", ""),
        ({"loading": "1"}, "starting", "loading"),
        ({"role": "slave", "master_link_status": "up"}, "healthy", ""),
        ({"role": "slave", "master_link_status": "down"}, "degraded", "replication link down"),
        (
            {"role": "slave", "master_link_status": "down", "master_sync_in_progress": "1"},
            "degraded",
            "replica synchronising",
        ),
        ({"rdb_last_bgsave_status": "err"}, "degraded", "snapshot failed"),
        ({"aof_enabled": "1", "aof_last_write_status": "err"}, "degraded", "append-only file failed"),
        ({"aof_enabled": "0", "aof_last_write_status": "err"}, "healthy", ""),  # it is off since
        ({"used_memory": str(100 * MIB)}, "overloaded", "memory full"),
        ({"used_memory": str(100 * MIB), "maxmemory_policy": "allkeys-lfu"}, "healthy", ""),
        ({"connected_clients": "98", "connected_slaves": "2"}, "overloaded", "saturated"),
        ({"rdb_last_bgsave_status": "err", "connected_clients": "100"}, "overloaded", "saturated"),
        ({"redis_mode": "sentinel", "master0": "name=a,status=ok,address=h:1"}, "healthy", ""),
        ({"redis_mode": "sentinel", "master0": "name=a,status=odown,address=h:1"}, "degraded", "watched master down"),
    ],
)
def test_phase_and_cause_of_each_problem(fields: dict[str, Any], phase: str, cause: str) -> None:
    found = state.worst(state.states(sample(**fields), None))
    assert (found.phase, found.cause) == (phase, cause)


@pytest.mark.parametrize(
    ("fields", "down_s"),
    [
        ({"master_link_down_since_seconds": "7"}, 7.0),
        ({"master_link_down_since_seconds": "-1"}, 100.0),  # since its start
        ({"master_link_down_since_seconds": "-1", "master_sync_in_progress": "1"}, None),
    ],
)
def test_replica_that_never_found_its_master_has_been_without_it_since_its_start(
    fields: dict[str, Any], down_s: float | None
) -> None:
    _, pulse, _ = observed(sample(role="slave", master_link_status="down", **fields))
    assert pulse.replication.get("master_link_down_s") == down_s


@pytest.mark.parametrize(
    ("before", "now", "count"),
    [
        ([7, 6], [9, 8, 7], 2.0),
        ([7], [200, 199], 193.0),  # more than the log holds
        ([], [501, 500], 2.0),  # SLOWLOG RESET forgets the entries, and goes on to count
        ([7], [], 0.0),
    ],
)
def test_slow_commands_are_counted_by_their_ids(before: list[int], now: list[int], count: float) -> None:
    logs = [tuple(SlowCommand(each, 0.02) for each in ids) for ids in (before, now)]
    first, second = (structs.replace(sample(at_s), slow=log) for at_s, log in zip((0.0, 10.0), logs, strict=True))
    assert observed(second, first)[1].custom["redis_slow_commands"] == count


def test_fragmentation_of_a_small_server_is_not_published() -> None:
    fields: dict[str, Any] = {"mem_fragmentation_ratio": "13.8", "allocator_frag_ratio": "1.2"}
    pulses = [observed(sample(used_memory=str(size * MIB), **fields))[1] for size in (50, 300)]
    assert [pulse.memory.fragmentation for pulse in pulses if pulse.memory is not None] == [None, 1.2]


def test_start_time_computed_from_the_uptime_stays_the_same() -> None:
    first, _, facts = observed(sample())
    later, _, _ = observed(sample(uptime_in_seconds="109", server_time_usec="1767225609600000"), published=facts)
    assert first.created_at is not None
    assert encode(later) == encode(first)


def test_failed_poll_keeps_what_is_published_and_a_second_one_changes_the_status() -> None:
    seen, _, facts = observed(sample())
    once, pulse, _ = observed(unreachable(), sample(), facts)
    assert encode(once) == encode(seen)
    assert (pulse.phase, pulse.cause, pulse.uid) == ("failing", "frozen", "r1")
    twice, _, _ = observed(unreachable(), unreachable(), facts)
    assert (twice.status, twice.reason, twice.uid) == ("failed", "frozen", "r1")
    assert twice.attributes == seen.attributes


@pytest.mark.parametrize(
    ("cause", "phase", "up", "status"),
    [
        ("refused", "failing", 0.0, "failed"),
        ("saturated", "overloaded", 1.0, "running"),
        ("starting", "starting", None, "pending"),
        ("wrong credentials", "degraded", None, "unknown"),
    ],
)
def test_unreachable_is_not_healthy_and_full_is_not_down(cause: str, phase: str, up: float | None, status: str) -> None:
    entity, pulse, _ = observed(unreachable(cause, phase), unreachable(cause, phase))
    assert pulse.custom.get("redis_up") == up
    assert entity.status == status
    assert pulse.performance == {}


def test_restart_and_role_change_are_found_without_a_previous_poll() -> None:
    _, _, facts = observed(sample())
    _, _, after = observed(sample(run_id="r2", role="slave", master_link_status="up", master_replid="m"), None, facts)
    assert [each.reason for each in after.events] == ["Restarted", "RoleChanged"]
    _, _, again = observed(sample(run_id="r2", role="slave", master_link_status="up", master_replid="m"), None, after)
    assert not again.events


def test_event_has_the_same_id_from_every_collector() -> None:
    _, _, facts = observed(sample(role="slave", master_link_status="up", slave_repl_offset="42"))
    lost = sample(role="slave", master_link_status="down", slave_repl_offset="42")
    ids = [observed(lost, None, facts)[2].events[0].id for _ in range(2)]
    assert ids[0] == ids[1]


def test_cluster_nodes_of_every_shape_are_read() -> None:
    text = (
        b"a1 10.0.0.1:6379@16379 myself,master - 0 0 1 connected 0-5460 [5461->-b2]\n"
        b"b2 10.0.0.2:6379@16379,node-b,shard-id=x master - 0 0 2 connected 5461-10922 16000\n"
        b"c3 [::1]:6379@16379 slave,fail a1 0 0 1 disconnected\n"
        b"d4 :0@0 master,noaddr - 0 0 3 disconnected\nshort line\n"
    )
    assert nodes(text) == (
        ClusterNode("a1", "10.0.0.1:6379", ("myself", "master"), "", 5461),
        ClusterNode("b2", "node-b:6379", ("master",), "", 5463),
        ClusterNode("c3", "[::1]:6379", ("slave", "fail"), "a1", 0),
        ClusterNode("d4", "", ("master", "noaddr"), "", 0),
    )


def test_peers_that_could_not_be_read_stay() -> None:
    peers = (ClusterNode("a1", "h1:6379", ("myself", "master")), ClusterNode("b2", "h2:6379", ("master",)))
    fields = {"cluster_enabled": "1", "redis_mode": "cluster"}
    with_nodes = RedisSample(at=AT, address="h1:6379", info=Info({**FIELDS, **fields}), nodes=peers)
    seen, _, facts = observed(with_nodes)
    assert "h2:6379" in {each.peer for each in seen.connections}
    again, _, _ = observed(RedisSample(at=AT, address="h1:6379", info=Info({**FIELDS, **fields})), None, facts)
    assert encode(again) == encode(seen)


def test_database_is_found_where_its_service_is() -> None:
    entity, _, _ = observed(sample())
    graph = Graph()
    service = Ref("c1", "service", "redis", "shop")
    graph.put(entity)
    graph.put(Entity(ref=service, source="k8s", addresses=["redis.shop:6379"]))
    (runs_on,) = [each for each in entity.connections if each.kind == "runs_on"]
    assert graph.resolve(runs_on, entity.ref) == service


def test_replica_depends_on_the_master_that_is_watched_too() -> None:
    replica, _, _ = observed(sample(role="slave", master_host="10.0.0.9", master_port="6379", master_link_status="up"))
    (depends,) = [each for each in replica.connections if each.kind == "depends"]
    graph = Graph()
    master = Ref("c1", "database", "main", "shop")
    graph.put(Entity(ref=master, source="db", addresses=["10.0.0.9:6379"]))
    assert graph.resolve(depends, replica.ref) == master


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tls_ca_file": "ca.pem"}, "expected tls: verify-full"),
        (
            {"tls": "require", "tls_cert_file": "c.pem"},
            "tls_cert_file and tls_key_file together, found only tls_cert_file",
        ),
        ({"tls_cert_file": "c.pem", "tls_key_file": "k.pem"}, "expected tls: require or verify-full"),
        ({"user": "watcher"}, "expected a password beside user"),
    ],
)
def test_settings_without_effect_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RedisTarget(**settings)


def test_address_of_a_target_is_host_and_port() -> None:
    assert RedisTarget(host="redis.shop").address == "redis.shop:6379"
    assert RedisTarget(host="::1", user="x", password=Secret("y")).address == "[::1]:6379"
