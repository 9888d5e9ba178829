"""Tests that end badly. `test_ending_badly.py` runs them, in a pytest of their own."""

import os
import signal
from pathlib import Path

import pytest

from support.kgents_command import start_kgents
from support.nats_server import NatsServer
from support.process import descendants, is_alive
from support.waiting import eventually, within

PIDS = Path(os.environ["PIDS_FILE"])


async def start_much(directory: Path) -> None:
    """A server, and `kgents up` with its own server and a service; writes the processes' ids to a file."""
    await NatsServer(directory / "nats").start()
    up = await start_kgents("up", "--data", str(directory / "up"), "--only", "topology-builder")
    assert up.stdout is not None
    async with within(30):
        await up.stdout.readline()
    await eventually(lambda: len(descendants(up.pid)) >= 3)  # the keeper, nats-server, topology-builder
    PIDS.write_text(" ".join(map(str, descendants(os.getpid()))))


async def test_that_fails(tmp_path: Path) -> None:
    await start_much(tmp_path)
    pytest.fail("as expected")


async def test_after_the_one_that_failed() -> None:
    started = [int(pid) for pid in PIDS.read_text().split()]
    assert len(started) >= 5
    await eventually(lambda: not [pid for pid in started if is_alive(pid)])


async def test_that_is_killed(tmp_path: Path) -> None:
    await start_much(tmp_path)
    os.kill(os.getpid(), signal.SIGKILL)
