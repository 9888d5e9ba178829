"""A cluster to watch: the stand-in API server in its own process, the collector in another, and bare watching."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from bench.bare import BarePublisher, connect
from bench.fleet import ENTITY_PREFIX
from bench.site import DEADLINE_S, POLL_S, TESTS, Site, Worker, service
from kgents_collector_k8s.mapping import CATALOGUE
from support.kube_api.cluster import TOKEN
from support.truth import heartbeat

POD: Final = next(kind.type for kind in CATALOGUE if kind.resource == "pods")
PAGE: Final = 500
START_S: Final = 400.0
"""For a first start beside 100,000 pods, with room for a slow machine."""
LOGIN: Final = {"Authorization": f"Bearer {TOKEN}"}
PAYLOADS: Final = (b"p" * 1_000, b"c" * 900)
"""As large as a pod's entity and its container's."""


class _Page(msgspec.Struct):
    metadata: dict[str, Any]
    items: list[POD]  # type: ignore[valid-type]  # whatever the collector decodes to


class ApiServer:
    """The stand-in; `python -m support.kube_api`."""

    def __init__(self, url: str, kubeconfig: str, process: asyncio.subprocess.Process) -> None:
        self.url = url
        self.kubeconfig = kubeconfig
        self._process = process

    async def change(self, count: int) -> None:
        """Let so many pods change, as fast as the server can; returns when it has reported them."""
        await self._order(f"{count}")

    async def replace(self, count: int, within_s: float, came: Path) -> None:
        """Let so many pods be replaced within a time; returns when they are, and in a file when each new one came."""
        await self._order(f"replace {count} {within_s} {came}")

    async def _order(self, line: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n".encode())
        async with asyncio.timeout(DEADLINE_S):
            await self._process.stdout.readline()


@asynccontextmanager
async def api_server(pods: int, directory: Path) -> AsyncIterator[ApiServer]:
    """A cluster with so many pods, each with one container, and a Deployment for each hundred of them."""
    directory.mkdir(parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "support.kube_api", "--pods", str(pods), "--kubeconfig", str(directory / "kubeconfig"),
        cwd=TESTS, stdin=PIPE, stdout=PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            kubeconfig, url = (await process.stdout.readline()).decode().split()
        yield ApiServer(url, kubeconfig, process)
    finally:
        process.kill()
        await process.wait()


def collector_process(site: Site, kubeconfig: str, instance: str) -> AbstractAsyncContextManager[Worker]:
    """collector-k8s as production runs it."""
    return service("collector-k8s", site.url, instance, KGENTS__COLLECTOR_K8S__KUBECONFIG=kubeconfig)


@asynccontextmanager
async def collector(site: Site, api: ApiServer, instance: str) -> AsyncIterator[Worker]:
    """The same once it says that it is in sync and has published everything."""
    async with collector_process(site, api.kubeconfig, instance) as process:
        async with asyncio.timeout(START_S):
            while True:
                beat = await heartbeat(site.bus, "collector-k8s", instance)
                if beat is not None and beat.state == "in_sync":
                    break
                await asyncio.sleep(POLL_S * 20)
        yield process


async def bare_list(url: str, kept: list[Any] | None = None) -> int:
    """Read all pods page by page and decode them (and keep them); returns how many there are."""
    decoder, count, following = msgspec.json.Decoder(_Page), 0, ""
    async with aiohttp.ClientSession(headers=LOGIN) as session:
        while True:
            params = {"limit": str(PAGE)} | ({"continue": following} if following else {})
            async with session.get(f"{url}/api/v1/pods", params=params) as answer:
                page = decoder.decode(await answer.read())
            count += len(page.items)
            if kept is not None:
                kept.append(page.items)
            following = page.metadata.get("continue", "")
            if not following:
                return count


async def bare_publish(nats_url: str, pods: int) -> None:
    """Publish as many messages of the same size as the collector does."""
    client = await connect(nats_url)
    publisher = BarePublisher(client)
    await publisher.open()
    for number in range(pods):
        for kind, payload in zip(("pod", "container"), PAYLOADS, strict=True):
            await publisher.publish(f"{ENTITY_PREFIX}{kind}.bench.bare-{number}", payload)
    await publisher.drain()
    await client.close()


async def bare_watch(url: str, nats_url: str, on_ready: Callable[[], None]) -> None:
    """Pass on every change of a pod, forever: a line of the watch → decode → publish."""
    client = await connect(nats_url)
    publisher = BarePublisher(client)
    await publisher.open()
    decoder = msgspec.json.Decoder(POD)
    line_decoder = msgspec.json.Decoder(_Line)
    async with aiohttp.ClientSession(headers=LOGIN, read_bufsize=2**22) as session:
        async with session.get(f"{url}/api/v1/pods", params={"limit": "1"}) as answer:
            version = msgspec.json.decode(await answer.read(), type=_Head).metadata["resourceVersion"]
        params = {"watch": "1", "resourceVersion": version}
        async with session.get(f"{url}/api/v1/pods", params=params) as answer:
            on_ready()
            async for line in answer.content:
                found = decoder.decode(line_decoder.decode(line).object)
                await publisher.publish(f"{ENTITY_PREFIX}pod.bench.{found.metadata.name}", PAYLOADS[0])


class _Line(msgspec.Struct):
    object: msgspec.Raw


class _Head(msgspec.Struct):
    metadata: dict[str, Any]
