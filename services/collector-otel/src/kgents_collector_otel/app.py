"""collector-otel at work: receivers → mapping → the entity state table and the pulse log."""

import asyncio
from typing import Final

from kgents_collector_otel.config import Config
from kgents_shared.runtime.collector import Collector
from kgents_shared.runtime.service import Context, Service

SOURCE: Final = "otel"


async def run(context: Context[Config]) -> None:
    """Receive for as long as this instance holds the lease."""
    collector = Collector(context, part_of=lambda _: "")
    await collector.load()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(collector.run())
        collector.attest()


SERVICE = Service(name="collector-otel", config=Config, run=run, source=SOURCE)
