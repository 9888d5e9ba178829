"""A service that receives SIGTERM ends, whatever fails at that moment."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from support.nats_server import NatsServer
from support.process import spawn
from support.truth import heartbeat, in_sync
from support.waiting import MACHINE

pytestmark = pytest.mark.timeout(120)

PROGRAM = """
import asyncio, os, sys
from kgents_shared.contract.errors import SteppedDownError
from kgents_shared.contract.section import Section
from kgents_shared.runtime.process import serve
from kgents_shared.runtime.service import Context, Service

class Config(Section):
    pass

async def conflict() -> None:
    raise SteppedDownError("another instance wrote at this very moment")

{run}

service = Service(name="topology-builder", config=Config, run=run)
sys.exit(serve(service, config_file=None, environ=os.environ, services=["topology-builder"]))
"""

LOSES_ITS_SUBJECTS_WHILE_IT_STOPS = """
async def run(context: Context[Config]) -> None:
    context.status.set("in_sync")
    try:
        await asyncio.Event().wait()
    finally:
        await conflict()
"""

LOSES_ITS_SUBJECTS_ONCE = """
async def run(context: Context[Config]) -> None:
    if not context.status.conflicts:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.Event().wait())
            tasks.create_task(conflict())
    context.status.set("in_sync")
    await asyncio.Event().wait()
"""


@contextmanager
def started(run: str, server: NatsServer, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "KGENTS__NATS__URL": server.url,
        "KGENTS__CLUSTER": "test",
        "KGENTS__INSTANCE": "one",
        "KGENTS__DATA_DIR": str(directory / "one"),
    }
    process = spawn([sys.executable, "-c", PROGRAM.format(run=run)], env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def stop(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return await asyncio.to_thread(process.wait, MACHINE.limit_s(20))


async def test_a_conflict_while_stopping_does_not_keep_it_running(server: NatsServer, bus: Bus, tmp_path: Path) -> None:
    with started(LOSES_ITS_SUBJECTS_WHILE_IT_STOPS, server, tmp_path) as process:
        await in_sync(bus, "topology-builder")
        assert await stop(process) == 0


async def test_after_a_conflict_it_starts_over(server: NatsServer, bus: Bus, tmp_path: Path) -> None:
    with started(LOSES_ITS_SUBJECTS_ONCE, server, tmp_path) as process:
        await in_sync(bus, "topology-builder")
        beat = await heartbeat(bus, "topology-builder")
        assert beat is not None
        assert beat.conflicts == 1
        assert await stop(process) == 0
