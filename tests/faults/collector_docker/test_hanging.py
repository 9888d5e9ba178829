"""A part of the engine hangs: it alone is unread, it delays no other, and what is read again is fresh."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kgents_shared.contract.unread import Unread
from support.docker_gate import Gate
from support.docker_watched import SERVICE, Watched
from support.service_process import ServiceProcess
from support.truth import heartbeat
from support.waiting import eventually, is_in_time

pytestmark = pytest.mark.timeout(180)  # the first test starts the engine


async def unread(docker: Watched) -> list[Unread]:
    beat = await heartbeat(docker.bus, SERVICE)
    return beat.unread if beat is not None else []


async def is_unread(docker: Watched, *scopes: str) -> bool:
    return {str(each) for each in await unread(docker)} == set(scopes)


def said_of(collector: ServiceProcess, scope: str) -> list[str]:
    """What the log says of one scope, from the beginning."""
    lines = [json.loads(line) for line in collector.log.read_text().splitlines() if line.startswith("{")]
    return [line["event"] for line in lines if line.get("unread") == scope]


@asynccontextmanager
async def stuck(docker: Watched, name: str) -> AsyncIterator[None]:
    """A container whose shim is stopped, and which someone tries to stop: its inspection gets no answer either."""
    with docker.engine.hang((await docker.api.inspect(name))["Id"]):
        stopping = asyncio.create_task(docker.api.call("POST", f"containers/{name}/stop?t=0", may_fail=True))
        try:
            yield
        finally:
            stopping.cancel()


async def test_a_container_that_hangs_is_unread_alone_and_fresh_again_when_it_answers(docker: Watched) -> None:
    """Though with 20.10 it holds up the statistics of all."""
    for name in ("hung", "well"):
        await docker.api.run(name)
    async with docker.collector(request_timeout_s=1) as collector:
        await docker.state("in_sync")
        await docker.agrees()
        before = await docker.becomes("hung", "running")
        with docker.engine.hang(before.uid):
            await eventually(lambda: is_unread(docker, "container hung"), within_s=30)
            assert "/top within 3 s" in (await unread(docker))[0].reason
            await docker.api.run("new")
            await docker.becomes("new", "running")
            assert await docker.named("container", "hung") == before
            counted = len(await pulses(docker, "new"))

            async def some_rounds_later() -> bool:
                return len(await pulses(docker, "new")) > counted + 3

            await eventually(some_rounds_later, within_s=60)
            assert await is_unread(docker, "container hung")
        await docker.state("in_sync")

        async def is_measured() -> bool:
            return (await pulses(docker, "hung"))[-1].get("unread") != ["*"]

        await eventually(is_measured, within_s=30)
    assert said_of(collector, "container hung") == ["scope_unread", "scope_read_again"]
    assert ["*"] in [each.get("unread") for each in await pulses(docker, "hung")]


async def test_a_container_that_gives_no_figures_delays_no_other(docker: Watched, tmp_path: Path) -> None:
    for name in ("hung", "well"):
        await docker.api.run(name)
    async with (
        Gate(docker.engine.socket, tmp_path / "gate.sock") as gate,
        docker.collector({"url": gate.url}, request_timeout_s=3),
    ):
        await docker.state("in_sync")
        gate.delays_s = {(await docker.api.inspect("hung"))["Id"]: 60.0}
        await eventually(lambda: is_unread(docker, "container hung"), within_s=60)
        missing = [each for each in await pulses(docker, "hung") if each.get("unread") == ["*"]]
        times = [str(each["timestamp"]) for each in await pulses(docker, "well")]
        # Two requests and a question took five seconds each; one pulse every second or two went on.
        assert len(times) >= 3 * len(missing)
        assert all(is_in_time(each["interval_s"], 5) for each in await pulses(docker, "well"))  # type: ignore[arg-type]
        host = [each for each in await docker.log("pulse") if each["ref"]["kind"] == "host"][-1]
        assert host["custom"]["containers_memory_bytes"] is None


async def test_statistics_that_cannot_be_decoded_are_unread_and_logged_once(docker: Watched, tmp_path: Path) -> None:
    await docker.api.run("web")
    async with (
        Gate(docker.engine.socket, tmp_path / "gate.sock") as gate,
        docker.collector({"url": gate.url}) as collector,
    ):
        await docker.state("in_sync")
        gate.garbled = ("stats",)
        await docker.state("degraded", "/stats with an invalid or incomplete answer")
        assert await is_unread(docker, "container web")
        gate.garbled = ()
        await docker.state("in_sync")
    assert said_of(collector, "container web") == ["scope_unread", "scope_read_again"]
    assert "f3e1" not in collector.log.read_text()


async def test_a_container_that_cannot_even_be_inspected_exists_for_a_collector_that_starts(docker: Watched) -> None:
    for name in ("hung", "well"):
        await docker.api.run(name)
    async with stuck(docker, "hung"), docker.collector(request_timeout_s=1):
        await docker.becomes("well", "running")
        found = await docker.becomes("hung", "running")
        assert "container.image.id" in found.attributes
        await eventually(lambda: is_unread(docker, "container hung"), within_s=30)
        await docker.api.run("new")
        await docker.becomes("new", "running")
    async with docker.collector(request_timeout_s=1):
        await docker.state("in_sync")


async def test_a_restarted_collector_keeps_what_is_published_of_a_container_that_hangs(docker: Watched) -> None:
    await docker.api.run("hung", host={"Memory": 64 * 1024**2})
    async with docker.collector(request_timeout_s=1) as collector:
        await docker.state("in_sync")
        before = await docker.becomes("hung", "running")
        assert await collector.stop() == 0
        async with stuck(docker, "hung"):
            collector.start()
            await eventually(lambda: is_unread(docker, "container hung"), within_s=30)
            assert await docker.named("container", "hung") == before


async def test_a_plugin_that_hangs_makes_volumes_unread_and_nothing_else(docker: Watched, tmp_path: Path) -> None:
    await docker.api.volume("data")
    await docker.api.run("web")
    async with (
        Gate(docker.engine.socket, tmp_path / "gate.sock") as gate,
        docker.collector({"url": gate.url}, request_timeout_s=1, resync_interval_s=2),
    ):
        await docker.state("in_sync")
        gate.delays_s = {"volumes": 15.0}
        await eventually(lambda: is_unread(docker, "volume", "namespace"), within_s=30)
        assert await docker.named("volume", "data") is not None
        await docker.api.run("new")
        await docker.becomes("new", "running")
        gate.delays_s = {}
        await docker.state("in_sync")


async def test_stopped_engines_are_unread_parts_of_their_own(docker: Watched, tmp_path: Path) -> None:
    await docker.api.run("web")
    async with Gate(docker.engine.socket, tmp_path / "gate.sock") as gate:
        engines = ({"url": gate.url}, {"name": "far", "url": docker.engine.tls_url, "tls": docker.engine.tls})
        async with docker.collector(*engines, request_timeout_s=1):
            await docker.state("in_sync")
            assert (await docker.becomes("far/web", "running")).part == "far"
            gate.denied = ("info", "events", "containers", "version")
            gate.cut()
            await eventually(lambda: is_unread(docker, "part (unnamed)"), within_s=30)
            assert (await docker.becomes("web", "running")).part == "(unnamed)"
            gate.denied = ()
            await docker.state("in_sync")


async def pulses(docker: Watched, name: str) -> list[dict[str, object]]:
    return [each for each in await docker.log("pulse") if each["ref"]["name"] == name]
