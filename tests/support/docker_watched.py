"""A private engine, the collector that watches it, and what came of it on the stream: for tests of collector-docker."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY
from kgents_shared.contract.entity import Connection, Entity, Ref
from support.docker_engine import Api, DockerEngine, NoEngineError, docker_engine
from support.nats_server import NatsServer
from support.proxy import Proxy
from support.service_process import ServiceProcess
from support.streams import provision_streams
from support.truth import heartbeat, last_seq
from support.waiting import eventually

SERVICE = "collector-docker"


def engine_or_skip() -> DockerEngine:
    try:
        return docker_engine()
    except NoEngineError as error:
        pytest.skip(str(error))


class SocketProxy(Proxy):
    """`Proxy`, from one Unix socket to another."""

    def __init__(self, server: Path, own: Path) -> None:
        super().__init__(0)
        self._server, self._own = server, own

    @property
    def url(self) -> str:
        return f"unix://{self._own}"

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_unix_server(self._accept, self._own)

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self._server)


class Watched:
    """An engine, and the stream on which a collector reports it."""

    def __init__(self, engine: DockerEngine, api: Api, server: NatsServer, bus: Bus, directory: Path) -> None:
        self.engine = engine
        self.api = api
        self.server = server
        self.bus = bus
        self._directory = directory

    def collector(self, *engines: dict[str, Any], **settings: object) -> ServiceProcess:
        """A collector of these engines; none given: of the one that there is."""
        given = {"engines": json.dumps(engines or [{"url": self.engine.url}]), "poll_interval_s": 1, **settings}
        environment: dict[str, Any] = {f"collector_docker__{name}": str(value) for name, value in given.items()}
        return ServiceProcess(SERVICE, self.server.url, self._directory, **environment)

    async def entities(self) -> dict[tuple[str, str], Entity]:
        """What is published, by kind and name."""
        table = StateView(self.bus, ENTITY, "KGENTS_ENTITY", [subjects.pattern("entity")])
        await table.load()
        return {(row.message.ref.kind, row.message.ref.name): row.message for row in table.rows.values()}

    async def named(self, kind: str, name: str) -> Entity | None:
        return (await self.entities()).get((kind, name))

    async def becomes(self, name: str, status: str, reason: str = "", *, kind: str = "container") -> Entity:
        """Wait until an entity has this status and reason."""
        found: Entity | None = None

        async def claim() -> bool:
            nonlocal found
            found = await self.named(kind, name)
            return found is not None and (found.status, found.reason) == (status, reason)

        try:
            await eventually(claim, within_s=20)
        except AssertionError:
            raise AssertionError(f"{kind} {name}: expected {status} {reason}, found {found}") from None
        assert found is not None
        return found

    async def goes(self, kind: str, name: str) -> None:
        """Wait until an entity is removed."""
        await eventually(lambda: self._is_gone(kind, name), within_s=20)

    async def _is_gone(self, kind: str, name: str) -> bool:
        return await self.named(kind, name) is None

    async def agrees(self, within_s: float = 20) -> None:
        """Wait until what is published is what the engine itself lists."""
        expected = published = None

        async def claim() -> bool:
            nonlocal expected, published
            expected, published = await self.listed(), summary(await self.entities())
            return expected == published

        try:
            await eventually(claim, within_s=within_s)
        except AssertionError:
            raise AssertionError(f"listed but not published, or otherwise: {expected ^ published}") from None  # type: ignore[operator]

    async def image(self, reference: str) -> str:
        """The name of the image that has this tag now."""
        return str((await self.api.get(f"images/{reference}/json"))["Id"]).removeprefix("sha256:")[:12]

    async def listed(self) -> set[tuple[str, str, str]]:
        """Kind, name and id of everything on the engine, and whether a container runs, by the engine's own lists."""
        return {
            *((("container", each["Names"][0][1:], f"{each['Id']} {each['State'] == 'running'}"))
              for each in await self.api.get("containers/json?all=1")),
            *(("network", each["Name"], each["Id"]) for each in await self.api.get("networks")),
            *(("volume", each["Name"], each["Name"]) for each in (await self.api.get("volumes"))["Volumes"] or []),
        }  # fmt: skip

    async def log(self, signal: str) -> list[dict[str, Any]]:
        """Every pulse or event stored so far, oldest first."""
        stream = {"pulse": "KGENTS_PULSE", "event": "KGENTS_EVENT"}[signal]
        return [json.loads(payload) for payload in await self.stored(stream)]

    async def stored(self, stream: str) -> list[bytes]:
        """The payload of every message in a stream."""
        client = await nats.connect(self.server.url)
        try:
            last = await last_seq(self.bus, stream)
            js = client.jetstream()
            found: list[bytes] = []
            for seq in range(1, last + 1):
                with contextlib.suppress(NotFoundError):  # replaced by a newer one
                    found.append((await js.get_msg(stream, seq, direct=True)).data or b"")
            return found
        finally:
            await client.close()

    @asynccontextmanager
    async def heard(self) -> AsyncIterator[list[bytes]]:
        """Each message about an entity from now on, in their order: the stream keeps the last of each alone."""
        client, found = await nats.connect(self.server.url), list[bytes]()

        async def note(message: Msg) -> None:
            found.append(message.data)

        await client.subscribe("kgents.entity.>", cb=note)
        await client.flush()
        try:
            yield found
        finally:
            await client.close()

    async def state(self, state: str, reason: str = "") -> None:
        """Wait until the collector's heartbeat says this; the reason may be a part of it."""
        beat = None

        async def claim() -> bool:
            nonlocal beat
            beat = await heartbeat(self.bus, SERVICE)
            return beat is not None and beat.state == state and reason in beat.reason

        try:
            await eventually(claim)
        except AssertionError:
            raise AssertionError(f"expected {state} {reason}, found {beat}") from None


def summary(entities: dict[tuple[str, str], Entity]) -> set[tuple[str, str, str]]:
    """As `Watched.listed`, of what is published."""
    found = set()
    for (kind, name), entity in entities.items():
        if kind == "container":
            found.add((kind, name, f"{entity.uid} {entity.attributes.get('kgents.docker.state') == 'running'}"))
        elif kind == "network":
            found.add((kind, name, entity.uid))
        elif kind == "volume":
            found.add((kind, name, name))
    return found


def edges(entity: Entity) -> set[tuple[str, str, str]]:
    """Kind, direction and peer of every connection."""
    return {(each.kind, each.direction, str(each.peer)) for each in entity.connections}


def connection(entity: Entity, peer: str) -> Connection:
    return next(each for each in entity.connections if str(each.peer) == peer)


def ref(kind: str, name: str, namespace: str = "") -> Ref:
    return Ref("test", kind, name, namespace)


@asynccontextmanager
async def watched(directory: Path) -> AsyncIterator[Watched]:
    """An empty engine and an empty stream."""
    engine = engine_or_skip()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(NatsServer(directory / "nats"))
        bus = await stack.enter_async_context(Bus(NatsConfig(url=server.url), name="test"))
        await provision_streams(bus)
        api = await stack.enter_async_context(engine.api())
        await engine.clear()
        try:
            yield Watched(engine, api, server, bus, directory)
        finally:
            await engine.clear()
