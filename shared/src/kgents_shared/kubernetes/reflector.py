"""One resource of one cluster, kept in sync: list or WatchList → watch → list again only if the watch cannot continue.

Reports are level-based: objects as they are now, and at the end of each list all that exist. Changes missed in
between do not matter, and a failed list never removes anything.
"""

import asyncio
import random
from collections.abc import Collection
from contextlib import aclosing, suppress
from sys import intern
from typing import Final, Generic, TypeVar

import msgspec
import structlog

from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.kubernetes.client import STREAMED_LIST, ApiClient
from kgents_shared.kubernetes.error import UNREADABLE, ApiError
from kgents_shared.kubernetes.head import Head
from kgents_shared.kubernetes.messages import ends_initial_events, is_before
from kgents_shared.kubernetes.resource import BREATH, OPEN, Resource
from kgents_shared.kubernetes.retry import BUSY_TRIES, Fault, Retries, WatchEndedError, fault_of
from kgents_shared.kubernetes.sink import Key, Sink
from kgents_shared.kubernetes.watched import Watched
from kgents_shared.runtime.clock import Clock

O = TypeVar("O")  # noqa: E741 - an object of the Kubernetes API

CHECK_S: Final = 60.0
"""Seconds between comparisons of the server's version with ours while a watch is open: a list of one object each."""
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

_log = structlog.get_logger(__name__)


class _NoStreamedListError(Exception):
    """The server ignored the request to begin a watch with a full list, without an error."""


