"""Requests on subjects of our own → answers, as a service of the NATS Services API: discoverable, counted, shared.

Every instance joins one queue group, so each request goes to one of them; discovery asks all. nats-py's own service
handles one request at a time at each endpoint, and sends the words of an exception to the caller.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import msgspec
from nats.aio.msg import Msg

from kgents_shared.bus import requests
from kgents_shared.bus.client import Bus
from kgents_shared.bus.direct import HEADERS_MAX_BYTES
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.session import Handler, Session, SessionLostError
from kgents_shared.contract.errors import BusError

QUEUE: Final = "q"
"""The queue group that the protocol names as its default."""
REQUESTS_MAX: Final = 64
"""Answered at once; further ones are asked to try again, twice as many get no answer at all."""
DRAIN_S: Final = 5.0
"""How long requests that came before the end may take."""
TEXT_MAX: Final = 500
"""Characters of an error in a header."""

ERROR: Final = "Nats-Service-Error"
ERROR_CODE: Final = "Nats-Service-Error-Code"

_log = get_logger(__name__)

Answer = Callable[[str, bytes, int], Awaitable[bytes]]
"""Takes the subject of a request, its payload, and how many bytes its answer may have. Raises RequestError."""


class RequestError(Exception):
    """A request that is refused: what its sender is shown."""

    def __init__(self, code: int, text: str, body: bytes = b"") -> None:
        """`code` as in HTTP; `body`: the same as a document."""
        super().__init__(text)
        self.code: Final = code
        self.body: Final = body


class Endpoint(msgspec.Struct, frozen=True):
    """One subject on which requests are answered, or a filter."""

    name: str
    """Letters, digits, `-` and `_`."""
    subject: str
    answer: Answer
    metadata: Mapping[str, str] = {}


# What discovery answers, by the names of the protocol


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers; the whole of a PING."""

    type: str
    name: str
    id: str
    version: str
    metadata: Mapping[str, str]


class EndpointInfo(msgspec.Struct, frozen=True):
    """One endpoint."""

    name: str
    subject: str
    queue_group: str
    metadata: Mapping[str, str]


class Info(Identity, frozen=True, kw_only=True):
    """What can be asked."""

    description: str
    endpoints: list[EndpointInfo]


class EndpointStats(msgspec.Struct):
    """What came to one endpoint, since the start; times in nanoseconds."""

    name: str
    subject: str
    queue_group: str = QUEUE
    num_requests: int = 0
    num_errors: int = 0
    last_error: str = ""
    processing_time: int = 0
    average_processing_time: int = 0

    def count(self, elapsed_s: float, error: str) -> None:
        """One more request has ended."""
        self.num_requests += 1
        self.processing_time += int(elapsed_s * 1e9)
        self.average_processing_time = self.processing_time // self.num_requests
        if error:
            self.num_errors += 1
            self.last_error = error


class Stats(Identity, frozen=True, kw_only=True):
    """What came to all of them."""

    started: datetime
    endpoints: list[EndpointStats]


