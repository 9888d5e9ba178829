"""A gateway → the world: its stream of server-sent events, and its answers. A token is all that it needs."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from kgents_cli.ui.item import item_of
from kgents_cli.ui.rows.known import Pipeline
from kgents_cli.ui.source.source import Described
from kgents_cli.ui.source.sse import Events, TooLargeError
from kgents_cli.ui.source.then import Then, then_of
from kgents_cli.ui.world import LIVE, Connection, World
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import KgentsError
from kgents_shared.contract.event import Event
from kgents_shared.contract.incident import Incident
from kgents_shared.contract.pulse import DatabasePulse, Pulse, ResourcePulse
from kgents_shared.contract.silence import Matcher, Silence
from kgents_shared.contract.vocabulary import kinds as kind_names
from kgents_shared.contract.wire import Time
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.view.entity import EntityView, Rows, subject_of
from kgents_shared.view.fold import Fold, Row
from kgents_shared.view.past import Past
from kgents_shared.view.paths import Graph
from kgents_shared.view.selection import Selection

T = TypeVar("T")

RETRY_S: Final = 2.0
ANSWER_S: Final = 15.0
EVENTS: Final = 500
INCIDENTS: Final = 200
PAGE: Final = 2_000
SILENCES_EVERY_S: Final = 10.0
_STREAM: Final = f"/api/v1/stream/entities?events={EVENTS}&incidents={INCIDENTS}"


class _Record(msgspec.Struct):
    id: str
    health: msgspec.Raw = msgspec.Raw(b"null")
    alerts: list[msgspec.Raw] = []
    op: str = "upsert"


class _Check(msgspec.Struct):
    check: str


class _Page(msgspec.Struct):
    entities: list[msgspec.Raw]
    next: str = ""
    forgotten: list[str] = []
    remarks: list[str] = []


class _Series(msgspec.Struct):
    source: str
    at: list[Time]
    values: list[float | None]


class _Metrics(msgspec.Struct):
    interval_s: float | None
    series: dict[str, list[_Series]]


class _Last(msgspec.Struct):
    ref: Ref
    source: str
    at: Time
    figures: dict[str, float | None]
    interval_s: float


class _LastOfMany(msgspec.Struct):
    entities: list[_Last]


class _Databases(msgspec.Struct):
    databases: list[DatabasePulse]


class _Silences(msgspec.Struct):
    silences: list[Silence]


class _Incidents(msgspec.Struct):
    incidents: list[Incident]


class _Gone(msgspec.Struct):
    id: str
    op: str = ""


class _Why(msgspec.Struct):
    reason: str = ""


class _Problem(msgspec.Struct):
    detail: str


class GatewaySource:
    """Reads a gateway. `run` holds the connections, so it must be running while anything is asked."""

    def __init__(self, url: str, token: str, selection: Selection) -> None:
        """`url`: of the gateway; `token`: empty if it asks for none."""
        self._url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._selection = selection
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
                    world.fault("gateway", f"{type(error).__name__}; it is asked again every {RETRY_S:g} s")
                old = world.connection
                since_s = old.since_s if not old.is_live and old.since_s else self._clock.monotonic_s()
                world.connection = Connection(False, "reconnecting", since_s)
                await self._clock.sleep(RETRY_S)

    async def _follow(self, world: World) -> None:
        """One connection: a snapshot, then every change."""
        parsed, found = Events(), dict[str, Rows]()
        is_reading = True
        filters = "".join(f"&clusters={quote(each)}" for each in self._selection.clusters)
        timeout = aiohttp.ClientTimeout(total=None, sock_read=60, connect=ANSWER_S)
        assert self._session is not None  # noqa: S101 - `run` has made it
        async with self._session.get(f"{self._url}{_STREAM}{filters}", timeout=timeout) as answer:
            await _require_ok(answer)
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
            key, rows = _rows_of(raw)
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
            listed = msgspec.json.decode(data, type=_Incidents).incidents
            world.incidents.clear()
            world.incidents.update((each.id, each) for each in listed)
        elif name == "incident":
            gone = msgspec.json.decode(data, type=_Gone)
            world.incidents.pop(gone.id, None)
            if gone.op != "remove":
                world.incidents[gone.id] = msgspec.json.decode(data, type=Incident)
        elif name == "stale":
            why = msgspec.json.decode(data, type=_Why).reason
            world.connection = Connection(False, why or "the gateway cannot read", self._clock.monotonic_s())
        elif name == "live":
            world.connection = LIVE
        world.touch()

    async def _follow_silences(self, world: World) -> None:
        while True:
            try:
                found = await self._get("/api/v1/silences", _Silences)
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
        if list(kinds) == [kind_names.DATABASE]:
            databases = await self._get("/api/db/metrics", _Databases)
            return {each.ref: each for each in databases.databases}
        found = await self._get("/api/v1/metrics", _LastOfMany, kinds=",".join(kinds))
        return {each.ref: _pulse(each) for each in found.entities}

    async def pipeline(self) -> Pipeline | None:
        """How the services are."""
        return await self._get("/api/v1/pipeline", Pipeline)

    async def describe(self, key: str, ref: Ref) -> Described | None:
        """All that is known of one entity; None: it is not there."""
        del ref
        rows = self._rows.get(key)
        if rows is None:
            return None
        view, unknown = EntityView(key, rows), list[str]()
        pulses: list[Pulse] = []
        try:
            found = await self._get(f"/api/v1/entities/{quote(key)}/metrics", _Metrics, since="-15m")
            pulses = _pulses(view.ref, found)
        except KgentsError as error:
            unknown.append(f"figures: not known, {error}")
        graph, name = Graph([view]), view.ref.name.encode()
        for other_key, other_rows in self._rows.items():
            if other_key != key and name in (other_rows.topology or b""):
                graph.add(EntityView(other_key, other_rows))
        events = [each for each in self._world.events if each.ref == view.ref]
        return Described(view, graph.edges(view.ref), pulses, events, unknown)

    async def at(self, time: datetime) -> Then:
        """How it was, as far as the gateway knows."""
        fold, forgotten, after = Fold(self._selection), dict[str, list[str]](), ""
        while True:
            asked = {"at": time.isoformat(), "limit": str(PAGE), "after_id": after}
            page = await self._get("/api/v1/entities", _Page, **{name: each for name, each in asked.items() if each})
            for raw in page.entities:
                key, rows = _rows_of(raw)
                for signal, check, body in _messages(rows) if rows is not None else ():
                    fold.put(Row(subject_of(signal, key, check), body))
            for subject in page.forgotten:
                forgotten.setdefault(subject.split(".")[1], []).append(subject)
            if not (after := page.next):
                break
        whole = [each for subjects in forgotten.values() for each in subjects if each.endswith(".>")]
        single = {name: [each for each in subjects if each not in whole] for name, subjects in forgotten.items()}
        then = then_of(Past(time, fold, single, {}, {}, page.remarks))
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

    async def _get(self, path: str, of: type[T], **arguments: str) -> T:
        return msgspec.json.decode(await self._request("GET", path, params=arguments), type=of)

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
            raise KgentsError(f"expected an answer of {self._url}, found: {type(error).__name__}") from None


def _pulse(each: _Last) -> Pulse:
    return ResourcePulse(
        ref=each.ref, source=each.source, timestamp=each.at, interval_s=each.interval_s, custom=each.figures
    )


async def _require_ok(answer: aiohttp.ClientResponse) -> None:
    if answer.ok:
        return
    try:
        detail = msgspec.json.decode(await answer.read(), type=_Problem).detail
    except msgspec.MsgspecError:
        detail = answer.reason or ""
    raise KgentsError(f"{answer.status}: {detail}")


def _rows_of(raw: msgspec.Raw) -> tuple[str, Rows | None]:
    """The messages of a record. It is its topology message with more keys, which readers of that pass over."""
    record = msgspec.json.decode(raw, type=_Record)
    if record.op == "remove":
        return record.id, None
    health = bytes(record.health)
    alerts = {msgspec.json.decode(each, type=_Check).check: bytes(each) for each in record.alerts}
    return record.id, Rows(bytes(raw), None if health == b"null" else health, alerts or None)


def _messages(rows: Rows) -> list[tuple[str, str, bytes]]:
    found = [("topology", "", rows.topology), ("health", "", rows.health)]
    found += [("alert", check, body) for check, body in (rows.alerts or {}).items()]
    return [(signal, check, body) for signal, check, body in found if body is not None]


def _pulses(ref: Ref, found: _Metrics) -> list[Pulse]:
    """The samples, each with all figures of its time."""
    by_time: dict[tuple[datetime, str], dict[str, float | None]] = {}
    for name, series in found.series.items():
        for each in series:
            for at, value in zip(each.at, each.values, strict=True):
                by_time.setdefault((at, each.source), {})[name] = value
    interval_s = found.interval_s or 0.0
    return [ResourcePulse(ref=ref, source=source, timestamp=at, interval_s=interval_s, custom=values)
            for (at, source), values in sorted(by_time.items())]  # fmt: skip
