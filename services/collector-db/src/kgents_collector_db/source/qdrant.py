"""A Qdrant peer → QdrantSample: a few GETs in sequence over kept connections, a deadline for each poll.

Collections and the cluster are read with Qdrant's own client. It cannot read answers that are not JSON (`/metrics`,
`/readyz`), and its model of `/telemetry` requires fields that we do not request: these three are read with httpx.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

import httpx
import msgspec
from msgspec import Struct
from qdrant_client import AsyncQdrantClient

from kgents_collector_db.mapping.qdrant.exposition import parse
from kgents_collector_db.mapping.qdrant.sample import Collection as SeenCollection
from kgents_collector_db.mapping.qdrant.sample import Metrics, Process, QdrantSample, Shards
from kgents_collector_db.source import Tier, qdrant_answer, qdrant_failure
from kgents_collector_db.source.names import resolved_within
from kgents_collector_db.source.qdrant_failure import FAILURES, StatusError
from kgents_collector_db.source.qdrant_key import ApiKey, revealed
from kgents_collector_db.source.qdrant_tls import trusted
from kgents_collector_db.targets.qdrant import QdrantTarget
from kgents_shared.bus.deadline import Deadline
from kgents_shared.contract.address import of_url
from kgents_shared.runtime.clock import Clock

T = TypeVar("T")

CONNECTIONS_MAX: Final = 2
"""Connections per client: of the client library, and of httpx."""
LIBRARY_S: Final = 3_600
"""The deadlines are ours: those of the libraries, in seconds, must not pass first."""
ANSWER_BYTES_MAX: Final = 16 * 1024**2
"""The largest answer: metrics of thousands of collections."""


class QdrantSource:
    """One peer."""

    def __init__(self, target: QdrantTarget, clock: Clock) -> None:
        self._target = target
        self._clock = clock
        self._key = ApiKey()
        options: dict[str, Any] = {
            "auth": self._key,
            "limits": httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
            "trust_env": False,  # ignore proxies of the environment
            "verify": trusted(target),
        }
        self._http = httpx.AsyncClient(base_url=target.url, timeout=LIBRARY_S, **options)
        # Without `check_compatibility=False` the client starts a thread that sends requests.
        self._client = AsyncQdrantClient(url=target.url, timeout=LIBRARY_S, check_compatibility=False, **options)
        self._is_connected = False  # after the last poll
        self._process = ""  # id of the process that the readings below are from
        self._shown: tuple[str, ...] = ()
        self._shards: dict[str, Shards] = {}
        self._shards_at: datetime | None = None
        self._metrics: Metrics | None = None
        self._metrics_before: Metrics | None = None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()
        await self._http.aclose()

    async def read(self, tiers: Collection[Tier]) -> QdrantSample:
        """Poll the sections of these tiers. Failures are in the sample."""
        started_s = self._clock.monotonic_s()
        faults: list[str] = []
        found: dict[str, Any]
        try:
            async with Deadline(self._target.timeout_s):
                self._key.value = await revealed(self._target.api_key)
                if not self._is_connected:
                    await self._reach()
                found = await self._first()
                self._is_connected = True
        except (*FAILURES, TimeoutError) as error:
            self._is_connected = False
            found = {"unreachable": await qdrant_failure.unreachable(error, self._target)}
        else:
            if found["ready"] is not False:  # while it starts, its answers are incomplete
                found |= await self._sections(tiers, faults)
                found |= {"metrics": self._metrics, "metrics_before": self._metrics_before}
        poll_s = self._clock.monotonic_s() - started_s
        return QdrantSample(
            at=self._clock.now(), address=self._target.address, poll_s=poll_s, faults=tuple(faults), **found
        )

    async def _reach(self) -> None:
        """Resolve the host name, and try to connect, before the client does: its deadlines blame whatever they meet."""
        url = self._target.url
        host, port = of_url(url, 443 if self._target.is_https else 80)
        try:
            await resolved_within(host, self._target.connect_timeout_s)
            async with Deadline(self._target.connect_timeout_s):
                _, writer = await asyncio.open_connection(host, port)
            writer.transport.abort()
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no answer at all") from error
        except OSError as error:
            raise httpx.ConnectError("not reached") from error

    async def _first(self) -> dict[str, Any]:
        """The requests without which a poll fails: `/readyz`, and the names of the collections."""
        sent_s = self._clock.monotonic_s()
        response = await self._http.get("/readyz")
        ping_s = self._clock.monotonic_s() - sent_s
        ready = {200: True, 503: False}.get(response.status_code)  # a version before 1.5 has no such path
        if ready is False:
            return {"ready": ready, "ping_s": ping_s}
        names = qdrant_answer.names(await self._client.get_collections())
        self._shown = _chosen(names, self._shown, self._target.max_collections)
        return {"ready": ready, "ping_s": ping_s, "names": names, "shown": self._shown}

    async def _sections(self, tiers: Collection[Tier], faults: list[str]) -> dict[str, Any]:
        """All other sections, until the deadline; missing ones are a fault, and read by the next poll."""
        found: dict[str, Any] = {}
        collections: list[SeenCollection] = []
        unread = dict.fromkeys(self._shown, f"{self._target.address} did not answer for it in time")
        try:
            async with Deadline(self._target.timeout_s):
                found["process"] = await self._tried("GET /telemetry", self._telemetry, faults)
                self._note_start(found["process"])
                found |= await self._tried("GET /cluster", self._cluster, faults) or {}
                await self._read_collections(collections, unread)
                if found.get("raft") is not None and "medium" in tiers:
                    await self._spread_all(faults)
        except TimeoutError:
            done = f"{len(collections)} of {len(self._shown)} collections"
            faults.append(f"{self._target.address}: only {done} were read in {self._target.timeout_s:g} s; it is slow")
        found |= {"collections": tuple(collections), "unread": unread}
        if found.get("raft") is not None:
            shards = {name: each for name, each in self._shards.items() if name in self._shown}
            found |= {"shards": shards, "shards_at": self._shards_at}
        if "medium" in tiers:
            await self._read_metrics(faults)
        return found

    async def _tried(
        self, what: str, read: Callable[[], Awaitable[T]], faults: list[str], *, may_be_gone: bool = False
    ) -> T | None:
        """Read one section; None, and a fault, if that fails. The caller sets the deadline."""
        try:
            return await read()
        except FAILURES as error:
            if may_be_gone and qdrant_failure.is_gone(error):  # the collection was removed since it was listed
                return None
            text = f"{self._target.address}: {what} {qdrant_failure.sentence(error)}"
            if text not in faults:
                faults.append(text)
            return None

    async def _read_collections(self, found: list[SeenCollection], unread: dict[str, str]) -> None:
        """Add each collection to `found`, and take it out of `unread`."""
        for name in self._shown:
            faults: list[str] = []
            ask = partial(self._client.get_collection, name)
            answer = await self._tried("GET /collections/…", ask, faults, may_be_gone=True)
            if answer is not None:
                found.append(qdrant_answer.collection(name, answer))
            del unread[name]
            if faults:
                unread[name] = faults[0]

    async def _spread_all(self, faults: list[str]) -> None:
        """Read the replicas of every collection, one request each. Keeps the last answers."""
        shards: dict[str, Shards] = {}
        for name in self._shown:
            ask = partial(self._client.collection_cluster_info, name)
            answer = await self._tried("GET /collections/…/cluster", ask, faults, may_be_gone=True)
            if answer is not None:
                shards[name] = qdrant_answer.shards(answer)
            elif name in self._shards:  # not read this time: keep the last answer
                shards[name] = self._shards[name]
        self._shards, self._shards_at = shards, self._clock.now()

    async def _cluster(self) -> dict[str, Any]:
        return {"raft": qdrant_answer.raft(await self._client.cluster_status()), "is_cluster_read": True}

    async def _telemetry(self) -> Process:
        body = await self._get("/telemetry", {"details_level": "1"})
        result = msgspec.json.decode(body, type=_Telemetry).result
        memory = result.memory
        return Process(
            id=result.id,
            version=result.app.version if result.app is not None else "",
            started=result.app.startup if result.app is not None else None,
            resident_bytes=memory.resident_bytes if memory is not None else None,
            allocated_bytes=memory.allocated_bytes if memory is not None else None,
        )

    async def _read_metrics(self, faults: list[str]) -> None:
        """Read `/metrics`, which is costly for the server: with a deadline of its own, so that other sections stay."""
        try:
            async with Deadline(self._target.metrics_timeout_s):
                body = await self._tried("GET /metrics", self._metrics_text, faults)
        except TimeoutError:
            faults.append(f"{self._target.address}: GET /metrics had no answer in {self._target.metrics_timeout_s:g} s")
            body = None
        if body is None:
            self._metrics = self._metrics_before = None
            return
        lines = parse(body.decode("utf-8", "replace"), self._target.metrics_prefix)
        now = Metrics(self._clock.now(), self._clock.monotonic_s(), lines)
        self._metrics_before, self._metrics = self._metrics, now

    async def _metrics_text(self) -> bytes:
        timeout_s = self._target.metrics_timeout_s
        return await self._get("/metrics", {"timeout": str(max(1, int(timeout_s)))})

    async def _get(self, path: str, parameters: dict[str, str]) -> bytes:
        body = bytearray()
        async with self._http.stream("GET", path, params=parameters) as response:
            if response.status_code != 200:
                raise StatusError(response.status_code)
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise StatusError(200, f"answers more than {ANSWER_BYTES_MAX} bytes")
        return bytes(body)

    def _note_start(self, process: Process | None) -> None:
        """Drop the readings of an earlier start: they cannot be compared."""
        if process is not None and process.id != self._process:
            self._process = process.id
            self._metrics = self._metrics_before = None


class _App(Struct, frozen=True):
    version: str = ""
    startup: datetime | None = None


class _Memory(Struct, frozen=True):
    resident_bytes: int | None = None
    allocated_bytes: int | None = None


class _Result(Struct, frozen=True):
    id: str
    app: _App | None = None
    memory: _Memory | None = None


class _Telemetry(Struct, frozen=True):
    result: _Result


def _chosen(names: tuple[str, ...], shown: tuple[str, ...], limit: int) -> tuple[str, ...]:
    """The names to poll: shown ones stay until removed, so that a new name does not replace one of them."""
    before = frozenset(shown)
    return tuple(sorted(sorted(names, key=lambda name: (name not in before, name))[:limit]))
