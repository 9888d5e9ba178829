"""One resource of one cluster, kept in sync: list or WatchList → watch → list again only if the watch cannot continue.

Reports are level-based: objects as they are now, and at the end of each list all that exist. Changes missed in
between do not matter, and a failed list never removes anything.
"""

import asyncio
import random
from collections.abc import Collection
from contextlib import aclosing, suppress
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec
import structlog

from kgents_collector_k8s.mapping.fragment import Kind
from kgents_collector_k8s.source.client import UNREADABLE, ApiClient, ApiError, Status
from kgents_collector_k8s.source.messages import (
    NOTHING,
    Head,
    Headed,
    Line,
    Page,
    PageMetadata,
    ends_initial_events,
    is_before,
)
from kgents_collector_k8s.source.retry import BUSY_TRIES, Fault, Retries, WatchEndedError, fault_of
from kgents_shared.runtime.clock import Clock

O = TypeVar("O")  # noqa: E741 - an object of the Kubernetes API
O_contra = TypeVar("O_contra", contravariant=True)

Key = tuple[str, str]
"""Namespace (empty: none) and name."""

PAGE: Final = 500
"""Objects per page: larger pages block the event loop for too long."""
BREATH: Final = 20
"""Objects handled before other tasks run: a lease renewal takes several turns of the event loop."""
CHECK_S: Final = 60.0
"""Seconds between comparisons of the server's version with ours while a watch is open: a list of one object each."""
WATCH_MIN_S: Final = 300.0
WATCH_MAX_S: Final = 600.0
"""A watch is requested for a time between these, in seconds, so that not all restart at once."""
GRACE_S: Final = 30.0
"""Seconds after that until the client itself ends it."""
SHORT_S: Final = 1.0
"""A watch that ends sooner than this without an error is a failure, and is retried with backoff."""
SHORT_TRIES: Final = 3
"""Watches in a row that end at once until a new list is requested: some servers never report an expired version."""
MASS_RATIO: Final = 0.3
MASS_MIN: Final = 10
"""If more than this share of the known objects, and more than this many, are missing in a list, a second decides."""

STREAM_TRIES: Final = 2
"""After this many failures in a row a plain list is requested, whatever the cause."""

ABSENT_AFTER: Final = 3
"""Refusals in a row until a resource that is not served counts as gone, if its whole API group is gone."""

_OPEN: Final = "OPEN"
"""Our own event type: the server has accepted the watch, though it may not send anything for long."""
_log = structlog.get_logger(__name__)


class Sink(Protocol[O_contra]):
    """Keeps the objects of one reflector."""

    def known(self) -> Collection[Key]:
        """The objects taken to exist now, also from before this process started."""
        ...

    def put(self, key: Key, found: O_contra) -> None:
        """The object exists, in this version."""
        ...

    def drop(self, key: Key, uid: str) -> None:
        """The object with this uid is gone."""
        ...

    async def complete(self, keys: Collection[Key]) -> None:
        """These objects exist, and no others."""
        ...

    def wants_more(self) -> bool:
        """Whether objects were left out that only a new list can bring."""
        ...


class _NoStreamedListError(Exception):
    """The server ignored the request to begin a watch with a full list, without an error."""


