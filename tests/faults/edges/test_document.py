"""`docs/edges.md` as an operator reads it: each command is run as printed, in a network namespace of its own."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.edge_site import require_namespaces
from support.process import spawn_async
from support.waiting import eventually, within

DOCUMENT = Path(__file__).parents[3] / "docs" / "edges.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
LIST = "kgents edge ls"


@pytest.fixture
def namespace() -> Iterator[str]:
    require_namespaces()
    name = f"kg-doc-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
    try:
        yield name
    finally:
        for pid in subprocess.run(
            ["ip", "netns", "pids", name], capture_output=True, text=True, check=True
        ).stdout.split():
            os.kill(int(pid), signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", name], check=True)


async def test_a_hub_and_an_edge_are_set_up_by_the_commands_of_the_document(tmp_path: Path, namespace: str) -> None:
    blocks = BLOCK.findall(DOCUMENT.read_text())
    assert len(blocks) == 6, "each step is run"
    assert blocks[-1].count(LIST) == 1

    async def run(script: str) -> str:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        process = await spawn_async(
            "ip", "netns", "exec", namespace, "bash", "-euc", script,
            cwd=tmp_path, env={**os.environ, "PATH": path, "HOME": str(tmp_path)},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with within(60):
            out, err = await process.communicate()
        assert process.returncode == 0, (script, out, err)
        return out.decode()

    for block in blocks[:-1]:
        await run(block)

    async def is_up() -> bool:
        listed = await run(blocks[-1])
        return bool(re.search(r"^paris +up .*ENTITY:[1-9]", listed, re.MULTILINE))

    await eventually(is_up, within_s=60)
