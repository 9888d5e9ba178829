"""`runtime.collector` at work in the test's own process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from kgents_collector_nats.config import Config
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.bus.outbox import MAX_BYTES, Outbox
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.runtime.collector import Collector
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.runtime.sections import TelemetryConfig
from kgents_shared.runtime.service import Context, Service
from kgents_shared.runtime.telemetry import Telemetry
from support.in_process import lasting_leases
from support.running import running

SERVICE = Service(name="collector-nats", config=Config, run=lambda _: None, source="nats")  # type: ignore[arg-type,return-value]


class Collecting:
    """A collector at work, in the test's own process."""

    def __init__(self, context: Context[Config], collector: Collector, outbox: Outbox) -> None:
        self.context = context
        self.outbox = outbox
        self.collector = collector

    async def published(self) -> dict[str, str]:
        """Entity → status, when everything has arrived."""
        await self.collector.entities.flush()
        return {row.message.ref.name: row.message.status for row in self.collector.entities.rows.values()}

    async def messages(self) -> int:
        """How many messages the entity stream has taken so far."""
        await self.collector.entities.flush()
        return (await stream_info(await self.context.bus.session(), "KGENTS_ENTITY")).last_seq

    def heartbeat(self) -> Heartbeat:
        return self.context.status.heartbeat(0, 0.0)


@asynccontextmanager
async def collecting(
    bus: Bus, folder: Path, cluster: str = "test", *, buffer_max_bytes: int = MAX_BYTES
) -> AsyncIterator[Collecting]:
    """A collector whose parts are the namespaces of its entities."""
    telemetry = Telemetry(TelemetryConfig(), service=SERVICE.name, version="0", instance="one")
    common = CommonConfig(cluster=cluster, instance="one", nats=NatsConfig())
    with lasting_leases(), Outbox(folder / "outbox", max_bytes=buffer_max_bytes) as outbox:
        context = Context(SERVICE, common, Config(), bus, telemetry, outbox)
        async with running(context.publisher.run()), running(context.log.run()):
            await context.lease.acquire()
            async with running(context.lease.hold()):
                collector = Collector(context, part_of=lambda entity: entity.ref.namespace)
                await collector.load()
                async with running(collector.run()):
                    yield Collecting(context, collector, outbox)
            await context.lease.release()
    telemetry.shutdown()
