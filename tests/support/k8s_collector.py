"""collector-k8s inside the test's own process: so that a test can hurry it, and end it as abruptly as kill -9 would."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from kgents_collector_k8s.app import SERVICE, run
from kgents_collector_k8s.config import Config
from kgents_collector_k8s.inventory import Inventory
from kgents_collector_k8s.mapping.fragment import Kind, Scope
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.outbox import Outbox
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.errors import SteppedDownError
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.runtime.sections import TelemetryConfig
from kgents_shared.runtime.service import Context
from kgents_shared.runtime.telemetry import Telemetry
from support.in_process import lasting_leases
from support.kube_api import KubeApi


@asynccontextmanager
async def collecting(config: Config, *, url: str, cluster: str, directory: Path) -> AsyncIterator[Context[Config]]:
    """A collector that starts over when it steps down. At the end it is dropped in the middle of whatever it does."""
    nats = NatsConfig(url=url)
    telemetry = Telemetry(TelemetryConfig(), service=SERVICE.name, version="0", instance="one")
    common = CommonConfig(cluster=cluster, instance="one", nats=nats)
    with lasting_leases(), Outbox(directory / "outbox") as outbox:
        async with Bus(nats, name="collector") as bus:
            context = Context(SERVICE, common, config, bus, telemetry, outbox)
            carrying = [asyncio.create_task(context.publisher.run()), asyncio.create_task(context.log.run())]
            await context.lease.acquire()
            working = [asyncio.create_task(context.lease.hold()), asyncio.create_task(_work(context))]
            try:
                yield context
            finally:
                await _end(working)
                await context.lease.release()  # or the next one would wait until it runs out
                await _end(carrying)
    telemetry.shutdown()


async def _work(context: Context[Config]) -> None:
    while True:
        try:
            await run(context)
        except* SteppedDownError:
            context.status.forget_tables()


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task


def pure(api: KubeApi, kinds: list[Kind[Any]], cluster: str) -> dict[Ref, Entity]:
    """What the mapping alone makes of all objects of a server."""
    inventory = Inventory(cluster, lambda _: None)
    for kind in kinds:
        name = f"{kind.resource}.{kind.group}" if kind.group else kind.resource
        for raw in api.objects(name):
            metadata = raw["metadata"]
            key = metadata.get("namespace", ""), metadata["name"]
            found = msgspec.json.decode(msgspec.json.encode(raw), type=kind.type)
            inventory.put(kind.place, key, kind.fragment(found, Scope(cluster)))
    return {ref: entity for ref, entity in inventory.take() if entity is not None}
