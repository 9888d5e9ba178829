"""The tests' own engine: whatever becomes of the tests, nothing of it stays on the machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.docker_reaper import processes_of
from support.docker_watched import Watched
from support.waiting import eventually

pytestmark = pytest.mark.timeout(120)  # the first test starts the engine

PROGRAM = """
import asyncio, json, os, signal
from support.docker_engine import docker_engine

async def main():
    engine = docker_engine()
    async with engine.api() as api:
        await api.network("blue")
        await api.run("web", host={"NetworkMode": "blue", "RestartPolicy": {"Name": "always"}})
    engine.pause()
    print(json.dumps([str(engine.directory), os.getpid()]), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_an_engine_goes_with_killed_tests_even_when_it_is_frozen(docker: Watched) -> None:
    tests = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tests, stdout=subprocess.PIPE, timeout=60, check=False)
    name, pid = json.loads(done.stdout)
    directory = Path(name)

    async def all_gone() -> bool:
        return not directory.exists() and not processes_of(directory)

    await eventually(all_gone, within_s=20)
    assert name not in Path("/proc/mounts").read_text()
    assert not [*Path("/sys/class/net").glob(f"kgt{pid}-*"), *Path("/sys/fs/cgroup").glob(f"**/kgt{pid}")]
    assert docker.engine.directory.exists()  # another one's is not touched