class Reflector(Generic[O]):
    """`run` never returns. `settled` is set when the first list is complete, or has failed."""

    def __init__(
        self, client: ApiClient, kind: Kind[O], sink: Sink[O], clock: Clock, *, namespace: str = "", selector: str = ""
    ) -> None:
        """`namespace`: this one only; `selector`: objects with these labels only."""
        self.kind = kind
        self.namespace = namespace
        self.is_synced = False
        self.fault = ""
        """Why the resource cannot be read now; empty when it can."""
        self.settled = asyncio.Event()
        self.changed = asyncio.Event()
        """Set whenever `fault` or `is_synced` changes."""
        self._client = client
        self._sink = sink
        self._clock = clock
        self._path = path_of(kind, namespace)
        self._selector = {"labelSelector": selector} if selector else {}
        self._decoder = msgspec.json.Decoder(kind.type)
        self._version = ""  # where a watch resumes; empty: a list is due
        self._streams_lists = True  # until the server turns out not to support it
        self._is_watching = False
        self._went_back = False  # the server's store, under an open watch: a list is due
        self._retries = Retries()

    async def run(self) -> None:
        """List, watch, and resume after every failure."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_up())
            tasks.create_task(self._check())

    async def _keep_up(self) -> None:
        while True:
            try:
                if not self._version or self._sink.wants_more() or self._went_back or await self._has_gone_back():
                    await self._sync()
                await self._watch()
            except TimeoutError:
                await self._pause(ApiError(0, f"{self._path}: no answer in time"))
            except ApiError as error:
                await self._pause(error)

    # Lists

    async def _sync(self) -> None:
        """Report all that exists; a mass removal only when two lists agree on it."""
        self._went_back = False
        known = set(self._sink.known())
        keys, version = await self._read_all()
        missing = len(known - keys)
        if missing > max(MASS_MIN, MASS_RATIO * len(known)):
            _log.warning("suspicious_mass_removal", resource=self.kind.resource, missing=missing)
            keys, version = await self._list()
        await self._sink.complete(keys)
        self._version, self.is_synced = version, True
        self._retries.clear(keep=Fault.ENDED)
        if not self._retries[Fault.ENDED]:  # else a watch has to last first
            self._visible()

    async def _read_all(self) -> tuple[set[Key], str]:
        if self._streams_lists and self._retries.total() < STREAM_TRIES:
            try:
                return await self._stream_list()
            except (_NoStreamedListError, TimeoutError):
                self._streams_lists = False
            except ApiError as error:
                if error.status not in (400, 406, 422):
                    raise
                self._streams_lists = False
        return await self._list()

    async def _list(self) -> tuple[set[Key], str]:
        """Page by page, all of one version: always the newest, so that it never goes back in time."""
        keys: set[Key] = set()
        page = Page(PageMetadata())
        while True:
            following = {"continue": page.metadata.continue_} if page.metadata.continue_ else {}
            params = {"limit": str(PAGE), **self._selector, **following}
            page = await self._client.get(self._path, params, Page)
            for number, raw in enumerate(page.items or ()):
                keys.add(self._put(raw))
                if number % BREATH == BREATH - 1:
                    await asyncio.sleep(0)
            if not page.metadata.continue_:
                return keys, self._version_of_all(page.metadata.resource_version)

    async def _stream_list(self) -> tuple[set[Key], str]:
        """As a watch that begins with all objects: neither side holds the whole list in memory."""
        keys: set[Key] = set()
        params = {
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "resourceVersion": "",
        }
        async with aclosing(self._lines(params)) as lines:
            async for type_, raw in lines:
                if type_ == _OPEN:
                    continue
                if type_ == "BOOKMARK":
                    if not ends_initial_events(raw):
                        raise _NoStreamedListError
                    return keys, self._version_of_all(self._head(raw).resource_version)
                if type_ == "DELETED":
                    head = self._named(raw)
                    keys.discard((head.namespace, head.name))
                else:
                    keys.add(self._put(raw))
        raise ApiError(0, f"{self._path}: the stream ended before the list was complete")

    def _version_of_all(self, version: str) -> str:
        """The version of a list. A list without one is rejected, so it cannot remove objects by being empty."""
        if not version:
            raise ApiError(0, f"{self._path}: expected a list with a resourceVersion, found none")
        return version

    # Watches

    async def _watch(self) -> None:
        """Report every change after the version, until the watch ends."""
        started_s, count = self._clock.monotonic_s(), 0
        opened: asyncio.TimerHandle | None = None
        async with aclosing(self._lines({"resourceVersion": self._version})) as lines:
            try:
                async for type_, raw in lines:
                    if type_ == _OPEN:
                        self._is_watching = True
                        # Not at once: a failing server may accept a watch and then fail in its first line.
                        opened = asyncio.get_running_loop().call_later(SHORT_S, self._visible)
                        continue
                    count += 1
                    self._on_change(type_, raw)
                    self._well()
            except TimeoutError:
                if opened is None:
                    raise  # no answer at all, unlike an accepted watch without changes
                _log.debug("watch_silent", resource=self.kind.resource)
            finally:
                self._is_watching = False
                if opened is not None:
                    opened.cancel()
        if not count and self._clock.monotonic_s() - started_s < SHORT_S:
            raise WatchEndedError(0, f"{self._path}: the watch ended at once")
        self._well()

    def _on_change(self, type_: str, raw: msgspec.Raw) -> None:
        if type_ == "BOOKMARK":
            self._advance(self._head(raw).resource_version)
            return
        head = self._named(raw)
        if type_ == "DELETED":
            self._sink.drop((head.namespace, head.name), head.uid)
        else:
            self._put(raw)
        self._advance(head.resource_version)

    def _advance(self, version: str) -> None:
        """Go on from a version that a watch has shown.

        Raises:
            ApiError: it is older than ours, so that the store is not the one that was listed.
        """
        if is_before(version, self._version):
            found, self._version = self._version, ""
            raise ApiError(0, f"{self._path}: expected versions after {found}, found {version}")
        self._version = version or self._version

    async def _check(self) -> None:
        """Compare versions while a watch is open, and end the watch of a store that is no more. Never returns."""
        while True:
            await self._clock.sleep(CHECK_S * random.uniform(0.5, 1.5))  # noqa: S311 - spread, not secrecy
            with suppress(ApiError, TimeoutError):  # the watch meets the same
                if self._is_watching and await self._has_gone_back() and self._is_watching:
                    self._went_back = True
                    self._client.end_watches(self._path)

    async def _has_gone_back(self) -> bool:
        """Whether the server's newest version is older than ours: its store was restored from a backup.

        Watches do not show it: one from a version that the store has not reached yet is accepted, and silent until it
        has; what is different below that version is never shown. Without a resourceVersion a list is as new as the
        store, whichever server answers, and its version is that of the whole store, whatever the list shows.
        """
        ours = self._version
        page = await self._client.get(self._path, {"limit": "1"}, Page)
        if not is_before(page.metadata.resource_version, ours):
            return False
        found = page.metadata.resource_version
        _log.warning("store_went_back", resource=self.kind.resource, known_version=ours, found_version=found)
        return True

    async def _lines(self, params: dict[str, str]) -> Any:
        """(type, object) of each line of a watch."""
        seconds = random.uniform(WATCH_MIN_S, WATCH_MAX_S)  # noqa: S311 - spread, not secrecy
        every = {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(int(seconds)), **self._selector}
        lines = self._client.lines(self._path, every | params, deadline_s=seconds + GRACE_S)
        async with aclosing(lines):
            number = 0
            async for line in lines:
                number += 1
                if number % BREATH == 0:  # while lines keep coming, reading them never yields to the event loop
                    await asyncio.sleep(0)
                if not line:
                    yield _OPEN, NOTHING
                    continue
                try:
                    found = msgspec.json.decode(line, type=Line)
                    refusal = msgspec.json.decode(found.object, type=Status) if found.type == "ERROR" else None
                except UNREADABLE as error:
                    raise self._unreadable("line of a watch", error) from None
                if refusal is not None:
                    raise refusal.error()
                yield found.type, found.object

    # Both

    def _put(self, raw: msgspec.Raw) -> Key:
        """Pass an object to the sink. An unreadable one still exists: its last known version stays.

        Raises:
            ApiError: not even its name can be read.
        """
        head = self._named(raw)
        key = head.namespace, head.name
        try:
            self._sink.put(key, self._decoder.decode(raw))
        except Exception as error:  # noqa: BLE001 - one object that cannot be mapped must not hide all others
            why = str(error) if isinstance(error, msgspec.DecodeError) else type(error).__name__
            _log.warning("malformed_object", resource=self.kind.resource, name="/".join(key), reason=why)
        return key

    def _named(self, raw: msgspec.Raw) -> Head:
        head = self._head(raw)
        if not head.name:
            raise self._unreadable("object", "no name")
        return head

    def _head(self, raw: msgspec.Raw) -> Head:
        try:
            return msgspec.json.decode(raw, type=Headed).metadata
        except UNREADABLE as error:
            raise self._unreadable("object", error) from None

    def _unreadable(self, what: str, why: object) -> ApiError:
        """An unreadable line would come again from the same version; a list avoids it."""
        self._version = ""
        return ApiError(0, f"{self._path}: unreadable {what}: {why}")

    def _well(self) -> None:
        self._retries.clear()
        self._visible()

    def _visible(self) -> None:
        if self.fault or not self.settled.is_set():
            self.fault = ""
            self.settled.set()
            self.changed.set()

    async def _pause(self, error: ApiError) -> None:
        """Wait as long as the fault demands; from the second in a row on it is reported."""
        self._retries.add(error)
        kind = fault_of(error)
        ended = self._retries[Fault.ENDED]
        if error.is_expired or (kind is Fault.ENDED and ended % SHORT_TRIES == 0):
            self._version = ""
        is_patience_asked = kind is Fault.BUSY and self.is_synced and self._retries[kind] <= BUSY_TRIES
        if kind is Fault.REFUSED or (self._retries.total() > 1 and not is_patience_asked):
            fault = "" if await self._is_absent(error) else f"{self.kind.resource}: {error}"
            if fault != self.fault:
                self.fault = fault
                _log.warning("resource_unreadable", resource=self.kind.resource, reason=fault)
            self.settled.set()
            self.changed.set()
        await self._clock.sleep(self._retries.pause_s(error))

    async def _is_absent(self, error: ApiError) -> bool:
        """Whether the cluster does not have the resource: known objects of it are then gone.

        A 404 alone may mean that it serves another version. That is a fault as long as objects are known.
        """
        if error.status != 404 or not self.kind.is_optional:
            return False
        if self._sink.known() and not (self._retries[Fault.REFUSED] > ABSENT_AFTER and await self._is_group_absent()):
            return False
        await self._sink.complete(())
        self._version = ""
        self.is_synced = True
        return True

    async def _is_group_absent(self) -> bool:
        try:
            await self._client.get(f"/apis/{self.kind.group}", {}, msgspec.Raw)
        except ApiError as error:
            return error.status == 404
        except TimeoutError:
            pass
        return False


def path_of(kind: Kind[Any], namespace: str = "") -> str:
    """The path of a resource: `/apis/apps/v1/namespaces/shop/deployments`."""
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    return f"{root}/namespaces/{namespace}/{kind.resource}" if namespace else f"{root}/{kind.resource}"
