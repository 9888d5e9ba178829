"""Redis made to suffer: each fault has its phase and cause, its figures, and a verdict of the health-scorer."""

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
from support.db_looks import Look, Looks
from support.ports import free_port
from support.proxy import Proxy
from support.redis_server import VARIANTS, RedisServer
from support.waiting import eventually

CANARY = "canary-§3cret"
MIB = 1024**2


def looks_at(server: RedisServer | None, **more: object) -> Looks:
    place = {} if server is None else {"port": server.port}
    settings: dict[str, object] = {**place, "timeout_s": 1.0, "connect_timeout_s": 1.0, **more}
    return Looks(RedisSource(RedisTarget(**settings), SystemClock()), redis.observe)  # type: ignore[arg-type]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def looks(server: RedisServer) -> AsyncIterator[Looks]:
    async with looks_at(server) as looks:
        yield looks


async def until(looks: Looks, phase: tuple[str, str]) -> Look:
    """Poll until the database is in this phase."""
    found = None

    async def is_in_phase() -> Look | None:
        nonlocal found
        found = await looks.look()
        return found if found.phase == phase else None

    return await eventually(is_in_phase)


async def test_frozen_server_is_told_from_a_dead_one_within_its_deadline(server: RedisServer, looks: Looks) -> None:
    before = await looks.looks(2)
    server.pause()
    first = await looks.look()
    assert first.phase == ("failing", "frozen")
    assert first.sample.poll_s < 1.5
    assert first.entity_bytes == before.entity_bytes  # one look may be a blip
    look = await looks.look()
    assert (look.entity.status, look.entity.reason, look.entity.uid) == ("failed", "frozen", before.entity.uid)
    assert look.pulse.custom["redis_up"] == 0
    assert look.pulse.memory is None
    assert {"KG-330", "KG-001"} <= set(look.checks)
    server.resume()
    after = await looks.looks(2)
    assert after.phase == ("healthy", "")
    assert after.entity_bytes == before.entity_bytes
    assert not after.facts.events


async def test_killed_server_is_refused_and_its_restart_is_another_incarnation(
    server: RedisServer, looks: Looks
) -> None:
    before = await looks.looks(2)
    server.benchmark("-t", "set", "-n", "5000")
    server.kill()
    await looks.look()
    look = await looks.looks(2)
    assert look.phase == ("failing", "refused")
    assert (look.entity.status, look.entity.uid) == ("failed", before.entity.uid)
    assert look.health.level == "critical"
    await server.start()
    after = await looks.look()
    assert after.events == ["Restarted"]
    assert after.event("Restarted").uid == after.entity.uid == server.info()["run_id"] != before.entity.uid
    assert after.entity.status == "running"
    assert after.pulse.performance["ops_per_second"] is None  # nothing to compare with
    assert (await looks.looks(2)).health.level == "healthy"


async def test_quick_restart_between_two_looks_gives_no_nonsense(server: RedisServer, looks: Looks) -> None:
    await looks.look()
    server.benchmark("-t", "set", "-n", "5000")
    await looks.look()
    server.kill()
    await server.start()
    look = await looks.look()  # the connection is lost now
    assert look.phase == ("healthy", "")
    assert look.events == ["Restarted"]
    assert look.pulse.performance["ops_per_second"] is None
    assert (await looks.look()).pulse.performance["ops_per_second"] == 0


