"""A service's `run` in the process of the test, for tests that count what it does. It holds the lease."""

import asyncio
import gc
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from kgents_shared.bus import lease
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.outbox import Outbox
from kgents_shared.runtime.clock import Clock
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.runtime.sections import TelemetryConfig
from kgents_shared.runtime.service import Context, Service
from kgents_shared.runtime.telemetry import Telemetry
from support.running import running
from support.waiting import MACHINE, eventually


@contextmanager
def lasting_leases() -> Iterator[None]:
    """Leases that last longer on a slow machine: what shares a process with a test renews them late."""
    with patch.object(lease, "TTL_S", math.ceil(MACHINE.limit_s(lease.TTL_S))):
        yield


@asynccontextmanager
async def run_in_process(
    service: Service[Any], config: Any, bus: Bus, directory: Path, *, clock: Clock | None = None
) -> AsyncIterator[Context[Any]]:
    """Run a service on a bus until the block ends; it has acquired its lease when the block begins.

    A service that fails ends the block at once, with its error.
    """
    telemetry = Telemetry(TelemetryConfig(), service=service.name, version="0", instance="one")
    with Outbox(directory / f"{service.name}.outbox") as outbox:
        common = CommonConfig(cluster="test", instance="one", nats=NatsConfig(), data_dir=str(directory))
        context = Context(service, common, config, bus, telemetry, outbox)
        context.clock = clock or context.clock
        async with running(context.publisher.run()), running(context.log.run()):
            with lasting_leases():
                await context.lease.acquire()
                async with asyncio.TaskGroup() as tasks:
                    parts = [tasks.create_task(context.lease.hold()), tasks.create_task(_run(context))]
                    yield context
                    for part in parts:
                        part.cancel()
            await context.lease.release()
    gc.unfreeze()  # as the end of a process would


async def _run(context: Context[Any]) -> None:
    await context.service.run(context)


async def until_in_sync(context: Context[Any], within_s: float = 60) -> None:
    """Wait until the service says that it is in sync and everything is published."""
    await eventually(lambda: context.status.state == "in_sync" and not context.status.backlog, within_s)


def held(context: Context[Any], signal: str) -> int:
    """How many rows the service's own table of a signal has; cheap, for waits on very many."""
    return len(context.status._tables[signal].rows)


def published(context: Context[Any], signal: str) -> list[Any]:
    """What the service's own table of a signal holds: what the server has acknowledged."""
    return [row.message for row in context.status._tables[signal].rows.values()]
