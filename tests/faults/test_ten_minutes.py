"""Each collector through ten minutes without NATS, by a clock that is hurried: nothing is lost, reordered or twice."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import nats
import pytest

from kgents_collector_db.app import SERVICE as DB
from kgents_collector_db.config import Config as DbConfig
from kgents_collector_db.targets.pgbouncer import PgbouncerTarget
from kgents_collector_db.targets.postgres import PostgresTarget
from kgents_collector_db.targets.qdrant import QdrantTarget
from kgents_collector_docker.app import SERVICE as DOCKER
from kgents_collector_docker.config import Config as DockerConfig
from kgents_collector_k8s.app import SERVICE as K8S
from kgents_collector_k8s.config import Config as K8sConfig
from kgents_collector_nats.app import SERVICE as NATS
from kgents_collector_nats.config import Config as NatsConfig
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import Secret
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.publish import MESSAGE_ID
from kgents_shared.contract.codec import ENTITY, PULSE
from kgents_shared.runtime.service import Service
from support import kube_objects
from support.clock import HurriedClock
from support.docker_engine import NoEngineError, docker_engine
from support.in_process import run_in_process, until_in_sync
from support.kube_api import KubeApi
from support.nats_server import NatsServer
from support.pgbouncer_server import PgbouncerServer
from support.postgres_server import PASSWORD, PostgresServer
from support.qdrant_stub import QdrantStub
from support.redis_server import RedisServer
from support.streams import stored
from support.waiting import eventually

pytestmark = pytest.mark.timeout(240)
OUTAGE_S = 600.0
TIMES = 60.0
AGAIN = "again"
"""The name of what is made while NATS is away."""


class World(msgspec.Struct):
    """A collector, and what it observes."""

    service: Service[Any]
    config: Any
    samples: int
    """Of each of its entities in ten minutes, at least."""
    sampled: int
    """How many of its entities are sampled."""
    change: Callable[[], Awaitable[None]]
    """What is there then is published as an entity called `AGAIN`, or as one of that status."""
    events: int
    """Which that is reported by, at least."""


@asynccontextmanager
async def observed_nats(directory: Path) -> AsyncIterator[World]:
    async with NatsServer(directory / "observed") as observed:

        async def change() -> None:
            client = await nats.connect(observed.url)
            await client.jetstream().add_stream(name=AGAIN, subjects=["orders"])
            await client.close()

        config = NatsConfig(monitor_urls=[observed.monitor_url])
        yield World(NATS, config, int(OUTAGE_S / config.poll_interval_s), 1, change, 0)


@asynccontextmanager
async def observed_redis(directory: Path) -> AsyncIterator[World]:
    async with RedisServer(directory / "redis") as server:

        async def change() -> None:
            server.kill()
            await server.start()

        config = msgspec.convert({"redis": {AGAIN: {"port": server.port, "breaker_pause_s": 10}}}, DbConfig)
        yield World(DB, config, int(OUTAGE_S / (1.1 * config.redis[AGAIN].interval_s)), 1, change, 1)


@asynccontextmanager
async def observed_databases(directory: Path) -> AsyncIterator[World]:
    """One of each other kind, in one collector as they would be: PostgreSQL, PgBouncer before it, Qdrant."""
    async with (
        PostgresServer(directory / "pg") as postgres,
        PgbouncerServer(directory / "bouncer", postgres) as pooler,
        QdrantStub() as qdrant,
    ):

        async def change() -> None:
            pooler.kill()
            await qdrant.stop()
            await postgres.stop()
            await postgres.start()
            await pooler.start()
            await qdrant.start()

        password = directory / "password"
        password.write_text(PASSWORD)
        login: dict[str, Any] = {"password": Secret(password), "breaker_pause_s": 10}
        config = DbConfig(
            postgres={AGAIN: PostgresTarget(port=postgres.port, **login)},
            pgbouncer={"pooler": PgbouncerTarget(port=pooler.port, **login)},
            qdrant={"vectors": QdrantTarget(url=qdrant.url, breaker_pause_s=10)},
        )
        samples = int(OUTAGE_S / (1.1 * config.postgres[AGAIN].interval_s))
        yield World(DB, config, samples, 3, change, 2)  # PgBouncer does not say when it began: only a poll sees it away


@asynccontextmanager
async def observed_engine(_: Path) -> AsyncIterator[World]:
    try:
        engine = docker_engine()
    except NoEngineError as error:
        pytest.skip(str(error))
    async with engine.api() as api:
        await engine.clear()
        await api.run("web")

        async def change() -> None:
            await api.run(AGAIN)

        config = msgspec.convert({"engines": [{"url": engine.url}]}, DockerConfig)
        yield World(DOCKER, config, int(OUTAGE_S / config.poll_interval_s), 3, change, 1)
        await engine.clear()


@asynccontextmanager
async def observed_cluster(directory: Path) -> AsyncIterator[World]:
    async with KubeApi() as api:
        api.create(kube_objects.namespace("shop"))
        node = api.create(kube_objects.node("node-1"))
        for content in kube_objects.deployment("cart", "shop", replicas=3):
            api.create(content)
        config = K8sConfig(kubeconfig=str(api.kubeconfig(directory / "kubeconfig")))

        async def change() -> None:
            api.create(kube_objects.pod(AGAIN, "shop"))
            for number in range(20):
                api.create(kube_objects.event(node, "NodeReady", f"it is ready for the time number {number}"))

        api.set_metrics("pods", [kube_objects.pod_metrics(each) for each in api.objects("pods")])
        api.set_metrics("nodes", [kube_objects.node_metrics(node)])
        yield World(K8S, config, int(OUTAGE_S / config.metrics_interval_s), 4, change, 20)


OBSERVED = [observed_nats, observed_redis, observed_databases, observed_engine, observed_cluster]


@pytest.mark.parametrize("observed", OBSERVED)
async def test_a_collector_loses_nothing_in_ten_minutes_without_nats(
    observed: Callable[[Path], AbstractAsyncContextManager[World]], server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    clock = HurriedClock(TIMES)
    async with (
        observed(tmp_path) as world,
        run_in_process(world.service, world.config, bus, tmp_path, clock=clock) as context,
    ):
        await until_in_sync(context)
        await eventually(lambda: context.log.published > 0)
        server.kill()
        began_s = clock.monotonic_s()
        await world.change()
        await eventually(lambda: clock.monotonic_s() - began_s >= OUTAGE_S, within_s=2 * OUTAGE_S / TIMES)
        volume = world.samples * world.sampled + world.events
        await eventually(lambda: context.log.spilled >= volume, within_s=120)  # a Docker engine measures once a second
        await server.start()
        await eventually(lambda: not context.log.spilled)

        async def has_converged() -> bool:
            entities = [ENTITY.decode(each.payload) for each in await stored(bus, "KGENTS_ENTITY")]
            return any(each.ref.name == AGAIN and each.status == "running" for each in entities)

        await eventually(has_converged)

    pulses, events = [[*await stored(bus, each)] for each in ("KGENTS_PULSE", "KGENTS_EVENT")]
    numbers = [[number(each) for each in log] for log in (pulses, events)]
    assert numbers == [sorted(each) for each in numbers]
    assert sorted(numbers[0] + numbers[1]) == list(range(1, len(pulses) + len(events) + 1))

    waited = [PULSE.decode(each.payload) for each in pulses if each.delay_s]
    times = {ref: [each.timestamp for each in waited if each.ref == ref] for ref in {each.ref for each in waited}}
    assert all(each == sorted(each) for each in times.values())
    assert len(times) >= world.sampled
    delayed = [each for each in events if each.delay_s]
    assert len(delayed) >= world.events
    assert (
        len(waited) + len(delayed) >= 0.8 * volume
    )  # of each entity fewer, where polls take longer than their interval


def number(message: Delivery) -> int:
    """Its place among all that the collector has published."""
    return int((message.headers or {})[MESSAGE_ID].rpartition(":")[2])
