"""What real Redis and Valkey servers return → what is published, compared with figures of other programs."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import trustme
from redis.asyncio import Redis

from kgents_collector_db.mapping import redis
from kgents_collector_db.source.redis import RedisSource
from kgents_collector_db.targets.redis import RedisTarget
from kgents_shared.bus.config import Secret
from kgents_shared.runtime.clock import SystemClock
from support.db_polls import Polls
from support.ports import free_port
from support.redis_server import VARIANTS, RedisServer, exporter, quoted
from support.waiting import MACHINE, eventually

LEAST = (
    "-@all +info +ping +slowlog|get +latency|latest +latency|histogram +cluster|info +cluster|nodes "
    "+client|setname resetkeys resetchannels"
)
"""The rights that the README asks for."""
NEW = "rotated"
AWKWARD = "p %s\"'\\\r\n\t{}$(x)`ü€🔑=@:/?#[]%00"


def target(server: RedisServer, **more: object) -> RedisTarget:
    limit_s = MACHINE.limit_s(1)
    return RedisTarget(host="127.0.0.1", port=server.port, timeout_s=limit_s, connect_timeout_s=limit_s, **more)  # type: ignore[arg-type]


def polls_of(server: RedisServer, **more: object) -> Polls:
    return Polls(RedisSource(target(server, **more), SystemClock()), redis.observe)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def polls(server: RedisServer) -> AsyncIterator[Polls]:
    async with polls_of(server) as polls:
        yield polls


@pytest.mark.parametrize("variant", VARIANTS)
async def test_every_kind_of_server_is_recognised_and_healthy(variant: str, tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis", "maxmemory 100mb", variant=variant) as server, polls_of(server) as polls:
        await polls.repeat(2)
        server.cli("get", "x")
        polled = await polls.poll()
        truth = server.info()
    assert polled.phase == ("healthy", "")
    assert not polled.sample.faults
    assert polled.health.level == "healthy"
    system = "valkey" if variant == "valkey" else "redis"
    assert polled.pulse.backend == polled.entity.attributes["db.system.name"] == system
    assert (
        polled.entity.attributes["service.version"]
        == truth["valkey_version" if system == "valkey" else "redis_version"]
    )
    assert polled.entity.uid == truth["run_id"]
    assert polled.entity.status == "running"
    assert polled.pulse.memory is not None
    assert polled.pulse.memory.max_mb == 100
    assert polled.pulse.custom["redis_up"] == 1
    assert polled.pulse.custom["redis_clients_ratio"] == 1 / 10_000
    assert (polled.pulse.performance["latency_p99_ms"] is None) == (variant == "redis-6.2")


async def test_idle_server_gives_the_same_bytes_and_no_commands(polls: Polls) -> None:
    first = await polls.poll()
    for _ in range(3):
        polled = await polls.poll()
        assert polled.entity_bytes == first.entity_bytes
        assert polled.pulse.performance["ops_per_second"] == 0
        assert polled.pulse.performance["hit_rate"] is None
        assert polled.pulse.custom["redis_slow_commands"] == 0
        assert not polled.facts.events


async def test_we_leave_no_trace_in_the_errors_and_hold_one_connection(server: RedisServer, polls: Polls) -> None:
    await polls.repeat(5)
    truth = server.info()
    assert truth["total_error_replies"] == "0"
    assert truth["connected_clients"] == "2"  # we, and redis-cli
    assert "name=kgents-collector-db" in server.cli("client", "list")


async def test_operations_and_hits_are_those_of_the_window(server: RedisServer, polls: Polls) -> None:
    server.cli("set", "there", "x")
    server.benchmark("-t", "get", "-n", "20000", "-c", "5")  # lifetime: every key of the benchmark is missed
    before = server.info()
    await polls.poll()
    for _ in range(3):
        server.cli("get", "there")
    server.cli("get", "gone")
    polled = await polls.poll()
    after = server.info()
    assert polled.pulse.performance["hit_rate"] == 0.75
    assert int(after["keyspace_hits"]) - int(before["keyspace_hits"]) == 3
    assert int(after["keyspace_misses"]) - int(before["keyspace_misses"]) == 1
    assert int(after["keyspace_misses"]) > 20_000  # by its lifetime the ratio would be 0


async def test_counts_agree_with_a_benchmark_of_known_size(server: RedisServer, polls: Polls) -> None:
    first = await polls.poll()
    server.benchmark("-t", "set", "-n", "20000", "-c", "5")
    polled = await polls.poll()
    seconds = polled.sample.info_at_s - first.sample.info_at_s
    operations = polled.pulse.performance["ops_per_second"]
    assert operations is not None
    # redis-benchmark asks for two settings besides, on a connection or two of its own.
    assert 20_000 <= operations * seconds <= 20_010
    p99_ms, mean_ms = polled.pulse.performance["latency_p99_ms"], polled.pulse.performance["latency_ms"]
    assert p99_ms is not None
    assert mean_ms is not None
    assert 0 < mean_ms <= p99_ms < 50


async def test_figures_agree_with_the_prometheus_exporter(server: RedisServer, polls: Polls) -> None:
    server.fill(3)
    server.cli("get", "gone")
    async with exporter(server) as url:
        polled = await polls.poll()
        async with httpx.AsyncClient() as client:
            text = (await client.get(url)).text
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        theirs = {name: float(value) for name, value in lines}
    assert theirs["redis_up"] == 1
    assert polled.pulse.custom["redis_keys"] == theirs['redis_db_keys{db="db0"}'] == 3 * 1024
    assert polled.pulse.custom["redis_memory_used_bytes"] == pytest.approx(theirs["redis_memory_used_bytes"], rel=0.05)
    assert polled.sample.info.number("keyspace_misses") == theirs["redis_keyspace_misses_total"]
    assert polled.pulse.pool is not None
    assert polled.pulse.pool.max == theirs["redis_config_maxclients"]


async def test_slow_commands_are_counted_and_never_shown(server: RedisServer, polls: Polls) -> None:
    server.cli("config", "set", "slowlog-log-slower-than", "0")
    await polls.poll()
    for number in range(40):  # more than we read at once
        server.cli("set", f"canary-key-{number}", "canary-value")
    polled = await polls.poll()
    count = polled.pulse.custom["redis_slow_commands"]
    assert count is not None
    assert count >= 40
    assert (polled.pulse.custom["redis_slowest_command_s"] or 0) > 0
    assert b"canary" not in polls.published_bytes


async def test_latency_spike_is_reported_once(tmp_path: Path) -> None:
    options = ("latency-monitor-threshold 20", "enable-debug-command local")
    async with RedisServer(tmp_path / "redis", *options) as server, polls_of(server) as polls:
        await polls.poll()
        server.cli("debug", "sleep", "0.1")
        assert ((await polls.poll()).pulse.custom["redis_latency_spike_s"] or 0) >= 0.1
        assert "redis_latency_spike_s" not in (await polls.poll()).pulse.custom


async def test_pubsub_and_blocked_clients_are_counted(server: RedisServer, polls: Polls) -> None:
    async with Redis(port=server.port) as client, client.pubsub() as listener:
        await listener.subscribe("news", "weather")
        await listener.psubscribe("n*")
        polled = await polls.poll()
    assert polled.pulse.pubsub["channels"] == 2
    assert polled.pulse.pubsub["patterns"] == 1
    assert b"weather" not in polls.published_bytes


@pytest.mark.parametrize("user", ["", "watcher"])
async def test_awkward_password_works_and_is_never_shown(
    user: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    acl = [f"user watcher on {quoted('>' + AWKWARD)} {LEAST}"] if user else []
    async with (
        RedisServer(tmp_path / "redis", *acl, password="" if user else AWKWARD) as server,
        polls_of(server, user=user, password=Secret(AWKWARD)) as polls,
    ):
        polled = await polls.repeat(2)
    assert polled.phase == ("healthy", "")
    assert not polled.sample.faults
    assert AWKWARD.encode() not in polls.published_bytes
    assert AWKWARD not in caplog.text


async def test_least_rights_give_everything_and_allow_nothing_else(tmp_path: Path) -> None:
    async with (
        RedisServer(tmp_path / "redis", f"user watcher on >pw {LEAST}") as server,
        polls_of(server, user="watcher", password=Secret("pw")) as polls,
    ):
        polled = await polls.repeat(2)
        assert polled.phase == ("healthy", "")
        assert not polled.sample.faults
        for command in (
            ["get", "x"],
            ["keys", "*"],
            ["config", "get", "*"],
            ["monitor"],
            ["flushall"],
            ["acl", "list"],
        ):
            assert "NOPERM" in server.cli("--no-auth-warning", "--user", "watcher", "--pass", "pw", *command)


async def test_missing_right_loses_one_section_and_the_fault_names_it(tmp_path: Path) -> None:
    async with (
        RedisServer(tmp_path / "redis", "user watcher on >pw -@all +info +ping") as server,
        polls_of(server, user="watcher", password=Secret("pw")) as polls,
    ):
        polled = await polls.repeat(2)
    assert polled.phase == ("healthy", "")
    assert [fault.rsplit(" ", 1)[-1] for fault in polled.sample.faults] == [
        "+slowlog|get",
        "+latency|histogram",
        "+latency|latest",
    ]
    assert polled.pulse.performance["latency_p99_ms"] is None
    assert "redis_slow_commands" not in polled.pulse.custom


async def test_password_that_is_rotated_in_its_file_is_taken_up(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("old\n")
    async with (
        RedisServer(tmp_path / "redis", password=file.read_text().strip()) as server,
        polls_of(server, password=Secret(file)) as polls,
    ):
        assert (await polls.poll()).phase == ("healthy", "")
        server.password = NEW
        server.kill()
        await server.start()
        await polls.poll()  # the connection is lost, or the old password is refused
        file.write_text(NEW)
        assert (await polls.poll()).phase == ("healthy", "")
        file.unlink()
        server.kill()
        await server.start()
        await polls.poll()
        polled = await polls.poll()
        assert polled.phase == ("degraded", "wrong credentials")
        assert "file" in polled.sample.unreachable.text


async def test_only_the_right_authority_is_trusted(tmp_path: Path) -> None:
    authority, other, port = trustme.CA(), trustme.CA(), free_port()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    for name, each in (("ca", authority), ("other", other)):
        each.cert_pem.write_to_path(tmp_path / f"{name}.pem")
    options = (f"tls-port {port}", f"tls-cert-file {tmp_path}/cert.pem", f"tls-key-file {tmp_path}/key.pem")
    async with RedisServer(tmp_path / "redis", *options, "tls-auth-clients no", f"tls-ca-cert-file {tmp_path}/ca.pem"):
        for file, phase in (("ca", ("healthy", "")), ("other", ("degraded", "tls"))):
            settings = RedisTarget(port=port, tls="verify-full", tls_ca_file=str(tmp_path / f"{file}.pem"))
            async with Polls(RedisSource(settings, SystemClock()), redis.observe) as polls:
                assert (await polls.poll()).phase == phase
        async with Polls(RedisSource(RedisTarget(port=port, tls="require"), SystemClock()), redis.observe) as polls:
            assert (await polls.poll()).phase == ("healthy", "")


async def test_cluster_is_seen_from_each_node(tmp_path: Path, stack: AsyncExitStack) -> None:
    options = ("cluster-enabled yes", "cluster-node-timeout 500")
    servers = [
        await stack.enter_async_context(RedisServer(tmp_path / f"node{number}", *options)) for number in range(3)
    ]
    polls = polls_of(servers[0])
    await stack.enter_async_context(polls)
    assert (await polls.poll()).phase == ("failing", "cluster down")
    servers[0].cli("--cluster", "create", *[server.address for server in servers], "--cluster-yes")
    polled = await polls.poll()
    while polled.phase != ("healthy", ""):
        polled = await polls.poll()
    assert polled.entity.attributes["kgents.redis.mode"] == "cluster"
    assert polled.pulse.custom["redis_cluster_slots_assigned"] == 16_384
    assert polled.pulse.custom["redis_cluster_known_nodes"] == 3
    peers = {each.peer for each in polled.entity.connections if each.kind == "network"}
    assert peers == {server.address for server in servers[1:]}
    assert [node.slots for node in polled.sample.nodes if "myself" in node.flags] == [5461]
    servers[1].kill()
    while polled.phase == ("healthy", ""):
        polled = await polls.poll()
    polled = await polls.repeat(2)
    assert polled.phase == ("failing", "cluster down")
    assert {"KG-339", "KG-001"} <= set(polled.checks)


async def test_sentinel_shows_what_it_watches_and_a_failover(tmp_path: Path, stack: AsyncExitStack) -> None:
    master = await stack.enter_async_context(RedisServer(tmp_path / "master"))
    replica = await stack.enter_async_context(
        RedisServer(tmp_path / "replica", f"replicaof 127.0.0.1 {master.port}", "repl-diskless-sync-delay 0")
    )
    sentinel = await stack.enter_async_context(
        RedisServer(
            tmp_path / "sentinel",
            f"sentinel monitor orders 127.0.0.1 {master.port} 1",
            "sentinel down-after-milliseconds orders 300",
            "sentinel failover-timeout orders 2000",
            program="redis-sentinel",
        )
    )
    polls, replicas = polls_of(sentinel), polls_of(replica)
    await stack.enter_async_context(polls)
    await stack.enter_async_context(replicas)
    polled = await polls.poll()
    assert polled.entity.attributes["kgents.redis.role"] == "sentinel"
    assert polled.entity.attributes["kgents.redis.sentinel.masters"] == ["orders"]
    assert master.address in {each.peer for each in polled.entity.connections if each.kind == "depends"}
    assert polled.pulse.custom["redis_sentinel_masters"] == 1
    await eventually(lambda: "slaves=1" in sentinel.info()["master0"], within_s=20)
    assert (await replicas.poll()).entity.attributes["kgents.redis.role"] == "replica"
    master.kill()
    while "FailedOver" not in polled.events:
        polled = await polls.poll()
    assert replica.address in polled.event("FailedOver").text
    seen = await replicas.poll()
    while seen.entity.attributes["kgents.redis.role"] != "master":
        seen = await replicas.poll()
    assert "RoleChanged" in seen.events
    assert "is now master, was replica" in seen.event("RoleChanged").text
