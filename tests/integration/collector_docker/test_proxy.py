"""The proxy that Compose puts before the engine's socket: it passes what the collector asks for, and nothing else."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import pytest
import yarl

from support.docker_gate import Gate
from support.docker_watched import Watched
from support.process import spawn
from support.programs import need
from support.waiting import eventually

CONFIG: Final = Path(__file__).parents[3] / "deploy/compose/docker-proxy.cfg"
pytestmark = pytest.mark.timeout(120)

ASKED: Final = {
    "/version",
    "/v/info",
    "/v/events",
    "/v/networks",
    "/v/volumes",
    "/v/containers/json",
    "/v/containers/ID/json",
    "/v/containers/ID/stats",
    "/v/containers/ID/top",
    "/v/images/ID/json",
}
"""Each path that the proxy names, with its version and ids replaced."""

ID: Final = "0123456789ab" * 2
REFUSED: Final = (
    ("POST", "/v1.41/containers/create"),
    ("POST", f"/v1.41/containers/{ID}/start"),
    ("POST", f"/v1.41/containers/{ID}/exec"),
    ("POST", "/v1.41/build"),
    ("POST", "/v1.41/containers/json"),
    ("HEAD", f"/v1.41/containers/{ID}/archive?path=/"),
    ("PUT", f"/v1.41/containers/{ID}/archive?path=/"),
    ("DELETE", f"/v1.41/containers/{ID}"),
    ("GET", f"/v1.41/containers/{ID}/archive?path=/etc/passwd"),
    ("GET", f"/v1.41/containers/{ID}/export"),
    ("GET", f"/v1.41/containers/{ID}/logs?stdout=1"),
    ("GET", f"/v1.41/containers/{ID}/changes"),
    ("GET", f"/v1.41/containers/{ID}/attach/ws?stream=1"),
    ("GET", f"/v1.41/containers/{ID}/top"),
    ("GET", f"/v1.41/containers/{ID}/top?ps_args=e"),
    ("GET", f"/v1.41/containers/{ID}/top?ps_args=-o+pid&ps_args=e"),
    ("GET", "/v1.41/containers/web/json"),
    ("GET", "/v1.41/images/json"),
    ("GET", f"/v1.41/images/{ID}/get"),
    ("GET", f"/v1.41/images/{ID}/history"),
    ("GET", "/v1.41/images/search?term=x"),
    ("GET", "/v1.41/secrets"),
    ("GET", "/v1.41/swarm"),
    ("GET", "/v1.41/swarm/unlockkey"),
    ("GET", "/v1.41/plugins"),
    ("GET", "/v1.41/system/df"),
    ("GET", "/v1.41/networks/abc"),
    ("GET", "/v1.41/volumes/data"),
    ("GET", "/_ping"),
    ("GET", "/info"),
    ("GET", "/v1.41/info/"),
    ("GET", "/v1.41//info"),
    ("GET", "/v1.41/%69nfo"),
    ("GET", f"/v1.41/info/../containers/{ID}/export"),
    ("GET", f"/v1.41/info%2f..%2fcontainers/{ID}/export"),
    ("GET", "/V1.41/INFO"),
    ("GET", "/v2.0/info"),
)


@asynccontextmanager
async def proxy(engine: Path, folder: Path) -> AsyncIterator[Path]:
    """The shipped configuration between two sockets of a test."""
    own = folder / "proxy.sock"
    text = CONFIG.read_text()
    for shipped, here in (("/var/run/docker.sock", engine), ("/run/docker-proxy/docker.sock", own)):
        assert text.count(f"unix@{shipped}") == 1
        text = text.replace(f"unix@{shipped}", f"unix@{here}")
    (folder / "proxy.cfg").write_text(text)
    with (folder / "proxy.log").open("wb") as log:
        process = spawn([need("haproxy"), "-W", "-db", "-f", folder / "proxy.cfg"], stdout=log, stderr=log)
    try:
        await eventually(own.exists)
        yield own
    finally:
        process.kill()


def shape(path: str) -> str:
    """A path with its version and ids replaced."""
    return re.sub(r"/(?:sha256:)?[0-9a-f]{12,}/", "/ID/", re.sub(r"^/v1\.\d+/", "/v/", path))


async def test_the_collector_asks_for_each_path_that_passes_and_for_no_other(docker: Watched, tmp_path: Path) -> None:
    async with Gate(docker.engine.socket, tmp_path / "gate.sock") as gate:
        async with proxy(tmp_path / "gate.sock", tmp_path) as socket, docker.collector({"url": f"unix://{socket}"}):
            await docker.state("in_sync")
            await docker.api.network("blue")
            await docker.api.volume("data")
            await docker.api.run("web", host={"NetworkMode": "blue"})
            await docker.becomes("web", "running")  # heard of as an event
            await docker.goes("container", "other")
            gate.garbled = ("stats",)  # whether a container answers at all is then asked by its processes
            await eventually(lambda: {shape(path) for _, path in gate.seen} >= ASKED, within_s=30)
            gate.garbled = ()
            await docker.state("in_sync")
        assert {shape(path) for _, path in gate.seen} == ASKED
        assert {method for method, _ in gate.seen} == {"GET"}


async def test_what_the_collector_does_not_need_never_reaches_the_engine(docker: Watched, tmp_path: Path) -> None:
    passed: list[tuple[str, str]] = []
    async with (
        Gate(docker.engine.socket, tmp_path / "gate.sock") as gate,
        proxy(tmp_path / "gate.sock", tmp_path) as socket,
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket))) as http,
    ):
        for method, path in REFUSED:
            async with http.request(method, yarl.URL(f"http://docker{path}", encoded=True)) as answer:
                if answer.status not in (400, 403):
                    passed.append((method, path))
        for headers in ({"Upgrade": "tcp", "Connection": "Upgrade"}, {"Content-Length": "1"}):
            data = b"x" if "Content-Length" in headers else None
            async with http.get("http://docker/v1.41/info", headers=headers, data=data) as answer:
                assert answer.status == 403, headers
        assert (passed, gate.seen) == ([], [])
        async with http.get("http://docker/v1.41/info") as answer:
            assert answer.status == 200
        log = tmp_path / "proxy.log"
        await eventually(
            lambda: log.read_text().count('"GET /v1.41/info HTTP/1.1"') == 2
        )  # those with more than a path


async def test_a_reader_that_leaves_ends_its_stream_at_the_engine(docker: Watched, tmp_path: Path) -> None:
    async with (
        Gate(docker.engine.socket, tmp_path / "gate.sock") as gate,
        proxy(tmp_path / "gate.sock", tmp_path) as socket,
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket))) as http,
    ):
        async with http.get("http://docker/v1.41/events") as answer:
            assert answer.status == 200
            await docker.api.network("blue")
            assert b"blue" in await answer.content.readany()
            assert gate.passing == 1
        await eventually(lambda: not gate.passing)
