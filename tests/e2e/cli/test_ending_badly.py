"""However tests end, nothing that they started goes on running."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from support.process import is_alive, spawn_async
from support.waiting import eventually, within

TESTS = Path(__file__).with_name("ending_badly.py")


@pytest.mark.parametrize(("name", "expected"), [("fail", "1 failed, 1 passed"), ("killed", "")])
async def test_nothing_that_a_test_started_outlives_it(name: str, expected: str, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    process = await spawn_async(
        sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", TESTS, "-k", name,
        env={**os.environ, "PIDS_FILE": str(pids)}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with within(50):
        out, _ = await process.communicate()
    assert expected in out.decode()
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) >= 5
    await eventually(lambda: not [pid for pid in started if is_alive(pid)])