class Answering:
    """One instance of a service. `run` must be running."""

    def __init__(
        self,
        bus: Bus,
        *,
        name: str,
        id_: str,
        version: str,
        description: str,
        endpoints: Sequence[Endpoint],
        started: datetime,
    ) -> None:
        """`name` is shared by all instances, `id_` by none."""
        self._bus = bus
        self._identity: Final[dict[str, Any]] = {"name": name, "id": id_, "version": version, "metadata": {}}
        self._description = description
        self._endpoints = endpoints
        self._started = started
        self._stats = {each.subject: EndpointStats(each.name, each.subject) for each in endpoints}
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Answer on every session. When cancelled, what came before is answered first."""
        async for session in self._bus.sessions():
            with suppress(SessionLostError):
                await self._serve(session)

    def discovered(self, verb: str) -> Info | Stats | Identity:
        """The answer to `PING`, `INFO` or `STATS`."""
        who = {"type": f"io.nats.micro.v1.{verb.lower()}_response", **self._identity}
        match verb:
            case "INFO":
                found = [EndpointInfo(each.name, each.subject, QUEUE, each.metadata) for each in self._endpoints]
                return Info(**who, description=self._description, endpoints=found)
            case "STATS":
                return Stats(**who, started=self._started, endpoints=list(self._stats.values()))
            case _:
                return Identity(**who)

    async def _serve(self, session: Session) -> None:
        ends: list[Callable[[], Coroutine[Any, Any, None]]] = []
        try:
            for subject, handler, queue in self._handlers(session):
                ends.append(await session.serve(subject, handler, queue=queue))
            await session.lost.wait()
        finally:
            if not session.lost.is_set():
                await self._drain(ends)

    def _handlers(self, session: Session) -> Iterator[tuple[str, Handler, str]]:
        """What to subscribe to, with its queue group."""
        for each in self._endpoints:
            yield each.subject, self._on_request(session, each), QUEUE
        for verb in requests.DISCOVERY:
            for subject in requests.discovery_of(verb, self._identity["name"], self._identity["id"]):
                yield subject, self._on_discovery(session, verb), ""

    async def _drain(self, ends: Sequence[Callable[[], Coroutine[Any, Any, None]]]) -> None:
        """Take no further requests, and end those that are on the way."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                async with asyncio.TaskGroup() as tasks:  # one after the other, many of them may take too long
                    for end in ends:
                        tasks.create_task(end())
                while self._running:
                    await asyncio.wait(self._running)
        for task in self._running:
            task.cancel()

    def _on_request(self, session: Session, endpoint: Endpoint) -> Handler:
        stats = self._stats[endpoint.subject]

        async def handle(message: Msg) -> None:
            if not message.reply:
                return
            if not _is_inbox(message.reply):
                stats.count(0.0, "400: the reply subject is no inbox")
                return
            if len(self._running) >= 2 * REQUESTS_MAX:
                stats.count(0.0, "429: too many requests at once")
                return
            task = asyncio.create_task(self._answer(session, endpoint, message))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

        return handle

    def _on_discovery(self, session: Session, verb: str) -> Handler:
        async def handle(message: Msg) -> None:
            if _is_inbox(message.reply):
                with suppress(BusError):
                    await session.publish(message.reply, msgspec.json.encode(self.discovered(verb)))

        return handle

    async def _answer(self, session: Session, endpoint: Endpoint, message: Msg) -> None:
        clock = asyncio.get_running_loop().time
        began_s = clock()
        try:
            if len(self._running) > REQUESTS_MAX:
                raise RequestError(429, "too many requests at once; try again")  # noqa: TRY301 - answered as any other
            room_bytes = session.max_payload_bytes - HEADERS_MAX_BYTES
            body, headers, error = await endpoint.answer(message.subject, message.data, room_bytes), None, ""
        except RequestError as refused:
            text = " ".join(str(refused).split())[:TEXT_MAX]
            body, headers = refused.body, {ERROR: text, ERROR_CODE: str(refused.code)}
            error = f"{refused.code}: {text}"
        except Exception as failed:  # noqa: BLE001 - a request must not end the service, and its sender waits
            _log.error("request_failed", subject=endpoint.subject, error=repr(failed))
            body, headers, error = b"", {ERROR: "internal error", ERROR_CODE: "500"}, "500: internal error"
        self._stats[endpoint.subject].count(clock() - began_s, error)
        with suppress(BusError):
            await session.publish(message.reply, body, headers=headers)


def _is_inbox(reply: str) -> bool:
    """Whether an answer may be sent to a reply subject. The sender of a request names it, and we send with our rights.

    A purge of a stream, `kgents.entity.…` or a subject of any other stream would be written in our name. Inboxes of all
    clients begin with `_INBOX`, those of other accounts with `_R_`.
    """
    return reply.startswith("_")