class Reflector(Generic[O]):
    """`run` never returns."""

    def __init__(
        self,
        client: ApiClient,
        kind: Watched[O],
        sink: Sink[O],
        clock: Clock,
        *,
        namespace: str = "",
        selector: str = "",
    ) -> None:
        """`namespace`: this one only; `selector`: objects with these labels only."""
        self.kind: Watched[O] = kind
        self.namespace = namespace
        self.is_synced = False
        """Whether all objects have been listed once."""
        self.fault = ""
        """Why the resource cannot be read now; empty when it can."""
        self.is_settled = False
        """Whether the first list is complete, or has failed."""
        self.changed = asyncio.Event()
        """Set whenever one of these changes."""
        self._client = client
        self._sink = sink
        self._clock = clock
        self._resource = Resource(client, kind, namespace=namespace, selector=selector)
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
                await self._pause(ApiError(0, f"{self._resource.path}: no answer in time"))
            except ApiError as error:
                await self._pause(error)

    # Lists

    async def _sync(self) -> None:
        """Report all that exists; a mass removal only when two lists agree on it."""
        self._went_back = False
        keys, version = await self._read_all()
        missing, known = await self._missing(keys)
        if missing > max(MASS_MIN, MASS_RATIO * known):
            _log.warning("suspicious_mass_removal", resource=self.kind.resource, missing=missing)
            keys, version = await self._list()
        await self._sink.complete(keys)
        self._version = version
        self._set_synced()
        self._retries.clear(keep=Fault.ENDED)
        if not self._retries[Fault.ENDED]:  # else a watch has to last first
            self._visible()

    async def _missing(self, keys: Collection[Key]) -> tuple[int, int]:
        """How many known objects a list does not name, and how many are known."""
        missing = known = 0
        slice_ = TimeSlice()
        for key in self._sink.known():
            known += 1
            missing += key not in keys
            await slice_.checkpoint()
        return missing, known

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
        keys: set[Key] = set()
        version = ""
        async with aclosing(self._resource.pages()) as pages:
            async for page in pages:
                for number, raw in enumerate(page.items or ()):
                    keys.add(self._put(raw)[0])
                    if number % BREATH == BREATH - 1:
                        await asyncio.sleep(0)
                version = page.metadata.resource_version
        return keys, self._resource.version_of_all(version)

    async def _stream_list(self) -> tuple[set[Key], str]:
        """As a watch that begins with all objects: neither side holds the whole list in memory."""
        keys: set[Key] = set()
        params = {
            STREAMED_LIST: "true",
            "resourceVersionMatch": "NotOlderThan",
            "resourceVersion": "",
        }
        async with aclosing(self._resource.lines(params)) as lines:
            async for type_, raw in lines:
                if type_ == OPEN:
                    continue
                if type_ == "BOOKMARK":
                    if not ends_initial_events(raw):
                        raise _NoStreamedListError
                    return keys, self._resource.version_of_all(self._resource.head(raw).resource_version)
                if type_ == "DELETED":
                    keys.discard(_key(self._resource.named(raw)))
                else:
                    keys.add(self._put(raw)[0])
        raise ApiError(0, f"{self._resource.path}: the stream ended before the list was complete")

    def _put(self, raw: msgspec.Raw) -> tuple[Key, Head]:
        """Pass an object to the sink. An unreadable one still exists: its last known version stays.

        Raises:
            ApiError: not even its name can be read.
        """
        try:
            found = self._resource.decode(raw)
        except UNREADABLE as error:
            head = self._resource.named(raw)
            key = _key(head)
            self._note_malformed(key, error)
            return key, head
        head = self._resource.head_of(found, raw)
        key = _key(head)
        try:
            self._sink.put(key, found)
        except Exception as error:  # noqa: BLE001 - one object that cannot be mapped must not hide all others
            self._note_malformed(key, error)
        return key, head

    def _note_malformed(self, key: Key, error: Exception) -> None:
        why = str(error) if isinstance(error, msgspec.DecodeError) else type(error).__name__
        _log.warning("malformed_object", resource=self.kind.resource, name="/".join(key), reason=why)

    # Watches

    async def _watch(self) -> None:
        """Report every change after the version, until the watch ends."""
        started_s, count = self._clock.monotonic_s(), 0
        opened: asyncio.TimerHandle | None = None
        async with aclosing(self._resource.lines({"resourceVersion": self._version})) as lines:
            try:
                async for type_, raw in lines:
                    if type_ == OPEN:
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
            raise WatchEndedError(0, f"{self._resource.path}: the watch ended at once")
        self._well()

    def _on_change(self, type_: str, raw: msgspec.Raw) -> None:
        if type_ == "BOOKMARK":
            self._advance(self._resource.head(raw).resource_version)
            return
        if type_ == "DELETED":
            head = self._resource.named(raw)
            self._sink.drop(_key(head), head.uid)
        else:
            _, head = self._put(raw)
        self._advance(head.resource_version)

    def _advance(self, version: str) -> None:
        """Go on from a version that a watch has shown.

        Raises:
            ApiError: it is older than ours, so that the store is not the one that was listed.
        """
        if is_before(version, self._version):
            found, self._version = self._version, ""
            raise ApiError(0, f"{self._resource.path}: expected versions after {found}, found {version}")
        self._version = version or self._version

    async def _check(self) -> None:
        """Compare versions while a watch is open, and end the watch of a store that is no more. Never returns."""
        while True:
            await self._clock.sleep(CHECK_S * random.uniform(0.5, 1.5))  # noqa: S311 - spread, not secrecy
            with suppress(ApiError, TimeoutError):  # the watch meets the same
                if self._is_watching and await self._has_gone_back() and self._is_watching:
                    self._went_back = True
                    self._resource.end_watches()

    async def _has_gone_back(self) -> bool:
        """Whether the server's newest version is older than ours: its store was restored from a backup.

        Watches do not show it: one from a version that the store has not reached yet is accepted, and silent until it
        has; what is different below that version is never shown.
        """
        ours = self._version
        found = await self._resource.newest_version()
        if not is_before(found, ours):
            return False
        _log.warning("store_went_back", resource=self.kind.resource, known_version=ours, found_version=found)
        return True

    def _well(self) -> None:
        self._retries.clear()
        self._visible()

    def _visible(self) -> None:
        if self.fault:
            self.fault = ""
            _log.info("resource_readable", resource=self.kind.resource)
            self.changed.set()

    def _set_synced(self) -> None:
        if not self.is_synced:
            self.is_synced = self.is_settled = True
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
                if fault:
                    _log.warning("resource_unreadable", resource=self.kind.resource, reason=fault)
                else:
                    _log.info("resource_absent", resource=self.kind.resource)
            self.is_settled = True
            self.changed.set()
        await self._clock.sleep(self._retries.pause_s(error))

    async def _is_absent(self, error: ApiError) -> bool:
        """Whether the cluster does not have the resource: known objects of it are then gone.

        A 404 alone may mean that it serves another version. That is a fault as long as objects are known.
        """
        if error.status != 404 or not self.kind.is_optional:
            return False
        seems_gone = self._retries[Fault.REFUSED] > ABSENT_AFTER
        if any(self._sink.known()) and not (seems_gone and await self._is_group_absent()):
            return False
        await self._sink.complete(())
        self._version = ""
        self._set_synced()
        return True

    async def _is_group_absent(self) -> bool:
        try:
            await self._client.get(f"/apis/{self.kind.group}", {}, msgspec.Raw)
        except ApiError as error:
            return error.status == 404
        except TimeoutError:
            pass
        return False


def _key(head: Head) -> Key:
    """A namespace is kept once, however many objects it has."""
    return intern(head.namespace), head.name
