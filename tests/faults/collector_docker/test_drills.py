"""Drills on a real engine, through all services to the alert; the README of collector-docker has their times.

As a test each must end within its time. For the table: `DRILL_TABLE=docker.md .venv/bin/pytest <this file>`
"""

import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from support.docker_watched import Watched
from support.service_process import ServiceProcess
from support.waiting import eventually, stays

pytestmark = pytest.mark.timeout(300)  # the first test starts the engine

TABLE: Final = os.environ.get("DRILL_TABLE")
CALM_S: Final = 15.0
"""Instead of 15 minutes, which end each alert of restarts."""

Found = Callable[[set[str]], bool]


class Drill:
    """`async with Drill(docker, "killed", "KG-001 …") as drill`: break something, `await drill.found(20)`, repair it,
    `await drill.gone(20)`, each with the seconds that it may take."""

    def __init__(self, docker: Watched, name: str, finding: str) -> None:
        self._docker, self._name, self._finding = docker, name, finding
        self._times: list[str] = []

    async def __aenter__(self) -> "Drill":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            note(f"| {self._name} | {self._finding} | {' | '.join(self._times)} |")

    async def found(self, within_s: float) -> None:
        """Wait for the finding: it is the only one."""
        await self._timed(lambda found: found == {self._finding}, within_s)

    async def gone(self, within_s: float) -> None:
        """Wait until nothing is found."""
        await self._timed(lambda found: not found, within_s)

    async def _timed(self, is_so: Found, within_s: float) -> None:
        since_s = time.monotonic()

        async def claim() -> bool:
            return is_so(await findings(self._docker))

        await eventually(claim, within_s=within_s)
        self._times.append(f"{time.monotonic() - since_s:.0f} s")


def note(line: str) -> None:
    """Add a line to the table, if there is to be one."""
    if TABLE is not None:
        with Path(TABLE).open("a") as table:
            table.write(f"{line}\n")


async def findings(docker: Watched) -> set[str]:
    """What fires now."""
    alerts: dict[str, dict[str, Any]] = {}
    for each in map(json.loads, await docker.stored("KGENTS_ALERT")):
        alerts[f"{each['check']} {each['ref']['kind']} {each['ref']['name']}"] = each
    return {name for name, each in alerts.items() if each["state"] == "firing"}


@asynccontextmanager
async def chain(docker: Watched, directory: Path) -> AsyncIterator[None]:
    """Collector, builder and scorer with the default settings, but for the calm."""
    url = docker.server.url
    async with (
        docker.collector(poll_interval_s=10),
        ServiceProcess("topology-builder", url, directory),
        ServiceProcess("health-scorer", url, directory, health_scorer__calm_s=str(CALM_S)),
    ):
        await docker.state("in_sync")
        yield


async def test_killed_from_outside(docker: Watched, tmp_path: Path) -> None:
    await docker.api.run("web")
    async with (
        chain(docker, tmp_path),
        Drill(docker, "a process is killed (`kill -9`)", "KG-001 container web") as drill,
    ):
        await docker.becomes("web", "running")
        os.kill((await docker.api.inspect("web"))["State"]["Pid"], signal.SIGKILL)
        await drill.found(5)
        await docker.api.do("web", "start")
        await drill.gone(5)


async def test_restarted_over_and_over(docker: Watched, tmp_path: Path) -> None:
    signs = tmp_path / "signs"
    signs.mkdir()
    stay = "test -e /signs/stay && exec sleep 1000; exit 1"
    host = {"RestartPolicy": {"Name": "always"}, "Binds": [f"{signs}:/signs:ro"]}
    async with chain(docker, tmp_path), Drill(docker, "a restart loop", "KG-020 container web") as drill:
        await docker.api.run("web", "sh", "-c", stay, host=host)
        await drill.found(5)
        (signs / "stay").touch()
        await docker.becomes("web", "running")
        await drill.gone(CALM_S + 15)


async def test_killed_for_its_memory_and_restarted(docker: Watched, tmp_path: Path) -> None:
    signs = tmp_path / "signs"
    signs.mkdir()
    # The second run of it, after the sign is gone, stays.
    eat = "until test -e /signs/eat; do sleep 0.05; done; (x=a; while true; do x=$x$x; done); sleep 0.5; exit 137"
    limits = {"Memory": 8 * 1024**2, "MemorySwap": 8 * 1024**2, "RestartPolicy": {"Name": "always"}}
    async with chain(docker, tmp_path), Drill(docker, "an OOM kill, restarted", "KG-021 container web") as drill:
        await docker.api.run("web", "sh", "-c", eat, host={**limits, "Binds": [f"{signs}:/signs"]})
        await docker.becomes("web", "running")
        (signs / "eat").touch()
        await eventually(lambda: _has_restarted(docker, signs), within_s=30)
        await drill.found(5)
        await drill.gone(CALM_S + 15)


async def _has_restarted(docker: Watched, signs: Path) -> bool:
    if "OOM" in {each["reason"] for each in await docker.log("event")}:
        (signs / "eat").unlink(missing_ok=True)
    return bool((await docker.api.inspect("web"))["RestartCount"])


async def test_a_hung_shim(docker: Watched, tmp_path: Path) -> None:
    for name in ("web", "other"):
        await docker.api.run(name)
    async with (
        chain(docker, tmp_path),
        Drill(docker, "a container's shim hangs (SIGSTOP)", "KG-011 source docker") as drill,
    ):
        entity = await docker.becomes("web", "running")
        with docker.engine.hang(entity.uid):
            await drill.found(60)
        await drill.gone(30)


async def test_a_stopped_engine(docker: Watched, tmp_path: Path) -> None:
    await docker.api.run("web", host={"RestartPolicy": {"Name": "always"}})
    async with chain(docker, tmp_path), Drill(docker, "the engine is stopped", "KG-010 source docker") as drill:
        await docker.becomes("web", "running")
        docker.engine.stop()
        try:
            await drill.found(30)
        finally:
            docker.engine.start()
        await drill.gone(15)


async def test_stops_on_purpose_find_nothing(docker: Watched, tmp_path: Path) -> None:
    """`docker stop` and Compose's recreate, of programs that ignore the signal and end with 137."""
    for name in ("web", "shop-db-1"):
        await docker.api.run(name)
    async with chain(docker, tmp_path):
        for name in ("web", "shop-db-1"):
            await docker.becomes(name, "running")
        await docker.api.do("web", "stop?t=0")
        await docker.api.do("shop-db-1", "stop?t=0")
        await docker.api.do("shop-db-1", "rename?name=old_shop-db-1")
        await docker.api.run("shop-db-1")
        await docker.api.remove("old_shop-db-1")
        await docker.becomes("web", "succeeded", "Stopped")
        await docker.becomes("shop-db-1", "running")

        async def nothing() -> bool:
            return not await findings(docker)

        await stays(nothing, 20)
        fired = [each for each in await docker.stored("KGENTS_ALERT") if json.loads(each)["state"] != "resolved"]
        assert fired == []
    note("| `docker stop` and Compose's recreate, ended by 137 | none | – | – |")