async def test_server_that_closes_idle_connections_is_not_down_at_every_other_look(tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis", "timeout 1") as server, looks_at(server) as looks:
        ours = (await looks.look()).sample.own_commands
        await eventually(lambda: "kgents-collector-db" not in server.cli("client", "list"))
        look = await looks.look()
    assert look.phase == ("healthy", "")
    assert look.pulse.performance["ops_per_second"] is not None
    assert look.sample.own_commands > ours


async def test_full_server_that_refuses_writes_is_overloaded(tmp_path: Path) -> None:
    options = ("maxmemory 20mb", "maxmemory-policy noeviction")
    async with RedisServer(tmp_path / "redis", *options) as server, looks_at(server) as looks:
        assert (await looks.look()).phase == ("healthy", "")
        for number in range(2):
            server.benchmark("-t", "set", "-n", "30000", "-d", "1000", "-r", "100000", "-c", "1")
            look = await looks.look()
            assert look.phase == ("overloaded", "memory full"), number
        assert look.pulse.memory is not None
        assert look.pulse.memory.max_mb == 20
        assert look.pulse.memory.utilization == pytest.approx(1, abs=0.05)
        truth = server.info()
        assert float(truth["errorstat_OOM"].removeprefix("count=")) > 0
        assert {"KG-333", "KG-334", "KG-343"} <= set(look.checks)
        assert look.health.level == "critical"
        assert look.entity.status == "running"  # full is not down
        server.cli("flushall")
        assert (await looks.looks(4)).phase == ("healthy", "")


async def test_full_cache_that_evicts_is_healthy(tmp_path: Path) -> None:
    async with (
        RedisServer(tmp_path / "redis", "maxmemory 20mb", "maxmemory-policy allkeys-lru") as server,
        looks_at(server) as looks,
    ):
        await looks.look()
        for _ in range(3):
            server.benchmark("-t", "set", "-n", "40000", "-d", "1000", "-r", "1000000", "-c", "1", "-P", "16")
            look = await looks.look()
            assert look.phase == ("healthy", "")
        assert look.pulse.memory is not None
        assert look.pulse.memory.utilization == pytest.approx(1, abs=0.05)
        assert (look.pulse.custom["redis_evicted_keys_per_second"] or 0) > 0
        assert "redis_memory_hard_ratio" not in look.pulse.custom
        assert look.health.level == "healthy"


async def test_limit_of_the_container_is_a_ceiling_even_where_maxmemory_is_none(server: RedisServer) -> None:
    async with looks_at(server, memory_limit_bytes=30 * MIB) as looks:
        server.fill(10)
        resident_bytes = server.resident_bytes
        assert resident_bytes > 10 * MIB
        # The server takes its resident size ten times a second, so INFO may still tell of before.
        await eventually(lambda: int(server.info()["used_memory_rss"]) == pytest.approx(resident_bytes, rel=0.05))
        look = await looks.look()
    assert look.pulse.memory is not None
    assert look.pulse.memory.max_mb == 30
    assert look.pulse.memory.utilization == pytest.approx(resident_bytes / (30 * MIB), rel=0.1)


async def test_no_ceiling_means_no_ratio(server: RedisServer, looks: Looks) -> None:
    server.fill(10)
    look = await looks.look()
    assert look.pulse.memory is not None
    assert (look.pulse.memory.max_mb, look.pulse.memory.utilization) == (None, None)
    assert (look.pulse.memory.used_mb or 0) > 10
    assert look.pulse.memory.fragmentation is None  # of 10 MB it would say nothing


async def test_reset_of_the_statistics_gives_no_nonsense_and_is_told(server: RedisServer, looks: Looks) -> None:
    server.benchmark("-t", "set,get", "-n", "5000")
    await looks.look()
    server.cli("config", "resetstat")
    look = await looks.look()
    assert look.events == ["StatisticsReset"]
    assert look.phase == ("healthy", "")
    assert look.pulse.performance["ops_per_second"] is None
    assert look.pulse.performance["hit_rate"] is None
    assert (await looks.look()).pulse.performance["ops_per_second"] == 0


async def test_save_that_fails_is_degraded_and_told_once(tmp_path: Path) -> None:
    async with (
        RedisServer(tmp_path / "redis", "save 900 1", "enable-protected-configs yes") as server,
        looks_at(server) as looks,
    ):
        await looks.look()
        # Root may write anywhere; but not into a file whose name is a folder.
        (server.directory / "folder.rdb").mkdir()
        server.cli("config", "set", "dbfilename", "folder.rdb")
        server.cli("set", "x", "1")
        server.cli("bgsave")
        look = await until(looks, ("degraded", "snapshot failed"))
        assert look.events == ["SnapshotFailed"]
        assert look.pulse.custom["redis_rdb_last_save_ok"] == 0
        assert look.entity.reason == "snapshot failed"
        assert "KG-337" in look.checks
        assert not (await looks.look()).facts.events
        server.cli("config", "set", "dbfilename", "good.rdb")
        server.cli("bgsave")
        await until(looks, ("healthy", ""))
        assert (await looks.look()).pulse.custom["redis_rdb_last_save_ok"] == 1


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
            late = looks_at(server, password=Secret(password) if password else None)
            async with late:
                look = await late.looks(2)
                assert look.phase == ("overloaded", "saturated")
                assert look.entity.status == "running"
                assert look.pulse.custom["redis_up"] == 1
                assert look.health.level == "critical"
                await crowd.pop().aclose()

                async def counts_clients() -> Look | None:
                    look = await late.look()
                    return look if "redis_clients_ratio" in look.pulse.custom else None

                look = await eventually(counts_clients)  # our own connection takes the last place, once it is free
                assert look.phase == ("overloaded", "saturated")
                assert look.pulse.custom["redis_clients_ratio"] == 1
                assert look.pulse.pool is not None
                assert (look.pulse.pool.active, look.pulse.pool.max) == (5, 5)
        finally:
            for each in crowd:
                await each.aclose()


async def test_steady_connection_sees_clients_being_turned_away(tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis", "maxclients 5") as server, looks_at(server) as looks:
        await looks.look()
        crowd = [Redis(port=server.port, single_connection_client=True) for _ in range(4)]
        for each in crowd:
            await each.ping()
        for _ in range(2):
            assert "max number of clients" in server.cli("ping")
            look = await looks.look()
        assert look.phase == ("overloaded", "saturated")
        assert look.pulse.custom["redis_rejected_connections"] == 1
        assert {"KG-331", "KG-332", "KG-343"} <= set(look.checks)
        for each in crowd:
            await each.aclose()


async def test_loading_server_is_starting(tmp_path: Path) -> None:
    slowly = ("key-load-delay 100", "loading-process-events-interval-bytes 4096")
    async with RedisServer(tmp_path / "redis", *slowly) as server:
        server.fill(50)
        server.cli("save")
        server.kill()
        async with looks_at(server) as looks:
            await server.start(expected=b"-LOADING")
            look = await looks.looks(2)
            assert look.phase == ("starting", "loading")
            assert look.entity.status == "pending"
            assert look.pulse.custom["redis_loading_ratio"] is not None
            assert look.health.level != "critical"  # KG-004 tells when it takes too long
            server.cli("config", "set", "key-load-delay", "0")
            await until(looks, ("healthy", ""))


@pytest.mark.parametrize("given", [Secret("wrong"), None])
async def test_wrong_password_is_not_known_and_never_down(given: Secret | None, tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis", password=CANARY) as server, looks_at(server, password=given) as looks:
        look = await looks.looks(3)
    assert look.phase == ("degraded", "wrong credentials")
    assert (look.entity.status, look.entity.reason) == ("unknown", "wrong credentials")
    assert "redis_up" not in look.pulse.custom
    assert look.health.level == "unknown"
    assert CANARY.encode() not in looks.said


async def test_password_where_none_is_asked_for_is_wrong_credentials(server: RedisServer) -> None:
    async with looks_at(server, user="ghost", password=Secret("pw")) as looks:
        assert (await looks.look()).phase == ("degraded", "wrong credentials")


async def test_user_without_rights_is_a_missing_privilege(tmp_path: Path) -> None:
    async with (
        RedisServer(tmp_path / "redis", "user watcher on >pw -@all") as server,
        looks_at(server, user="watcher", password=Secret("pw")) as looks,
    ):
        look = await looks.looks(2)
    assert look.phase == ("degraded", "missing privilege")
    assert look.sample.unreachable.text.endswith("grant +info.")
    assert look.health.level == "unknown"


async def test_script_that_blocks_everybody_is_overload(tmp_path: Path) -> None:
    async with RedisServer(tmp_path / "redis", "busy-reply-threshold 50") as server:
        looks = looks_at(server, timeout_s=3.0)
        async with looks, Redis(port=server.port) as client:
            await looks.look()
            loop = asyncio.ensure_future(client.eval("while true do end", 0))
            look = await until(looks, ("overloaded", "busy script"))
            assert look.pulse.custom["redis_up"] == 1
            server.cli("script", "kill")
            with pytest.raises(Exception, match="killed"):
                await loop
            await until(looks, ("healthy", ""))


async def test_cut_replication_is_told_by_the_replica_and_the_lag_is_not_zero(tmp_path: Path) -> None:
    async with (
        RedisServer(tmp_path / "master", "repl-diskless-sync-delay 0", "repl-ping-replica-period 1") as master,
        Proxy(master.port) as proxy,
        RedisServer(tmp_path / "replica", "repl-timeout 2") as replica,
    ):
        masters, replicas = looks_at(master), looks_at(replica)
        async with masters, replicas:
            await masters.look()
            assert (await replicas.look()).entity.attributes["kgents.redis.role"] == "master"
            replica.cli("replicaof", "127.0.0.1", proxy.url.rsplit(":", 1)[1])
            look = await until(replicas, ("healthy", ""))
            while look.entity.attributes.get("kgents.redis.replication.link") != "up":
                look = await replicas.look()
            assert "RoleChanged" in _said_events(replicas)
            assert proxy.url.removeprefix("nats://") in {each.peer for each in look.entity.connections}
            await eventually(lambda: "state=online" in master.info().get("slave0", ""))
            seen = await masters.look()
            assert seen.pulse.replication["replicas"] == 1
            assert seen.pulse.replication["replicas_not_online"] == 0
            proxy.stall()
            master.fill(2)
            look = await until(replicas, ("degraded", "replication link down"))
            assert look.events == ["ReplicationLinkDown"]
            assert look.pulse.replication["link_up"] == 0
            assert "lag_bytes" not in look.pulse.replication  # nobody here knows how far the master has gone
            down_s = (await replicas.look()).pulse.replication["master_link_down_s"]
            assert down_s is not None
            while "KG-335" not in look.checks:
                look = await replicas.look()
            proxy.flow()
            proxy.cut()
            look = await until(replicas, ("healthy", ""))
            assert look.pulse.replication["link_up"] == 1
            assert "ReplicationLinkUp" in _said_events(replicas)
            replica.cli("replicaof", "no", "one")
            look = await replicas.look()
            assert look.events == ["RoleChanged"]
            assert look.event("RoleChanged").severity == "warning"


async def test_master_counts_the_bytes_by_which_a_frozen_replica_is_behind(tmp_path: Path) -> None:
    async with (
        RedisServer(tmp_path / "master", "repl-diskless-sync-delay 0") as master,
        RedisServer(tmp_path / "replica", f"replicaof 127.0.0.1 {master.port}") as replica,
        looks_at(master) as looks,
    ):
        await eventually(lambda: "state=online" in master.info().get("slave0", ""), within_s=20)
        replica.pause()
        master.fill(2)
        look = await looks.look()
        assert (look.pulse.replication["lag_bytes"] or 0) > 2 * 1000 * 1024
        replica.resume()
        await eventually(lambda: _lag(master) == 0)
        assert ((await looks.look()).pulse.replication["lag_bytes"] or 0) < 1000


async def test_nothing_there_and_unknown_names_are_told_apart() -> None:
    async with looks_at(None, port=free_port()) as looks:
        assert (await looks.look()).phase == ("failing", "refused")
    async with looks_at(None, host="no-such-host.invalid", connect_timeout_s=5.0) as looks:
        look = await looks.looks(2)
    assert look.phase == ("failing", "unreachable")
    assert "DNS" in look.sample.unreachable.text


async def test_something_else_on_the_port_is_unreachable(tmp_path: Path) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" + CANARY.encode())
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        async with looks_at(None, port=port) as looks:
            assert (await looks.look()).phase == ("failing", "unreachable")
    assert CANARY.encode() not in looks.said


def _said_events(looks: Looks) -> list[str]:
    return [each.reason for each in looks.events]


def _lag(master: RedisServer) -> int:
    info = master.info()
    place = dict(part.split("=") for part in info["slave0"].split(","))["offset"]
    return int(info["master_repl_offset"]) - int(place)
