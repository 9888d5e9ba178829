"""A service that is told to stop ends, whatever goes wrong at that moment."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from support.nats_server import NatsServer
from support.truth import in_sync

pytestmark = pytest.mark.timeout(120)

LOSES_ITS_SUBJECTS_WHILE_IT_STOPS = """
import asyncio, os, sys
from msgspec import Struct
from kgents_shared.contract.errors import SteppedDownError
from kgents_shared.runtime.service import Context, Service, serve

class Config(Struct):
    pass

async def run(context: Context[Config]) -> None:
    context.status.set("in_sync")
    try:
        await asyncio.Event().wait()
    finally:
        raise SteppedDownError("somebody else wrote at this very moment")

service = Service(name="topology-builder", config=Config, run=run)
sys.exit(serve(service, config_file=None, environ=os.environ, services=["topology-builder"]))
"""


async def test_a_conflict_while_stopping_does_not_keep_it_running(server: NatsServer, bus: Bus, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "KGENTS__NATS__URL": server.url,
        "KGENTS__CLUSTER": "test",
        "KGENTS__INSTANCE": "one",
        "KGENTS__DATA_DIR": str(tmp_path / "one"),
    }
    process = subprocess.Popen([sys.executable, "-c", LOSES_ITS_SUBJECTS_WHILE_IT_STOPS], env=environment)
    try:
        await in_sync(bus, "topology-builder")
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 20) == 0
    finally:
        process.kill()
