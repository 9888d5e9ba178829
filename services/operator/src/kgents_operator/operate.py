"""The loop: reflectors say whose turn it is → reconcile → again after a failure, and all of them at each sweep."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol

import structlog

from kgents_operator.config import Config
from kgents_operator.desired.owner import Owner, cluster_label
from kgents_operator.disrupter import Disrupter, closed
from kgents_operator.journal import Journal, Trail
from kgents_operator.kinds import DISRUPTION_API, Api
from kgents_operator.managed import MANAGED, Managed
from kgents_operator.reconcile import Reconciler
from kgents_operator.source import ConfigMapDrawer, Writer
from kgents_operator.status import Figures
from kgents_operator.store import OURS, Objects
from kgents_shared.kubernetes.client import ApiClient
from kgents_shared.kubernetes.error import ApiError
from kgents_shared.kubernetes.probe import Probe
from kgents_shared.kubernetes.reflector import Reflector
from kgents_shared.kubernetes.sink import Key
from kgents_shared.runtime.clock import Clock

Json = dict[str, Any]

WORKERS: Final = 8
"""Resources at a time: a slow one does not hold up the others."""
TOGETHER_S: Final = 0.2
"""What changes within this time is one run."""
FIRST_S: Final = 1.0
LONGEST_S: Final = 300.0
"""Between two tries of what fails: from the first to the longest, doubled each time."""
DOUBT_S: Final = 15.0
"""For how long something cannot be read until the status of every resource says so: what was found last stands so
long, as with every source of kgents."""
LOOK_S: Final = 1.0

_log = structlog.get_logger(__name__)


class Work(Protocol):
    """What is done for each resource of a kind."""

    async def run(self, content: Json) -> float | None:
        """Do it for one; returns after how many seconds again, if it is to be done again without a change."""

    def forget(self, uid: str) -> None:
        """One is gone."""

    def compare_again(self) -> None:
        """Forget what only saves requests."""

    async def doubt(self, content: Json, fault: str) -> None:
        """Say of one that its state is not known."""


class Loop:
    """Works for the resources of one kind: what another kind lacks does not hold it up."""

    def __init__(
        self,
        api: Api,
        children: Sequence[Api],
        config: Config,
        client: ApiClient,
        clock: Clock,
        work: Callable[[Mapping[str, Objects]], Work],
    ) -> None:
        """`work`: of the children, by their kinds."""
        self._config = config
        self._client = client
        self._clock = clock
        self._label = cluster_label(api.kind)
        self.resources = Objects(api, self.touch, self._label)
        self._stores = {each.kind: Objects(each, self.touch, self._label) for each in children}
        self._work = work(self._stores)
        self._due: dict[Key, None] = {}  # in the order in which they became due
        self._running: set[Key] = set()
        self._tries: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._uids: dict[Key, str] = {}
        self._news = asyncio.Event()
        self._reflectors = self._made()
        self._probe = Probe(client, clock, self._news)

    @property
    def fault(self) -> str:
        """Why it cannot read all that it needs: nothing is changed then. Empty: it can."""
        if self._probe.fault:
            return self._probe.fault
        return self._refused or next(
            (f"{each.kind.resource}: not listed yet" for each in self._reflectors if not each.is_synced), ""
        )

    @property
    def _refused(self) -> str:
        """What the server answers to one of the watches instead of objects; empty: nothing."""
        return next((each.fault for each in self._reflectors if each.fault), "")

    def content(self, key: Key) -> Json | None:
        """A resource as it is; None: there is none."""
        found = self.resources.found.get(key)
        return None if found is None else found.content

    def touch(self, key: Key) -> None:
        """It is the turn of a resource, or of none if that does not exist."""
        self._due[key] = None
        self._news.set()

    def touch_all(self) -> None:
        """It is the turn of every resource."""
        for key in self.resources.known():
            self.touch(key)

    async def run(self) -> None:
        """Never returns."""
        async with asyncio.TaskGroup() as tasks:
            for reflector in self._reflectors:
                tasks.create_task(reflector.run())
            tasks.create_task(self._probe.run())
            tasks.create_task(self._sweep())
            tasks.create_task(self._doubt())
            await self._dispatch(tasks)

    async def _dispatch(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            await self._news.wait()
            await self._clock.sleep(TOGETHER_S)
            self._news.clear()
            if self.fault:
                continue  # what cannot be read is not known, and what is not known is not changed
            for key in [each for each in self._due if each not in self._running]:
                if len(self._running) >= WORKERS:
                    break
                del self._due[key]
                self._running.add(key)
                tasks.create_task(self._turn(key))

    async def _turn(self, key: Key) -> None:
        try:
            again_s = await self._reconcile(key)
            self._tries.pop(key, None)
            self._touch_in(again_s, key)
        except (ApiError, TimeoutError) as error:
            self._try_again(key, error)
        except Exception as error:  # noqa: BLE001 - a fault of ours in one resource must not end the work for all
            _log.exception("reconcile_failed", resource="/".join(key))
            self._try_again(key, error)
            await self._admit(key, error)
        finally:
            self._running.discard(key)
            self._news.set()

    def _try_again(self, key: Key, error: Exception) -> None:
        tries = self._tries[key] = self._tries.get(key, 0) + 1
        pause_s = min(LONGEST_S, FIRST_S * 2 ** min(tries - 1, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - spread
        if isinstance(error, ApiError) and error.retry_after_s is not None:
            pause_s = min(LONGEST_S, max(pause_s, error.retry_after_s))
        _log.warning("not_reconciled", resource="/".join(key), error=str(error), retry_in_s=round(pause_s, 1))
        self._touch_in(pause_s, key)

    async def _admit(self, key: Key, error: Exception) -> None:
        """Let the status of a resource that the operator fails on say so, if it can."""
        if (content := self.content(key)) is not None:
            fault = f"the operator fails on this resource, as its log says: {type(error).__name__}"
            with suppress(Exception):  # the status may be what it fails on
                await self._work.doubt(content, fault)

    def _touch_in(self, pause_s: float | None, key: Key) -> None:
        """Let it be its turn after some seconds, in place of what was to be before; None: never by itself."""
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        if pause_s is not None:
            self._timers[key] = asyncio.get_running_loop().call_later(pause_s, self.touch, key)

    async def _reconcile(self, key: Key) -> float | None:
        found = self.resources.found.get(key)
        if found is None:
            if uid := self._uids.pop(key, ""):
                self._work.forget(uid)
            return None
        if self._uids.setdefault(key, found.uid) != found.uid:  # deleted and made again
            self._work.forget(self._uids[key])
            self._uids[key] = found.uid
        if found.content["metadata"].get("deletionTimestamp"):
            return None
        return await self._work.run(found.content)

    async def _sweep(self) -> None:
        """Compare everything now and then, for what no watch shows."""
        while True:
            await self._clock.sleep(self._config.sweep_s)
            self._work.compare_again()
            self.touch_all()

    async def _doubt(self) -> None:
        """While something cannot be read, let each resource say so, and let it be as found when that is over."""
        since_s, said = None, dict[str, str]()  # uid → why
        while True:
            await self._clock.sleep(LOOK_S)
            fault, now_s = self._refused, self._clock.monotonic_s()
            if not fault:
                if said:
                    self.touch_all()
                since_s, said = None, {}
                continue
            since_s = now_s if since_s is None else since_s
            if now_s - since_s < DOUBT_S:
                continue
            for found in [each for each in self.resources.found.values() if said.get(each.uid) != fault]:
                try:
                    await self._work.doubt(found.content, fault)
                    said[found.uid] = fault
                except (ApiError, TimeoutError) as error:
                    since_s = now_s  # and is tried again after as long
                    _log.warning("doubt_not_said", resource=found.uid, error=str(error))

    def _made(self) -> list[Reflector[Any]]:
        made = list[Reflector[Any]]()
        for store in (self.resources, *self._stores.values()):
            selector = "" if store is self.resources else f"{OURS},{self._label}"
            for namespace in self._config.namespaces or [""]:
                each = Reflector[Any](
                    self._client, store.api, store.of(namespace), self._clock, namespace=namespace, selector=selector
                )
                each.changed = self._news
                made.append(each)
        return made


def _reconciler(  # the children come last
    kind: Managed,
    config: Config,
    writer: Writer,
    clock: Clock,
    figures: Callable[[str, Sequence[str]], Figures],
    closed: Callable[[Owner], Mapping[str, Json]],
    journal: Journal,
    children: Mapping[str, Objects],
) -> Work:
    return Reconciler(kind, config, writer, clock, children, figures, closed, journal)


class Operator:
    """Works for as long as `run` does; what it remembers is gone then."""

    def __init__(
        self,
        config: Config,
        client: ApiClient,
        writer: Writer,
        clock: Clock,
        figures: Callable[[str, Sequence[str]], Figures],
        trail: Trail,
        has_standby: Callable[[], bool],
    ) -> None:
        """`has_standby`: whether another instance would take over."""
        drawer = ConfigMapDrawer(writer, config.lease_namespace)
        self._journal = Journal(trail, drawer, clock)
        loops = {
            each.api.kind: Loop(
                each.api,
                each.children,
                config,
                client,
                clock,
                partial(_reconciler, each, config, writer, clock, figures, self._closed, self._journal),
            )
            for each in MANAGED
        }
        self._clock = clock
        self._loops = list(loops.values())
        self._disruptions: Objects | None = None
        if config.disruptions:
            disrupter = Disrupter(writer, clock, trail, loops, has_standby, config.images.curl)
            loop = Loop(DISRUPTION_API, (), config, client, clock, lambda _: disrupter)
            self._disruptions = loop.resources
            self._loops.append(loop)

    def _closed(self, owner: Owner) -> Mapping[str, Json]:
        return {} if self._disruptions is None else closed(self._disruptions, owner, self._clock)

    @property
    def fault(self) -> str:
        """Why a kind cannot be reconciled now; empty: all are."""
        return next((each.fault for each in self._loops if each.fault), "")

    def touch_all(self) -> None:
        """It is the turn of every resource."""
        for each in self._loops:
            each.touch_all()

    async def run(self) -> None:
        """Never returns."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._journal.run())
            for each in self._loops:
                tasks.create_task(each.run())
