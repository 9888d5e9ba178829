"""The guarantees that need more than one service: silence, no ghosts, no deletion by blindness, no secret, calm."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import nats as nats_py
import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig, Secret
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.streams import StreamsConfig, streams
from support.build import make_entity, make_ref
from support.nats_server import NatsServer
from support.service_process import ServiceProcess
from support.streams import provision_streams, stored
from support.truth import Truth, health, heartbeat, in_sync, last_seq, seen, topology
from support.waiting import eventually, settled

pytestmark = pytest.mark.timeout(240)
SERVICES = ("collector-nats", "topology-builder", "health-scorer")
SOURCE = make_ref("nats", kind="source", namespace="")
CANARY = "s3cr3t-canary-7f"


class Pipeline:
    """All three services as processes."""

    def __init__(self, server: NatsServer, directory: Path, **settings: Any) -> None:
        self.processes = {
            name: ServiceProcess(
                name,
                server.url,
                directory,
                collector_nats__monitor_urls=server.monitor_url,
                collector_nats__poll_interval_s="1",
                **settings,
            )
            for name in SERVICES
        }

    async def __aenter__(self) -> "Pipeline":
        for process in self.processes.values():
            process.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.kill()

    async def in_sync(self, bus: Bus) -> None:
        for name in SERVICES:
            await in_sync(bus, name)

    async def restart(self, bus: Bus) -> None:
        """Every service: SIGTERM, start, and wait until the new one is in sync."""
        before = {name: await heartbeat(bus, name) for name in SERVICES}
        for process in self.processes.values():
            assert await process.stop() == 0
        for process in self.processes.values():
            process.start()

        async def all_new() -> bool:
            now = {name: await heartbeat(bus, name) for name in SERVICES}
            return all(
                beat is not None and beat.state == "in_sync" and (old is None or beat.started_at != old.started_at)
                for beat, old in zip(now.values(), before.values(), strict=True)
            )

        await eventually(all_new, within_s=60)


@pytest.fixture
async def pipeline(server: NatsServer, bus: Bus, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with Pipeline(server, tmp_path) as pipeline:
        await pipeline.in_sync(bus)
        yield pipeline


async def quiet(bus: Bus, *names: str, for_s: float = 4) -> dict[str, int]:
    """Wait until nothing is added to these streams for a while; returns their last sequences."""

    async def read() -> dict[str, int]:
        return {name: await last_seq(bus, name) for name in names}

    return await settled(read, for_s)


OUR_CONNECTIONS = ("nats_client", "nats_consumer")
"""What a service that restarts really removes and adds again, if a poll falls in between."""


async def test_restarting_everything_while_nothing_changes_adds_no_entity_and_removes_none(
    bus: Bus, pipeline: Pipeline
) -> None:
    async def known() -> dict[Ref, str]:
        return {ref: entity.uid for ref, entity in (await topology(bus)).items() if not is_of_restarts(ref)}

    async def levels() -> dict[Ref, str]:
        return {ref: row.level for ref, row in (await health(bus)).items() if not is_of_restarts(ref)}

    await quiet(bus, "KGENTS_TOPOLOGY", "KGENTS_HEALTH")
    before = await known(), await levels()
    start = await last_seq(bus, "KGENTS_TOPOLOGY")

    await pipeline.restart(bus)
    await quiet(bus, "KGENTS_TOPOLOGY", "KGENTS_HEALTH")

    assert (await known(), await levels()) == before
    assert [text for text in await messages(bus, "KGENTS_TOPOLOGY", after=start) if not is_ours(text)] == []


def is_of_restarts(ref: Ref) -> bool:
    """Our clients, and the lease that one of them listens to while it waits for it."""
    return ref.kind in OUR_CONNECTIONS or (ref.kind == "nats_subject" and ref.name.endswith(".lease"))


def is_ours(text: str) -> bool:
    return text.startswith(OUR_CONNECTIONS) or (text.startswith("nats_subject kgents.meta.") and ".lease" in text)


async def test_a_stream_deleted_while_its_collector_is_down_is_removed_when_it_is_back(
    bus: Bus, pipeline: Pipeline
) -> None:
    session = await bus.session()
    await session.api("STREAM.CREATE.ORDERS", {"name": "ORDERS", "subjects": ["orders.>"]}, dict)
    orders = make_ref("ORDERS", kind="nats_stream", namespace="")

    async def is_there() -> bool:
        return orders in await topology(bus)

    async def is_gone() -> bool:
        return orders not in await topology(bus) and orders not in await health(bus)

    await eventually(is_there)
    pipeline.processes["collector-nats"].kill()
    await session.api("STREAM.DELETE.ORDERS", None, dict)
    pipeline.processes["collector-nats"].start()

    await eventually(is_gone, within_s=60)


async def test_a_dead_collector_makes_its_entities_stale_and_unknown_and_removes_none(
    bus: Bus, pipeline: Pipeline
) -> None:
    await quiet(bus, "KGENTS_TOPOLOGY")
    known = set(await topology(bus))
    assert known

    pipeline.processes["collector-nats"].kill()

    async def all_stale_and_none_green() -> bool:
        rows = await seen(bus)
        return all((rows[ref].stale, rows[ref].level) == (["nats"], "unknown") for ref in known)

    await eventually(all_stale_and_none_green, within_s=60)
    assert set(await topology(bus)) - {SOURCE} == known

    pipeline.processes["collector-nats"].start()

    async def all_green_again() -> bool:
        return not any(view.stale for view in (await seen(bus)).values())

    await eventually(all_green_again, within_s=60)


async def test_an_unreachable_monitoring_endpoint_is_no_deletion(server: NatsServer, bus: Bus, tmp_path: Path) -> None:
    async with Pipeline(server, tmp_path) as pipeline:
        await pipeline.in_sync(bus)
        await quiet(bus, "KGENTS_TOPOLOGY")
        known = set(await topology(bus))
        for name in ("collector-nats",):
            assert await pipeline.processes[name].stop() == 0
        blind = ServiceProcess(
            "collector-nats", server.url, tmp_path, collector_nats__monitor_urls="http://127.0.0.1:9"
        )
        async with blind:

            async def says_degraded() -> bool:
                beat = await heartbeat(bus, "collector-nats")
                return beat is not None and beat.state == "degraded" and "http://127.0.0.1:9" in beat.reason

            async def all_stale() -> bool:
                rows = await seen(bus)
                return all(rows[ref].stale == ["nats"] for ref in known)

            await eventually(says_degraded)
            await eventually(all_stale, within_s=60)

        assert known <= set(await topology(bus))


async def test_a_thousand_healthy_entities_at_rest_are_calm(
    server: NatsServer, bus: Bus, truth: Truth, tmp_path: Path
) -> None:
    entities = [make_entity(f"p{number}") for number in range(1000)]
    async with (
        ServiceProcess("topology-builder", server.url, tmp_path),
        ServiceProcess("health-scorer", server.url, tmp_path),
    ):
        await truth.say(*entities)

        async def all_judged() -> bool:
            return len(await health(bus)) == 1001  # and the cluster's own

        await eventually(all_judged, within_s=60)
        before = await quiet(bus, "KGENTS_TOPOLOGY", "KGENTS_HEALTH", for_s=3)
        started = time.monotonic()
        for round_ in range(4):
            for number, entity in enumerate(entities):
                await truth.pulse(
                    entity,
                    cpu_percent=20.0 + (number + 7 * round_) % 13,
                    memory_bytes=500 + number % 50,
                    memory_limit_bytes=1000,
                )
        await asyncio.sleep(2)
        elapsed_s = time.monotonic() - started
        topology_news = await last_seq(bus, "KGENTS_TOPOLOGY") - before["KGENTS_TOPOLOGY"]
        health_news = await last_seq(bus, "KGENTS_HEALTH") - before["KGENTS_HEALTH"]

    assert topology_news == 0
    # That pulses have come at all is reported once for each entity; jitter of four thousand samples is not.
    assert health_news <= 1001 + elapsed_s


async def test_no_secret_of_an_observed_client_is_published(tmp_path: Path) -> None:
    config = (
        f'authorization {{ users: [ {{ user: "app", password: "{CANARY}" }},'
        f' {{ user: "kgents", password: "{CANARY}-own" }} ] }}'
    )
    async with NatsServer(tmp_path / "nats", config=config) as server:
        password_file = tmp_path / "password"
        password_file.write_text(f"{CANARY}-own\n")
        settings = {"nats__user": "kgents", "nats__password_file": str(password_file)}
        login = {"user": "app", "password": CANARY}
        async with (
            Bus(NatsConfig(url=server.url, user="kgents", password=Secret(f"{CANARY}-own")), name="test") as bus,
            Pipeline(server, tmp_path, **settings) as pipeline,
        ):
            await provision_streams(bus)
            client = await nats_py.connect(server.url, name="shop", **login)
            await client.subscribe("orders.>")
            await pipeline.in_sync(bus)
            shop = make_ref("shop", kind="nats_client", namespace="")

            async def is_seen() -> bool:
                return shop in await topology(bus)

            await eventually(is_seen, within_s=60)
            published = b"".join(
                [payload for stream in streams(StreamsConfig()) for payload in await raw(bus, stream.name)]
            )
            await client.close()
        logs = b"".join(process.log.read_bytes() for process in pipeline.processes.values())

    assert b"shop" in published
    assert CANARY.encode() not in published
    assert CANARY.encode() not in logs


async def raw(bus: Bus, stream: str, *, after: int = 0) -> list[bytes]:
    """Every payload that a stream holds, behind a sequence."""
    return [each.payload for each in await stored(bus, stream, after=after)]


async def messages(bus: Bus, stream: str, *, after: int) -> list[str]:
    """The `text` of every message behind a sequence."""
    return [msgspec.json.decode(payload)["text"] for payload in await raw(bus, stream, after=after) if payload]
