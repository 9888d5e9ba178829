"""A gateway → the world: its stream of server-sent events, and its answers. A token is all that it needs."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from kgents_cli.ui.item import item_of
from kgents_cli.ui.rows.known import Pipeline
from kgents_cli.ui.source.answers import (
    Databases,
    Gone,
    Incidents,
    LastOfMany,
    Metrics,
    Page,
    Problem,
    Silences,
    Why,
    messages,
    pulses_of,
    rows_of,
)
from kgents_cli.ui.source.connections import connections_of
from kgents_cli.ui.source.source import Described
from kgents_cli.ui.source.sse import Events, TooLargeError
from kgents_cli.ui.source.then import Then, then_of
from kgents_cli.ui.world import LIVE, Connection, World
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import KgentsError
from kgents_shared.contract.event import Event
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.silence import Matcher
from kgents_shared.contract.vocabulary import kinds as kind_names
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.view.entity import EntityView, Rows, subject_of
from kgents_shared.view.fold import Fold, Row
from kgents_shared.view.past import Past
from kgents_shared.view.selection import Selection


class _Paged(Protocol):
    """A page of an answer."""

    @property
    def next(self) -> str:
        """The id behind which the next one begins; empty: there is none."""


T = TypeVar("T")
P = TypeVar("P", bound=_Paged)

RETRY_S: Final = 2.0
ANSWER_S: Final = 15.0
EVENTS: Final = 500
INCIDENTS: Final = 200
PAGE: Final = 2_000
"""Entities in one answer."""
SILENCES_EVERY_S: Final = 10.0
REST_S: Final = 0.5
"""What comes within so long is read together: each reading wakes the process, which costs more than what it brings."""
MUCH_BYTES: Final = 64 << 10
"""If so much came at once, there is no rest: it is a storm."""
STREAM_TYPE: Final = "text/event-stream"
_STREAM: Final = "/api/v1/stream/entities"


class GatewaySource:
    """Reads a gateway. `run` holds the connections, so it must be running while anything is asked."""

    def __init__(self, url: str, token: str, selection: Selection) -> None:
        """`url`: of the gateway; `token`: empty if it asks for none."""
        self._url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._selection = selection
        self._clusters = [("clusters", each) for each in selection.clusters]
        self._clock = SystemClock()
        self._rows: dict[str, Rows] = {}
        self._world = World()
        self._session: aiohttp.ClientSession | None = None
        self._said: tuple[datetime, float] | None = None  # its time, and when it said so

    @property
    def name(self) -> str:
        """Its address."""
        return self._url

    @property
    def clusters(self) -> Sequence[str]:
        """Those that are selected."""
        return self._selection.clusters

    @property
    def read_only(self) -> str:
        """Whether the token may decide, the gateway says."""
        return ""

    def now(self) -> datetime:
        """The gateway's time, which it says when it is connected to; until then, that of this machine."""
        if self._said is None:
            return self._clock.now()
        at, at_s = self._said
        return at + timedelta(seconds=self._clock.monotonic_s() - at_s)

    async def run(self, world: World) -> None:
        """Keep it up to date until cancelled, over any loss of the gateway."""
        self._world = world
        async with aiohttp.ClientSession(headers=self._headers) as self._session, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_silences(world))
            while True:
                try:
                    await self._follow(world)
                except (KgentsError, TooLargeError, msgspec.MsgspecError) as error:
                    world.fault("gateway", str(error))
                except (aiohttp.ClientError, TimeoutError) as error:
                    world.fault("gateway", f"{self._unanswered(error)}; it is asked again every {RETRY_S:g} s")
                old = world.connection
                since_s = old.since_s if not old.is_live and old.since_s else self._clock.monotonic_s()
                world.connection = Connection(False, "reconnecting", since_s)
                await self._clock.sleep(RETRY_S)

    async def _follow(self, world: World) -> None:
        """One connection: a snapshot, then every change."""
        parsed, found = Events(), dict[str, Rows]()
        is_reading = True
        timeout = aiohttp.ClientTimeout(total=None, sock_read=60, connect=ANSWER_S)
        assert self._session is not None  # noqa: S101 - `run` has made it
        arguments = [("events", str(EVENTS)), ("incidents", str(INCIDENTS)), *self._clusters]
        async with self._session.get(f"{self._url}{_STREAM}", params=arguments, timeout=timeout) as answer:
            await _require_ok(answer)
            if answer.content_type != STREAM_TYPE:  # a proxy that asks for a login answers 200, too
                raise KgentsError(f"expected a gateway at {self._url}, found {answer.content_type}")
            with suppress(KeyError, ValueError):
                self._said = parsedate_to_datetime(answer.headers["Date"]), self._clock.monotonic_s()
            async for chunk in answer.content.iter_any():
                for name, data in parsed.feed(chunk):
                    if name == "reset":
                        found, is_reading = {}, True
                    elif name == "ready":
                        self._complete(world, found if is_reading else None)
                        is_reading = False
                    elif name in ("batch", "upsert", "remove"):
                        self._entities(name, data, found, world, is_reading=is_reading)
                    else:
                        self._other(name, data, world)
                if not is_reading and len(chunk) < MUCH_BYTES and (connection := answer.connection) is not None:
                    await self._rest(connection)

    async def _rest(self, connection: aiohttp.connector.Connection) -> None:
        """Leave for a moment on the socket what comes; answers have connections of their own."""
        if (protocol := connection.protocol) is not None:
            protocol.pause_reading()
            await self._clock.sleep(REST_S)
            protocol.resume_reading()

    def _complete(self, world: World, found: dict[str, Rows] | None) -> None:
        if found is not None:
            self._rows = found
            world.reread((key, item_of(EntityView(key, rows))) for key, rows in found.items())
        world.is_complete, world.connection = True, LIVE
        world.fault("gateway", "")
        world.touch()

    def _entities(self, name: str, data: bytes, found: dict[str, Rows], world: World, *, is_reading: bool) -> None:
        records = msgspec.json.decode(data, type=list[msgspec.Raw]) if name == "batch" else [msgspec.Raw(data)]
        held = found if is_reading else self._rows
        for raw in records:
            key, rows = rows_of(raw)
            if name == "remove" or rows is None:
                held.pop(key, None)
                rows = None
            else:
                held[key] = rows
            if not is_reading:
                world.put([(key, item_of(EntityView(key, rows)) if rows is not None else None)])

    def _other(self, name: str, data: bytes, world: World) -> None:
        if name == "event":
            world.events.append(msgspec.json.decode(data, type=Event))
        elif name == "incidents":
            listed = msgspec.json.decode(data, type=Incidents).incidents
            world.incidents.clear()
            world.incidents.update((each.id, each) for each in listed)
        elif name == "incident":
            gone = msgspec.json.decode(data, type=Gone)
            world.incidents.pop(gone.id, None)
            if gone.op != "remove":
                world.incidents[gone.id] = msgspec.json.decode(data, type=Incident)
        elif name == "stale":
            why = msgspec.json.decode(data, type=Why).reason
            world.connection = Connection(False, why or "the gateway cannot read", self._clock.monotonic_s())
        elif name == "live":
            world.connection = LIVE
        world.touch()

    async def _follow_silences(self, world: World) -> None:
        while True:
            try:
                found = await self._get("/api/v1/silences", Silences, *self._clusters)
            except KgentsError as error:
                world.fault("silences", str(error))
            else:
                world.fault("silences", "")
                if {each.subject: each for each in found.silences} != world.silences:
                    world.silences.clear()
                    world.silences.update((each.subject, each) for each in found.silences)
                    world.touch()
            await self._clock.sleep(SILENCES_EVERY_S)

    def views(self, kinds: Sequence[str]) -> list[EntityView]:
        """The entities of some kinds."""
        return [EntityView(key, rows) for key, rows in self._rows.items() if key.split(".", 2)[1] in kinds]

    async def pulses(self, kinds: Sequence[str]) -> dict[Ref, Pulse]:
        """The last figures of the entities of some kinds."""
        found: dict[Ref, Pulse] = {}
        if kind_names.DATABASE in kinds:  # this answer alone has phases
            async for databases in self._pages("/api/db/metrics", Databases):
                found.update((each.ref, each) for each in databases.pulses)
        else:
            async for page in self._pages("/api/v1/metrics", LastOfMany, kinds=",".join(kinds)):
                found.update((each.ref, each) for each in page.pulses)
        return found

    async def pipeline(self) -> Pipeline | None:
        """How the services are."""
        return await self._get("/api/v1/pipeline", Pipeline, *self._clusters)

    async def describe(self, key: str, ref: Ref) -> Described | None:
        """All that is known of one entity; None: it is not there."""
        del ref
        rows = self._rows.get(key)
        if rows is None:
            return None
        view, unknown = EntityView(key, rows), list[str]()
        pulses: list[Pulse] = []
        try:
            found = await self._get(f"/api/v1/entities/{quote(key)}/metrics", Metrics, ("since", "-15m"))
            pulses = pulses_of(view.ref, found)
        except KgentsError as error:
            unknown.append(f"figures: not known, {error}")
        edges = await connections_of(view, (EntityView(*each) for each in list(self._rows.items())))
        events = [each for each in self._world.events if each.ref == view.ref]
        return Described(view, edges, pulses, events, unknown)

    async def at(self, time: datetime) -> Then:
        """How it was, as far as the gateway knows."""
        fold, forgotten, remarks = Fold(self._selection), dict[str, list[str]](), dict[str, None]()
        async for page in self._pages("/api/v1/entities", Page, at=time.isoformat()):
            for raw in page.entities:
                key, rows = rows_of(raw)
                for signal, check, body in messages(rows) if rows is not None else ():
                    fold.put(Row(subject_of(signal, key, check), body))
            for subject in page.forgotten:
                forgotten.setdefault(subject.split(".")[1], []).append(subject)
            remarks.update(dict.fromkeys(page.remarks))
        whole = [each for subjects in forgotten.values() for each in subjects if each.endswith(".>")]
        single = {name: [each for each in subjects if each not in whole] for name, subjects in forgotten.items()}
        then = then_of(Past(time, fold, single, {}, {}, list(remarks)))
        unknown = [f"{each.split('.')[1]}: nothing is known so early" for each in whole]
        return msgspec.structs.replace(then, unknown=unknown)

    async def acknowledge(self, incident: Incident, note: str) -> None:
        """Store it, with who owns the token as the author."""
        body = {"note": note, "revision": incident.revision}
        await self._put(f"/api/v1/incidents/{incident.id}/acknowledgement", body)

    async def silence(self, cluster: str, matchers: Sequence[Matcher], seconds: float, reason: str) -> str:
        """Store a silence that begins now; returns its id."""
        id_ = secrets.token_hex(4)
        found = [{"field": each.field, "value": each.value} for each in matchers]
        body = {"matchers": found, "duration_s": int(seconds), "reason": reason}
        await self._put(f"/api/v1/silences/{quote(cluster)}/{id_}", body)
        return id_

    async def _pages(self, path: str, of: type[P], **arguments: str) -> AsyncIterator[P]:
        """All pages of an answer about the selected clusters."""
        asked, after = [*arguments.items(), ("limit", str(PAGE)), *self._clusters], list[tuple[str, str]]()
        while True:
            page = await self._get(path, of, *asked, *after)
            yield page
            if not page.next:
                return
            after = [("after_id", page.next)]

    async def _get(self, path: str, of: type[T], *arguments: tuple[str, str]) -> T:
        body = await self._request("GET", path, params=arguments)
        try:
            return msgspec.json.decode(body, type=of)
        except msgspec.MsgspecError:
            raise KgentsError(f"expected an answer of a gateway at {self._url}{path}, found something else") from None

    async def _put(self, path: str, body: dict[str, Any]) -> None:
        await self._request("PUT", path, json=body)

    async def _request(self, method: str, path: str, **more: Any) -> bytes:
        if self._session is None:
            raise KgentsError("not connected yet")
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        try:
            async with self._session.request(method, f"{self._url}{path}", timeout=timeout, **more) as answer:
                await _require_ok(answer)
                return await answer.read()
        except TimeoutError:
            raise KgentsError(f"expected an answer of {self._url} within {ANSWER_S:g} s, found none") from None
        except aiohttp.ClientError as error:
            raise KgentsError(self._unanswered(error)) from None

    def _unanswered(self, error: aiohttp.ClientError | TimeoutError) -> str:
        """Why there is no answer."""
        found = type(error).__name__
        if isinstance(error, TimeoutError):
            found = "nothing in time"
        elif isinstance(error, aiohttp.ClientSSLError):
            found = "no trusted certificate"
        elif isinstance(error, aiohttp.ClientConnectorError):
            found = f"none there ({error.os_error.strerror})"
        elif isinstance(error, aiohttp.ClientResponseError):
            found = "a server that does not speak HTTP"
        return f"expected a gateway at {self._url}, found {found}"


async def _require_ok(answer: aiohttp.ClientResponse) -> None:
    if answer.ok:
        return
    try:
        detail = msgspec.json.decode(await answer.read(), type=Problem).detail
    except msgspec.MsgspecError:
        detail = answer.reason or ""
    raise KgentsError(f"{answer.status}: {detail}")
