"""Drills on a real Redis; the README of collector-db has their times."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from redis.asyncio import Redis

from kgents_collector_db.backends import Backends
from kgents_collector_db.targets.redis import RedisTarget
from kgents_shared.runtime.clock import SystemClock
from support.db_polls import Polled, Polls
from support.drills import README, Drill, Expected, nothing, perform
from support.redis_server import RedisServer
from support.waiting import eventually


class Site:
    """Starts servers, and polls them as one collector does."""

    def __init__(self, stack: AsyncExitStack, directory: Path) -> None:
        self._stack = stack
        self._directory = directory
        self._backends = Backends(SystemClock())
        self._count = 0

    async def redis(self, *options: str, variant: str = "redis-7.0") -> RedisServer:
        self._count += 1
        server = RedisServer(self._directory / f"redis-{self._count}", *options, variant=variant)
        return await self._stack.enter_async_context(server)

    async def polls(self, server: RedisServer, name: str = "cache") -> Polls:
        backend = self._backends.of(name, RedisTarget(port=server.port, timeout_s=5.0))
        return await self._stack.enter_async_context(Polls(backend.open(), backend.observe, name=name))

    async def client(self, server: RedisServer) -> Redis:
        return await self._stack.enter_async_context(Redis(port=server.port, single_connection_client=True))

    async def replica(self, master: RedisServer, *options: str) -> RedisServer:
        before = online(master)
        server = await self.redis(f"replicaof 127.0.0.1 {master.port}", *options)
        await eventually(lambda: online(master) > before)
        return server


QUICK: Final = "repl-diskless-sync-delay 0"


def online(master: RedisServer) -> int:
    return sum("state=online" in value for name, value in master.info().items() if name.startswith("slave"))


async def follows(master: RedisServer, count: int) -> None:
    await eventually(lambda: online(master) == count)


async def too_few_replicas(site: Site) -> Drill:
    master = await site.redis(QUICK, "min-replicas-to-write 1")
    replica = await site.replica(master)
    assert master.cli("set", "x", "1").strip() == "OK"

    async def breaks() -> None:
        replica.kill()
        await follows(master, 0)
        assert "NOREPLICAS" in master.cli("set", "x", "1")

    async def repairs() -> None:
        await replica.start()
        await follows(master, 1)

    return Drill(polls=await site.polls(master), breaks=breaks, repairs=repairs)


async def one_of_two_required_replicas(site: Site) -> Drill:
    """INFO has no limit: that writes fail is known by the errors alone."""
    master = await site.redis(QUICK, "min-replicas-to-write 2")
    await site.replica(master)
    other = await site.replica(master)

    async def breaks() -> None:
        other.kill()
        await follows(master, 1)

    async def lasts() -> None:
        assert "NOREPLICAS" in master.cli("set", "x", "1")

    async def repairs() -> None:
        await other.start()
        await follows(master, 2)

    return Drill(polls=await site.polls(master), breaks=breaks, lasts=lasts, repairs=repairs)


async def failing_save(site: Site) -> Drill:
    server = await site.redis("save 900 1", "enable-protected-configs yes")

    async def breaks() -> None:
        (server.directory / "folder.rdb").mkdir()  # root may write anywhere, but not into a folder
        server.cli("config", "set", "dbfilename", "folder.rdb")
        server.cli("set", "x", "1")
        server.cli("bgsave")
        await eventually(lambda: server.info()["rdb_last_bgsave_status"] == "err")

    async def lasts() -> None:
        assert "MISCONF" in server.cli("set", "x", "1")

    async def repairs() -> None:
        server.cli("config", "set", "dbfilename", "good.rdb")
        server.cli("bgsave")
        await eventually(lambda: server.info()["rdb_last_bgsave_status"] == "ok")

    return Drill(polls=await site.polls(server), breaks=breaks, lasts=lasts, repairs=repairs)


async def failing_rewrite(site: Site) -> Drill:
    server = await site.redis("appendonly yes", "auto-aof-rewrite-percentage 0")
    obstacle = server.directory / "appendonlydir" / "appendonly.aof.2.base.rdb"

    async def rewritten(status: str) -> None:
        server.cli("bgrewriteaof")
        await eventually(lambda: server.info()["aof_last_bgrewrite_status"] == status)

    async def breaks() -> None:
        (obstacle / "full").mkdir(parents=True)
        await rewritten("err")

    async def repairs() -> None:
        (obstacle / "full").rmdir()
        obstacle.rmdir()
        await rewritten("ok")

    return Drill(polls=await site.polls(server), breaks=breaks, repairs=repairs)


async def full_memory(site: Site) -> Drill:
    server = await site.redis("maxmemory 20mb", "maxmemory-policy noeviction")

    async def breaks() -> None:
        server.benchmark("-t", "set", "-n", "30000", "-d", "1000", "-r", "100000", "-c", "1")

    async def lasts() -> None:
        refused = server.info().get("errorstat_OOM")
        for number in range(100):
            server.cli("set", f"more-{number}", "x" * 100_000)
            if server.info().get("errorstat_OOM") != refused:
                return

    async def repairs() -> None:
        server.cli("flushall")

    return Drill(polls=await site.polls(server), breaks=breaks, lasts=lasts, repairs=repairs)


async def lost_only_replica(site: Site) -> Drill:
    master = await site.redis(QUICK)
    replica = await site.replica(master)

    async def breaks() -> None:
        replica.kill()
        await follows(master, 0)

    async def repairs() -> None:
        await replica.start()
        await follows(master, 1)

    return Drill(polls=await site.polls(master), breaks=breaks, repairs=repairs)


async def lost_one_of_two_replicas(site: Site) -> Drill:
    master = await site.redis(QUICK)
    await site.replica(master)
    other = await site.replica(master)

    async def breaks() -> None:
        other.kill()
        await follows(master, 1)

    async def repairs() -> None:
        await other.start()
        await follows(master, 2)

    return Drill(polls=await site.polls(master), breaks=breaks, repairs=repairs)


async def cut_link(site: Site) -> Drill:
    master = await site.redis(QUICK)
    replica = await site.replica(master)

    async def breaks() -> None:
        master.kill()
        await eventually(lambda: int(replica.info().get("master_link_down_since_seconds", 0)) >= 1)

    async def repairs() -> None:
        await master.start()
        await eventually(lambda: replica.info()["master_link_status"] == "up")

    return Drill(polls=await site.polls(replica), breaks=breaks, repairs=repairs)


async def writes_to_a_replica(site: Site) -> Drill:
    master = await site.redis(QUICK)
    replica = await site.replica(master)

    async def lasts() -> None:
        assert "READONLY" in replica.cli("set", "x", "1")

    return Drill(polls=await site.polls(replica), breaks=nothing, lasts=lasts, repairs=nothing)


async def split_brain(site: Site) -> Drill:
    old = await site.redis(QUICK)
    new = await site.replica(old)

    async def breaks() -> None:
        new.cli("replicaof", "no", "one")
        await follows(old, 0)

    async def repairs() -> None:
        old.cli("replicaof", "127.0.0.1", str(new.port))
        await follows(new, 1)

    polls, other = await site.polls(old), await site.polls(new, "cache-2")

    async def poll() -> Polled:
        found = await polls.poll()
        await other.poll()  # afterwards: what it finds counts at the next poll, which takes longest
        return found

    return Drill(polls=polls, poll=poll, breaks=breaks, repairs=repairs)


async def failing_commands(site: Site) -> Drill:
    server = await site.redis()
    client = await site.client(server)

    async def lasts() -> None:
        pipeline: Any = client.pipeline(transaction=False)
        for _ in range(30):
            pipeline.set("x", "text")
            pipeline.lpush("x", "1")
        await pipeline.execute(raise_on_error=False)

    return Drill(polls=await site.polls(server), breaks=nothing, lasts=lasts, repairs=nothing)


async def slow_subscriber(site: Site) -> Drill:
    server = await site.redis(
        "maxmemory 40mb", "maxmemory-policy allkeys-lru", "client-output-buffer-limit pubsub 0 0 0"
    )
    subscriber = await asyncio.open_connection("127.0.0.1", server.port)

    async def breaks() -> None:
        subscriber[1].write(b"SUBSCRIBE news\r\n")
        await eventually(lambda: server.cli("publish", "news", "x" * 100_000).strip() == "1")
        subscriber[0]._transport.pause_reading()  # type: ignore[attr-defined]  # it reads no more

        async def is_full() -> bool:
            for _ in range(20):
                server.cli("publish", "news", "x" * 100_000)
            return int(server.info()["mem_clients_normal"]) > 30 * 1024**2

        await eventually(is_full)

    async def repairs() -> None:
        subscriber[1].transport.abort()
        await eventually(lambda: int(server.info()["mem_clients_normal"]) < 1024**2)

    return Drill(polls=await site.polls(server), breaks=breaks, repairs=repairs)


async def disconnected_subscribers(site: Site) -> Drill:
    server = await site.redis("maxmemory-clients 1mb", "client-output-buffer-limit pubsub 0 0 0")
    client = await site.client(server)

    async def lasts() -> None:
        before = int(server.info()["evicted_clients"])
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.write(b"SUBSCRIBE news\r\n")
        await writer.drain()

        async def is_evicted() -> bool:
            await client.publish("news", "x" * 500_000)
            return int(server.info()["evicted_clients"]) > before

        await eventually(is_evicted)
        writer.transport.abort()

    return Drill(polls=await site.polls(server), breaks=nothing, lasts=lasts, repairs=nothing)


async def blocked_clients(site: Site) -> Drill:
    server = await site.redis("maxclients 20")
    clients = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(11)]

    async def breaks() -> None:
        for _, writer in clients:
            writer.write(b"BLPOP queue 0\r\n")
        await eventually(lambda: server.info()["blocked_clients"] == "11")

    async def repairs() -> None:
        for _, writer in clients:
            writer.transport.abort()
        await eventually(lambda: server.info()["blocked_clients"] == "0")

    return Drill(polls=await site.polls(server), breaks=breaks, repairs=repairs)


async def paused(site: Site) -> Drill:
    server = await site.redis(variant="valkey")

    async def breaks() -> None:
        server.cli("client", "pause", "600000", "WRITE")

    async def repairs() -> None:
        server.cli("client", "unpause")

    return Drill(polls=await site.polls(server), breaks=breaks, repairs=repairs)


async def frozen(site: Site) -> Drill:
    server = await site.redis()

    async def breaks() -> None:
        server.pause()

    async def repairs() -> None:
        server.resume()

    return Drill(polls=await site.polls(server), breaks=breaks, repairs=repairs)


async def killed(site: Site) -> Drill:
    server = await site.redis()

    async def breaks() -> None:
        server.kill()

    return Drill(polls=await site.polls(server), breaks=breaks, repairs=server.start)


DRILLS: Final = (
    Expected("it is stopped (SIGSTOP)", frozen, "KG-001", 20, 10),
    Expected("it is killed", killed, "KG-001", 20, 10),
    Expected("its memory is full (`noeviction`), every write gets `OOM`", full_memory, "KG-334", 20, 30),
    Expected("a save fails, every write gets `MISCONF`", failing_save, "KG-337", 10, 10),
    Expected("the same, as its clients see it", failing_save, "KG-381", 20, 30),
    Expected("no replica is left of `min-replicas-to-write 1`: every write fails", too_few_replicas, "KG-380", 20, 30),
    Expected("one replica of `min-replicas-to-write 2` is left", one_of_two_required_replicas, "KG-380", 20, 30),
    Expected("a master lost its only replica", lost_only_replica, "KG-384", 50, 10),
    Expected("a master lost one of two replicas", lost_one_of_two_replicas, "KG-385", 80, 10),
    Expected("a replica lost its master", cut_link, "KG-335", 20, 30),
    Expected("clients write to a replica, and get `READONLY`", writes_to_a_replica, "KG-382", 20, 30),
    Expected("a replica is promoted, and its master still is one", split_brain, "KG-390", 30, 10),
    Expected("half of the commands fail", failing_commands, "KG-383", 20, 10),
    Expected("a rewrite of the append-only file fails", failing_rewrite, "KG-386", 20, 30),
    Expected("a subscriber reads too slowly: its buffer evicts all keys", slow_subscriber, "KG-387", 20, 30),
    Expected("clients are disconnected for their buffers", disconnected_subscribers, "KG-388", 20, 30),
    Expected("most clients wait in a blocking command", blocked_clients, "KG-389", 20, 30),
    Expected("writes are paused (Valkey, Redis from 7.4 on)", paused, "KG-391", 20, 30),
)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(stack, tmp_path)


@pytest.mark.parametrize("expected", DRILLS, ids=lambda each: each.id)
async def test_drill_is_detected_and_cleared_in_time(expected: Expected, site: Site) -> None:
    times = await perform(await expected.set_up(site), expected.check)
    assert times == (expected.detected_s, expected.cleared_s)


@pytest.mark.parametrize("expected", DRILLS, ids=lambda each: each.id)
def test_readme_has_the_times_of_every_drill(expected: Expected) -> None:
    assert expected.line in README.read_text()


async def test_lost_replica_is_an_event_and_a_planned_removal_ends_after_a_day(site: Site) -> None:
    drill = await lost_only_replica(site)
    await drill.next()
    await drill.breaks()
    assert "ReplicaLost" in (await drill.next()).events
    await drill.until("KG-384", is_there=True)
    drill.polls.skip(86_400)
    assert "KG-384" not in (await drill.next()).checks


async def test_master_that_becomes_a_replica_forgets_what_it_lost(site: Site) -> None:
    drill = await lost_only_replica(site)
    other = await site.redis()
    await drill.next()
    await drill.breaks()
    await drill.until("KG-384", is_there=True)
    master = drill.polls.last.address.rsplit(":", 1)[1]
    other.cli("-p", master, "replicaof", "127.0.0.1", str(other.port))
    assert "KG-384" not in (await drill.next()).checks
