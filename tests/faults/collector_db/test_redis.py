"""Faults of a real Redis: each has its phase, cause and figures, and a check of the health-scorer."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from kgents_collector_db.mapping import redis
from kgents_collector_db.source.redis import RedisSource
from kgents_collector_db.targets.redis import RedisTarget
from kgents_shared.bus.config import Secret
from kgents_shared.runtime.clock import SystemClock
from support.db_polls import Polled, Polls
from support.ports import free_port
from support.proxy import Proxy
from support.redis_server import VARIANTS, RedisServer
from support.waiting import MACHINE, eventually, is_in_time

CANARY = "canary-§3cret"
MIB = 1024**2


def polls_of(server: RedisServer | None, **more: object) -> Polls:
    place = {} if server is None else {"port": server.port}
    settings: dict[str, object] = {
        **place,
        "timeout_s": MACHINE.limit_s(1),
        "connect_timeout_s": MACHINE.limit_s(1),
        **more,
    }
    return Polls(RedisSource(RedisTarget(**settings), SystemClock()), redis.observe)  # type: ignore[arg-type]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def polls(server: RedisServer) -> AsyncIterator[Polls]:
    async with polls_of(server) as polls:
        yield polls


async def until(polls: Polls, phase: tuple[str, str]) -> Polled:
    """Poll until the database is in this phase."""
    found = None

    async def is_in_phase() -> Polled | None:
        nonlocal found
        found = await polls.poll()
        return found if found.phase == phase else None

    return await eventually(is_in_phase)


async def test_frozen_server_is_distinguished_from_a_dead_one_within_its_deadline(
    server: RedisServer, polls: Polls
) -> None:
    before = await polls.repeat(2)
    server.pause()
    first = await polls.poll()
    assert first.phase == ("failing", "frozen")
    assert is_in_time(first.sample.poll_s, 1.5)
    assert first.entity_bytes == before.entity_bytes  # one poll may be a blip
    polled = await polls.poll()
    assert (polled.entity.status, polled.entity.reason, polled.entity.uid) == ("failed", "frozen", before.entity.uid)
    assert polled.pulse.custom["redis_up"] == 0
    assert polled.pulse.memory is None
    assert {"KG-330", "KG-001"} <= set(polled.checks)
    server.resume()
    after = await polls.repeat(2)
    assert after.phase == ("healthy", "")
    assert after.entity_bytes == before.entity_bytes
    assert not after.facts.events


async def test_killed_server_is_refused_and_its_restart_is_another_incarnation(
    server: RedisServer, polls: Polls
) -> None:
    before = await polls.repeat(2)
    server.benchmark("-t", "set", "-n", "5000")
    server.kill()
    await polls.poll()
    polled = await polls.repeat(2)
    assert polled.phase == ("failing", "refused")
    assert (polled.entity.status, polled.entity.uid) == ("failed", before.entity.uid)
    assert polled.health.level == "critical"
    await server.start()
    after = await polls.poll()
    assert after.events == ["Restarted"]
    assert after.event("Restarted").uid == after.entity.uid == server.info()["run_id"] != before.entity.uid
    assert after.entity.status == "running"
    assert after.pulse.performance["ops_per_second"] is None  # no comparable poll
    assert (await polls.repeat(2)).health.level == "healthy"


async def test_quick_restart_between_two_polls_gives_no_false_rates(server: RedisServer, polls: Polls) -> None:
    await polls.poll()
    server.benchmark("-t", "set", "-n", "5000")
    await polls.poll()
    server.kill()
    await server.start()
    polled = await polls.poll()  # the connection is lost now
    assert polled.phase == ("healthy", "")
    assert polled.events == ["Restarted"]
    assert polled.pulse.performance["ops_per_second"] is None
    assert (await polls.poll()).pulse.performance["ops_per_second"] == 0


async def test_server_that_closes_idle_connections_is_not_down_at_every_other_poll(tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis", "timeout 1") as server, polls_of(server) as polls:
        ours = (await polls.poll()).sample.own_commands
        await eventually(lambda: "kgents-collector-db" not in server.cli("client", "list"))
        polled = await polls.poll()
    assert polled.phase == ("healthy", "")
    assert polled.pulse.performance["ops_per_second"] is not None
    assert polled.sample.own_commands > ours


async def test_full_server_that_refuses_writes_is_overloaded(tmp_path: Path) -> None:
    options = ("maxmemory 20mb", "maxmemory-policy noeviction")
    async with RedisServer(tmp_path / "redis", *options) as server, polls_of(server) as polls:
        assert (await polls.poll()).phase == ("healthy", "")
        for number in range(2):
            server.benchmark("-t", "set", "-n", "30000", "-d", "1000", "-r", "100000", "-c", "1")
            polled = await polls.poll()
            assert polled.phase == ("overloaded", "memory full"), number
        assert polled.pulse.memory is not None
        assert polled.pulse.memory.max_mb == 20
        assert polled.pulse.memory.utilization == pytest.approx(1, abs=0.05)
        truth = server.info()
        assert float(truth["errorstat_OOM"].removeprefix("count=")) > 0
        assert {"KG-333", "KG-334"} <= set(polled.checks)
        assert polled.health.level == "critical"
        assert polled.entity.status == "running"  # full is not down
        server.cli("flushall")
        assert (await polls.repeat(4)).phase == ("healthy", "")


async def test_full_cache_that_evicts_is_healthy(tmp_path: Path) -> None:
    async with (
        RedisServer(tmp_path / "redis", "maxmemory 20mb", "maxmemory-policy allkeys-lru") as server,
        polls_of(server) as polls,
    ):
        await polls.poll()
        for _ in range(3):
            server.benchmark("-t", "set", "-n", "40000", "-d", "1000", "-r", "1000000", "-c", "1", "-P", "16")
            polled = await polls.poll()
            assert polled.phase == ("healthy", "")
        assert polled.pulse.memory is not None
        assert polled.pulse.memory.utilization == pytest.approx(1, abs=0.05)
        assert (polled.pulse.custom["redis_evicted_keys_per_second"] or 0) > 0
        assert "redis_memory_hard_ratio" not in polled.pulse.custom
        assert polled.health.level == "healthy"


async def test_limit_of_the_container_is_a_ceiling_even_where_maxmemory_is_none(server: RedisServer) -> None:
    async with polls_of(server, memory_limit_bytes=30 * MIB) as polls:
        server.fill(10)
        resident_bytes = server.resident_bytes
        assert resident_bytes > 10 * MIB
        # The server measures its resident size ten times a second, so INFO may return the previous one.
        await eventually(lambda: int(server.info()["used_memory_rss"]) == pytest.approx(resident_bytes, rel=0.05))
        polled = await polls.poll()
    assert polled.pulse.memory is not None
    assert polled.pulse.memory.max_mb == 30
    assert polled.pulse.memory.utilization == pytest.approx(resident_bytes / (30 * MIB), rel=0.1)


async def test_no_ceiling_means_no_ratio(server: RedisServer, polls: Polls) -> None:
    server.fill(10)
    polled = await polls.poll()
    assert polled.pulse.memory is not None
    assert (polled.pulse.memory.max_mb, polled.pulse.memory.utilization) == (None, None)
    assert (polled.pulse.memory.used_mb or 0) > 10
    assert polled.pulse.memory.fragmentation is None  # not meaningful for 10 MB


async def test_reset_of_the_statistics_gives_no_false_rates_and_is_reported(server: RedisServer, polls: Polls) -> None:
    server.benchmark("-t", "set,get", "-n", "5000")
    await polls.poll()
    server.cli("config", "resetstat")
    polled = await polls.poll()
    assert polled.events == ["StatisticsReset"]
    assert polled.phase == ("healthy", "")
    assert polled.pulse.performance["ops_per_second"] is None
    assert polled.pulse.performance["hit_rate"] is None
    assert (await polls.poll()).pulse.performance["ops_per_second"] == 0


async def test_save_that_fails_is_degraded_and_reported_once(tmp_path: Path) -> None:
    async with (
        RedisServer(tmp_path / "redis", "save 900 1", "enable-protected-configs yes") as server,
        polls_of(server) as polls,
    ):
        await polls.poll()
        # Root may write anywhere; but not into a file whose name is a folder.
        (server.directory / "folder.rdb").mkdir()
        server.cli("config", "set", "dbfilename", "folder.rdb")
        server.cli("set", "x", "1")
        server.cli("bgsave")
        polled = await until(polls, ("degraded", "snapshot failed"))
        assert polled.events == ["SnapshotFailed"]
        assert polled.pulse.custom["redis_rdb_last_save_ok"] == 0
        assert polled.entity.reason == "snapshot failed"
        assert "KG-337" in polled.checks
        assert not (await polls.poll()).facts.events
        server.cli("config", "set", "dbfilename", "good.rdb")
        server.cli("bgsave")
        await until(polls, ("healthy", ""))
        assert (await polls.poll()).pulse.custom["redis_rdb_last_save_ok"] == 1


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("password", ["", "pw"])
async def test_server_without_room_for_clients_is_full_and_not_down(
    variant: str, password: str, tmp_path: Path
) -> None:
    async with RedisServer(tmp_path / "redis", "maxclients 5", variant=variant, password=password) as server:
        crowd = [Redis(port=server.port, password=password or None, single_connection_client=True) for _ in range(5)]
        try:
            for each in crowd:
                await each.ping()
            late = polls_of(server, password=Secret(password) if password else None)
            async with late:
                polled = await late.repeat(2)
                assert polled.phase == ("overloaded", "saturated")
                assert polled.entity.status == "running"
                assert polled.pulse.custom["redis_up"] == 1
                assert polled.health.level == "critical"
                await crowd.pop().aclose()

                async def counts_clients() -> Polled | None:
                    polled = await late.poll()
                    return polled if "redis_clients_ratio" in polled.pulse.custom else None

                polled = await eventually(counts_clients)  # our own connection takes the last place, once it is free
                assert polled.phase == ("overloaded", "saturated")
                assert polled.pulse.custom["redis_clients_ratio"] == 1
                assert polled.pulse.pool is not None
                assert (polled.pulse.pool.active, polled.pulse.pool.max) == (5, 5)
        finally:
            for each in crowd:
                await each.aclose()


async def test_lasting_connection_counts_rejected_clients(tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis", "maxclients 5") as server, polls_of(server) as polls:
        await polls.poll()
        crowd = [Redis(port=server.port, single_connection_client=True) for _ in range(4)]
        for each in crowd:
            await each.ping()
        for _ in range(2):
            assert "max number of clients" in server.cli("ping")
            polled = await polls.poll()
        assert polled.phase == ("overloaded", "saturated")
        assert polled.pulse.custom["redis_rejected_connections"] == 1
        assert {"KG-331", "KG-332"} <= set(polled.checks)
        for each in crowd:
            await each.aclose()


async def test_loading_server_is_starting(tmp_path: Path) -> None:
    slowly = ("key-load-delay 100", "loading-process-events-interval-bytes 4096")
    async with RedisServer(tmp_path / "redis", *slowly) as server:
        server.fill(50)
        server.cli("save")
        server.kill()
        async with polls_of(server) as polls:
            await server.start(expected=b"-LOADING")
            polled = await polls.repeat(2)
            assert polled.phase == ("starting", "loading")
            assert polled.entity.status == "pending"
            assert polled.pulse.custom["redis_loading_ratio"] is not None
            assert polled.health.level != "critical"  # KG-004 is raised if it takes too long
            server.cli("config", "set", "key-load-delay", "0")
            await until(polls, ("healthy", ""))


@pytest.mark.parametrize("given", [Secret("wrong"), None])
async def test_wrong_password_leaves_the_status_unknown_and_never_down(given: Secret | None, tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis", password=CANARY) as server, polls_of(server, password=given) as polls:
        polled = await polls.repeat(3)
    assert polled.phase == ("degraded", "wrong credentials")
    assert (polled.entity.status, polled.entity.reason) == ("unknown", "wrong credentials")
    assert "redis_up" not in polled.pulse.custom
    assert polled.health.level == "unknown"
    assert CANARY.encode() not in polls.published_bytes


async def test_password_where_none_is_asked_for_is_wrong_credentials(server: RedisServer) -> None:
    async with polls_of(server, user="ghost", password=Secret("pw")) as polls:
        assert (await polls.poll()).phase == ("degraded", "wrong credentials")


async def test_user_without_rights_is_a_missing_privilege(tmp_path: Path) -> None:
    async with (
        RedisServer(tmp_path / "redis", "user watcher on >pw -@all") as server,
        polls_of(server, user="watcher", password=Secret("pw")) as polls,
    ):
        polled = await polls.repeat(2)
    assert polled.phase == ("degraded", "missing privilege")
    assert polled.sample.unreachable.text.endswith("+info")
    assert polled.health.level == "unknown"


async def test_script_that_blocks_all_clients_is_overload(tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis", "busy-reply-threshold 50") as server:
        polls = polls_of(server, timeout_s=3.0)
        async with polls, Redis(port=server.port) as client:
            await polls.poll()
            loop = asyncio.ensure_future(client.eval("while true do end", 0))
            polled = await until(polls, ("overloaded", "busy script"))
            assert polled.pulse.custom["redis_up"] == 1
            server.cli("script", "kill")
            with pytest.raises(Exception, match="killed"):
                await loop
            await until(polls, ("healthy", ""))


async def test_cut_replication_is_reported_by_the_replica_and_the_lag_is_not_zero(tmp_path: Path) -> None:
    async with (
        RedisServer(tmp_path / "master", "repl-diskless-sync-delay 0", "repl-ping-replica-period 1") as master,
        Proxy(master.port) as proxy,
        RedisServer(tmp_path / "replica", "repl-timeout 2") as replica,
    ):
        masters, replicas = polls_of(master), polls_of(replica)
        async with masters, replicas:
            await masters.poll()
            assert (await replicas.poll()).entity.attributes["kgents.redis.role"] == "master"
            replica.cli("replicaof", "127.0.0.1", proxy.url.rsplit(":", 1)[1])
            polled = await until(replicas, ("healthy", ""))
            while polled.entity.attributes.get("kgents.redis.replication.link") != "up":
                polled = await replicas.poll()
            assert "RoleChanged" in _reasons(replicas)
            assert proxy.url.removeprefix("nats://") in {each.peer for each in polled.entity.connections}
            await eventually(lambda: "state=online" in master.info().get("slave0", ""))
            seen = await masters.poll()
            assert seen.pulse.replication["replicas"] == 1
            assert seen.pulse.replication["replicas_not_online"] == 0
            proxy.stall()
            master.fill(2)
            polled = await until(replicas, ("degraded", "replication link down"))
            assert polled.events == ["ReplicationLinkDown"]
            assert polled.pulse.replication["link_up"] == 0
            assert "lag_bytes" not in polled.pulse.replication  # the replica does not know the master's offset
            down_s = (await replicas.poll()).pulse.replication["master_link_down_s"]
            assert down_s is not None
            while "KG-335" not in polled.checks:
                polled = await replicas.poll()
            proxy.flow()
            proxy.cut()
            polled = await until(replicas, ("healthy", ""))
            assert polled.pulse.replication["link_up"] == 1
            assert "ReplicationLinkUp" in _reasons(replicas)
            replica.cli("replicaof", "no", "one")
            polled = await replicas.poll()
            assert polled.events == ["RoleChanged"]
            assert polled.event("RoleChanged").severity == "warning"


async def test_master_counts_the_bytes_by_which_a_frozen_replica_is_behind(tmp_path: Path) -> None:
    async with (
        RedisServer(tmp_path / "master", "repl-diskless-sync-delay 0") as master,
        RedisServer(tmp_path / "replica", f"replicaof 127.0.0.1 {master.port}") as replica,
        polls_of(master) as polls,
    ):
        await eventually(lambda: "state=online" in master.info().get("slave0", ""), within_s=20)
        replica.pause()
        master.fill(2)
        polled = await polls.poll()
        assert (polled.pulse.replication["lag_bytes"] or 0) > 2 * 1000 * 1024
        replica.resume()
        await eventually(lambda: _lag(master) == 0)
        assert ((await polls.poll()).pulse.replication["lag_bytes"] or 0) < 1000


async def test_closed_port_and_unknown_name_have_their_causes() -> None:
    async with polls_of(None, port=free_port()) as polls:
        assert (await polls.poll()).phase == ("failing", "refused")
    async with polls_of(None, host="no-such-host.invalid", connect_timeout_s=5.0) as polls:
        polled = await polls.repeat(2)
    assert polled.phase == ("degraded", "unknown name")


async def test_another_server_on_the_port_is_unreadable(tmp_path: Path) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" + CANARY.encode())
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        async with polls_of(None, port=port) as polls:
            assert (await polls.poll()).phase == ("degraded", "unreadable")
    assert CANARY.encode() not in polls.published_bytes


def _reasons(polls: Polls) -> list[str]:
    return [each.reason for each in polls.events]


def _lag(master: RedisServer) -> int:
    info = master.info()
    place = dict(part.split("=") for part in info["slave0"].split(","))["offset"]
    return int(info["master_repl_offset"]) - int(place)
