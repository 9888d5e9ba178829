"""What real Redis and Valkey servers tell, and what becomes of it, against figures from elsewhere."""

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
from support.db_looks import Looks
from support.ports import free_port
from support.redis_server import VARIANTS, RedisServer, exporter, quoted
from support.waiting import eventually

LEAST = (
    "-@all +info +ping +slowlog|get +latency|latest +latency|histogram +cluster|info +cluster|nodes "
    "+client|setname resetkeys resetchannels"
)
"""The rights that the README asks for."""
NEW = "rotated"
AWKWARD = "p %s\"'\\\r\n\t{}$(x)`ü€🔑=@:/?#[]%00"


def target(server: RedisServer, **more: object) -> RedisTarget:
    return RedisTarget(host="127.0.0.1", port=server.port, timeout_s=1.0, connect_timeout_s=1.0, **more)  # type: ignore[arg-type]


def looks_at(server: RedisServer, **more: object) -> Looks:
    return Looks(RedisSource(target(server, **more), SystemClock()), redis.observe)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def looks(server: RedisServer) -> AsyncIterator[Looks]:
    async with looks_at(server) as looks:
        yield looks


@pytest.mark.parametrize("variant", VARIANTS)
async def test_every_kind_of_server_is_told_apart_and_healthy(variant: str, tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis", "maxmemory 100mb", variant=variant) as server, looks_at(server) as looks:
        await looks.looks(2)
        server.cli("get", "x")
        look = await looks.look()
        truth = server.info()
    assert look.phase == ("healthy", "")
    assert not look.sample.faults
    assert look.health.level == "healthy"
    system = "valkey" if variant == "valkey" else "redis"
    assert look.pulse.backend == look.entity.attributes["db.system.name"] == system
    assert (
        look.entity.attributes["service.version"] == truth["valkey_version" if system == "valkey" else "redis_version"]
    )
    assert look.entity.uid == truth["run_id"]
    assert look.entity.status == "running"
    assert look.pulse.memory is not None
    assert look.pulse.memory.max_mb == 100
    assert look.pulse.custom["redis_up"] == 1
    assert look.pulse.custom["redis_clients_ratio"] == 1 / 10_000
    assert (look.pulse.performance["latency_p99_ms"] is None) == (variant == "redis-6.2")


async def test_idle_server_says_the_same_bytes_and_no_commands(looks: Looks) -> None:
    first = await looks.look()
    for _ in range(3):
        look = await looks.look()
        assert look.entity_bytes == first.entity_bytes
        assert look.pulse.performance["ops_per_second"] == 0
        assert look.pulse.performance["hit_rate"] is None
        assert look.pulse.custom["redis_slow_commands"] == 0
        assert not look.facts.events


async def test_we_leave_no_trace_in_the_errors_and_hold_one_connection(server: RedisServer, looks: Looks) -> None:
    await looks.looks(5)
    truth = server.info()
    assert truth["total_error_replies"] == "0"
    assert truth["connected_clients"] == "2"  # we, and redis-cli
    assert "name=kgents-collector-db" in server.cli("client", "list")


async def test_operations_and_hits_are_those_of_the_window(server: RedisServer, looks: Looks) -> None:
    server.cli("set", "there", "x")
    server.benchmark("-t", "get", "-n", "20000", "-c", "5")  # lifetime: every key of the benchmark is missed
    before = server.info()
    await looks.look()
    for _ in range(3):
        server.cli("get", "there")
    server.cli("get", "gone")
    look = await looks.look()
    after = server.info()
    assert look.pulse.performance["hit_rate"] == 0.75
    assert int(after["keyspace_hits"]) - int(before["keyspace_hits"]) == 3
    assert int(after["keyspace_misses"]) - int(before["keyspace_misses"]) == 1
    assert int(after["keyspace_misses"]) > 20_000  # by its lifetime the ratio would be 0


async def test_counts_agree_with_a_benchmark_of_known_size(server: RedisServer, looks: Looks) -> None:
    first = await looks.look()
    server.benchmark("-t", "set", "-n", "20000", "-c", "5")
    look = await looks.look()
    seconds = look.sample.info_at_s - first.sample.info_at_s
    operations = look.pulse.performance["ops_per_second"]
    assert operations is not None
    # redis-benchmark asks for two settings besides, on a connection or two of its own.
    assert 20_000 <= operations * seconds <= 20_010
    p99_ms, mean_ms = look.pulse.performance["latency_p99_ms"], look.pulse.performance["latency_ms"]
    assert p99_ms is not None
    assert mean_ms is not None
    assert 0 < mean_ms <= p99_ms < 50


async def test_figures_agree_with_the_prometheus_exporter(server: RedisServer, looks: Looks) -> None:
    server.fill(3)
    server.cli("get", "gone")
    async with exporter(server) as url:
        look = await looks.look()
        async with httpx.AsyncClient() as client:
            text = (await client.get(url)).text
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        theirs = {name: float(value) for name, value in lines}
    assert theirs["redis_up"] == 1
    assert look.pulse.custom["redis_keys"] == theirs['redis_db_keys{db="db0"}'] == 3 * 1024
    assert look.pulse.custom["redis_memory_used_bytes"] == pytest.approx(theirs["redis_memory_used_bytes"], rel=0.05)
    assert look.sample.info.number("keyspace_misses") == theirs["redis_keyspace_misses_total"]
    assert look.pulse.pool is not None
    assert look.pulse.pool.max == theirs["redis_config_maxclients"]


async def test_slow_commands_are_counted_and_never_shown(server: RedisServer, looks: Looks) -> None:
    server.cli("config", "set", "slowlog-log-slower-than", "0")
    await looks.look()
    for number in range(40):  # more than we read at once
        server.cli("set", f"canary-key-{number}", "canary-value")
    look = await looks.look()
    count = look.pulse.custom["redis_slow_commands"]
    assert count is not None
    assert count >= 40
    assert (look.pulse.custom["redis_slowest_command_s"] or 0) > 0
    assert b"canary" not in looks.said


async def test_latency_spike_is_news_once(tmp_path: Path) -> None:
    options = ("latency-monitor-threshold 20", "enable-debug-command local")
    async with RedisServer(tmp_path / "redis", *options) as server, looks_at(server) as looks:
        await looks.look()
        server.cli("debug", "sleep", "0.1")
        assert ((await looks.look()).pulse.custom["redis_latency_spike_s"] or 0) >= 0.1
        assert "redis_latency_spike_s" not in (await looks.look()).pulse.custom


async def test_pubsub_and_blocked_clients_are_counted(server: RedisServer, looks: Looks) -> None:
    async with Redis(port=server.port) as client, client.pubsub() as listener:
        await listener.subscribe("news", "weather")
        await listener.psubscribe("n*")
        look = await looks.look()
    assert look.pulse.pubsub["channels"] == 2
    assert look.pulse.pubsub["patterns"] == 1
    assert b"weather" not in looks.said


@pytest.mark.parametrize("user", ["", "watcher"])
async def test_awkward_password_works_and_is_never_said(
    user: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    acl = [f"user watcher on {quoted('>' + AWKWARD)} {LEAST}"] if user else []
    async with (
        RedisServer(tmp_path / "redis", *acl, password="" if user else AWKWARD) as server,
        looks_at(server, user=user, password=Secret(AWKWARD)) as looks,
    ):
        look = await looks.looks(2)
    assert look.phase == ("healthy", "")
    assert not look.sample.faults
    assert AWKWARD.encode() not in looks.said
    assert AWKWARD not in caplog.text


async def test_least_rights_give_everything_and_allow_nothing_else(tmp_path: Path) -> None:
    async with (
        RedisServer(tmp_path / "redis", f"user watcher on >pw {LEAST}") as server,
        looks_at(server, user="watcher", password=Secret("pw")) as looks,
    ):
        look = await looks.looks(2)
        assert look.phase == ("healthy", "")
        assert not look.sample.faults
        for command in (
            ["get", "x"],
            ["keys", "*"],
            ["config", "get", "*"],
            ["monitor"],
            ["flushall"],
            ["acl", "list"],
        ):
            assert "NOPERM" in server.cli("--no-auth-warning", "--user", "watcher", "--pass", "pw", *command)


async def test_missing_right_loses_one_section_and_says_which_to_grant(tmp_path: Path) -> None:
    async with (
        RedisServer(tmp_path / "redis", "user watcher on >pw -@all +info +ping") as server,
        looks_at(server, user="watcher", password=Secret("pw")) as looks,
    ):
        look = await looks.looks(2)
    assert look.phase == ("healthy", "")
    assert [fault.rsplit(" ", 1)[-1] for fault in look.sample.faults] == [
        "+slowlog|get",
        "+latency|histogram",
        "+latency|latest",
    ]
    assert look.pulse.performance["latency_p99_ms"] is None
    assert "redis_slow_commands" not in look.pulse.custom


async def test_password_that_is_rotated_in_its_file_is_taken_up(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("old\n")
    async with (
        RedisServer(tmp_path / "redis", password=file.read_text().strip()) as server,
        looks_at(server, password=Secret(file)) as looks,
    ):
        assert (await looks.look()).phase == ("healthy", "")
        server.password = NEW
        server.kill()
        await server.start()
        await looks.look()  # the connection is lost, or the old password is refused
        file.write_text(NEW)
        assert (await looks.look()).phase == ("healthy", "")
        file.unlink()
        server.kill()
        await server.start()
        await looks.look()
        look = await looks.look()
        assert look.phase == ("degraded", "wrong credentials")
        assert "file" in look.sample.unreachable.text


async def test_only_the_right_authority_is_trusted(tmp_path: Path) -> None:
    authority, stranger, port = trustme.CA(), trustme.CA(), free_port()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    for name, each in (("ca", authority), ("stranger", stranger)):
        each.cert_pem.write_to_path(tmp_path / f"{name}.pem")
    options = (f"tls-port {port}", f"tls-cert-file {tmp_path}/cert.pem", f"tls-key-file {tmp_path}/key.pem")
    async with RedisServer(tmp_path / "redis", *options, "tls-auth-clients no", f"tls-ca-cert-file {tmp_path}/ca.pem"):
        for file, phase in (("ca", ("healthy", "")), ("stranger", ("degraded", "tls"))):
            settings = RedisTarget(port=port, tls="verify-full", tls_ca_file=str(tmp_path / f"{file}.pem"))
            async with Looks(RedisSource(settings, SystemClock()), redis.observe) as looks:
                assert (await looks.look()).phase == phase
        async with Looks(RedisSource(RedisTarget(port=port, tls="require"), SystemClock()), redis.observe) as looks:
            assert (await looks.look()).phase == ("healthy", "")


async def test_cluster_is_seen_from_each_node(tmp_path: Path, stack: AsyncExitStack) -> None:
    options = ("cluster-enabled yes", "cluster-node-timeout 500")
    servers = [
        await stack.enter_async_context(RedisServer(tmp_path / f"node{number}", *options)) for number in range(3)
    ]
    looks = looks_at(servers[0])
    await stack.enter_async_context(looks)
    assert (await looks.look()).phase == ("failing", "cluster down")
    servers[0].cli("--cluster", "create", *[server.address for server in servers], "--cluster-yes")
    look = await looks.look()
    while look.phase != ("healthy", ""):
        look = await looks.look()
    assert look.entity.attributes["kgents.redis.mode"] == "cluster"
    assert look.pulse.custom["redis_cluster_slots_assigned"] == 16_384
    assert look.pulse.custom["redis_cluster_known_nodes"] == 3
    peers = {each.peer for each in look.entity.connections if each.kind == "network"}
    assert peers == {server.address for server in servers[1:]}
    assert [node.slots for node in look.sample.nodes if "myself" in node.flags] == [5461]
    servers[1].kill()
    while look.phase == ("healthy", ""):
        look = await looks.look()
    look = await looks.looks(2)
    assert look.phase == ("failing", "cluster down")
    assert {"KG-339", "KG-001"} <= set(look.checks)


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
    looks, replicas = looks_at(sentinel), looks_at(replica)
    await stack.enter_async_context(looks)
    await stack.enter_async_context(replicas)
    look = await looks.look()
    assert look.entity.attributes["kgents.redis.role"] == "sentinel"
    assert look.entity.attributes["kgents.redis.sentinel.masters"] == ["orders"]
    assert master.address in {each.peer for each in look.entity.connections if each.kind == "depends"}
    assert look.pulse.custom["redis_sentinel_masters"] == 1
    await eventually(lambda: "slaves=1" in sentinel.info()["master0"], within_s=20)
    assert (await replicas.look()).entity.attributes["kgents.redis.role"] == "replica"
    master.kill()
    while "FailedOver" not in look.events:
        look = await looks.look()
    assert replica.address in look.event("FailedOver").text
    seen = await replicas.look()
    while seen.entity.attributes["kgents.redis.role"] != "master":
        seen = await replicas.look()
    assert "RoleChanged" in seen.events
    assert "is now master, was replica" in seen.event("RoleChanged").text
