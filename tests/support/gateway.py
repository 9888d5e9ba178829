"""A gateway in the test's own process, on a free port."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
from httpx_sse import ServerSentEvent, aconnect_sse

from kgents_gateway.access.tokens import Tokens
from kgents_gateway.app import SERVICE
from kgents_gateway.config import AuthConfig, Config, OidcConfig, StreamConfig
from kgents_gateway.encryption import Encryption
from kgents_gateway.http.app import application
from kgents_gateway.queries.endpoints import DESCRIPTION, endpoints
from kgents_gateway.server import Server
from kgents_gateway.world import Gateway
from kgents_shared.bus.answering import Answering
from kgents_shared.bus.client import Bus
from kgents_shared.bus.dead_letters import DeadLetters
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.bus.publish import Publisher
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.view.entity import STATE
from support.running import running
from support.waiting import eventually

CONNECT_AGAIN_S = 0.2
"""Less than the streams advise: nothing else is served here."""
ENTITIES = "/api/infra/topology/stream"
EVENTS = "/api/infra/events/stream"


class Running:
    """A gateway that serves."""

    def __init__(self, gateway: Gateway, server: Server, client: httpx.AsyncClient) -> None:
        self.gateway = gateway
        self.server = server
        self.client = client

    async def get(self, path: str, **params: Any) -> Any:
        """The decoded answer to a question that has one."""
        response = await self.client.get(path, params=params or None)
        assert response.status_code == 200, response.text
        return response.json()


def answering(bus: Bus, gateway: Gateway) -> Answering:
    """The gateway as one instance of the NATS service."""
    return Answering(
        bus,
        name=SERVICE.asked_as,
        id_=uuid4().hex,
        version="0.1.0",
        description=DESCRIPTION,
        endpoints=endpoints(gateway),
        started=datetime.now(UTC),
    )


@asynccontextmanager
async def serving(
    bus: Bus,
    stream: StreamConfig | None = None,
    *,
    port: int = 0,
    tokens_file: Path | None = None,
    oidc: OidcConfig | None = None,
    verify: ssl.SSLContext | bool = True,
    **settings: Any,
) -> AsyncIterator[Running]:
    """`settings`: others of the gateway; `verify`: how the client checks its certificate."""
    auth = AuthConfig(tokens_file=str(tokens_file) if tokens_file is not None else None, oidc=oidc)
    config = Config(port=port, stream=stream or StreamConfig(), auth=auth, **settings)
    tokens = Tokens(str(tokens_file)) if tokens_file is not None else None
    publisher = Publisher(bus)
    letters = DeadLetters(publisher, "test", SERVICE.name)
    gateway = Gateway(bus, config, SystemClock(), report=lambda _state, _reason: None, letters=letters)
    app = application(gateway, config, tokens, version="0")
    encryption = Encryption(config.tls) if config.tls is not None else None
    context = encryption.context if encryption is not None else None
    server = Server(app, config, encryption=context, before_stop=gateway.connections.end)
    async with (
        running(publisher.run()),
        running(gateway.run()),
        running(server.run_until_stopped()),
        running(answering(bus, gateway).run()),
        running(followed(tokens, gateway) if tokens else asyncio.Event().wait()),
        running(encryption.run() if encryption is not None else asyncio.Event().wait()),
        httpx.AsyncClient(base_url=server.address, timeout=30, verify=verify) as client,
    ):
        await eventually(lambda: server.started)
        await eventually(lambda: gateway.not_ready is None and gateway._incidents.is_complete)
        yield Running(gateway, server, client)


async def caught_up(bus: Bus, running: Running) -> None:
    """Wait until a gateway has read all that is published, each stream for itself, and calls none of it old."""
    session, current = await bus.session(), running.gateway._current
    ends = {signal: (await stream_info(session, NAME_BY_SIGNAL[signal])).last_seq for signal in STATE}

    def has_read() -> bool:
        mark = current.mark if running.gateway.stale_since is None else None
        return mark is not None and all(mark.seq(each) >= ends[each] for each in STATE)

    await eventually(has_read)


async def followed(tokens: Tokens, gateway: Gateway) -> None:
    await tokens.run(
        lambda: gateway.connections.end_withdrawn(lambda each: tokens.has(each, gateway.now().timestamp()))
    )


class SseReader:
    """Reads a stream in the background, as a client that follows it would."""

    def __init__(self) -> None:
        self.events: list[ServerSentEvent] = []
        self.state: dict[str, Any] = {}
        """Id of an entity → its record, as the stream says."""
        self.last_id = ""
        self.is_ready = False
        self.answers: list[httpx.Response] = []
        """One for each time that it connected."""

    @property
    def names(self) -> list[str]:
        return [each.event for each in self.events]

    def data(self, event: str) -> list[Any]:
        return [msgspec.json.decode(each.data) for each in self.events if each.event == event]

    async def run(
        self, client: httpx.AsyncClient, path: str, *, last_id: str = "", params: Mapping[str, Any] | None = None
    ) -> None:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        async with aconnect_sse(client, "GET", path, headers=headers, params=params) as source:
            self.answers.append(source.response)
            source.response.raise_for_status()
            async for event in source.aiter_sse():
                self._take(event)

    async def follow(self, client: httpx.AsyncClient, path: str) -> None:
        """What a client has to do: connect again whenever the stream ends or fails, with the last id."""
        while True:
            with suppress(httpx.HTTPError):
                await self.run(client, path, last_id=self.last_id)
            await asyncio.sleep(CONNECT_AGAIN_S)

    def _take(self, event: ServerSentEvent) -> None:
        self.events.append(event)
        self.last_id = event.id or self.last_id
        data: Any = msgspec.json.decode(event.data) if event.data else None
        match event.event:
            case "batch":
                self.state.update((each["id"], each) for each in data)
            case "upsert":
                self.state[data["id"]] = data
            case "remove":
                self.state.pop(data["id"], None)
            case "reset":
                self.state.clear()
            case "ready":
                self.is_ready = True
            case _:
                pass


@asynccontextmanager
async def reading(
    server: Running, path: str = ENTITIES, *, last_id: str = "", known: Mapping[str, Any] | None = None, **params: Any
) -> AsyncIterator[SseReader]:
    reader = SseReader()
    reader.state.update(known or {})
    async with running(reader.run(server.client, path, last_id=last_id, params=params)):
        await eventually(lambda: reader.is_ready or "hello" in reader.names)
        if path == ENTITIES:
            await eventually(lambda: reader.is_ready)
        yield reader
