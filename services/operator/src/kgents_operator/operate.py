"""The loop: reflectors say whose turn it is → reconcile → again after a failure, and all of them at each sweep."""

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final

import structlog

from kgents_operator.config import Config
from kgents_operator.desired.owner import cluster_label
from kgents_operator.managed import MANAGED, Managed
from kgents_operator.reconcile import Reconciler
from kgents_operator.source import Writer
from kgents_operator.status import Figures
from kgents_operator.store import OURS, Objects
from kgents_shared.kubernetes.client import ApiClient
from kgents_shared.kubernetes.error import ApiError
from kgents_shared.kubernetes.probe import Probe
from kgents_shared.kubernetes.reflector import Reflector
from kgents_shared.kubernetes.sink import Key
from kgents_shared.runtime.clock import Clock

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


class Loop:
    """Reconciles the resources of one kind: what another kind lacks does not hold it up."""

    def __init__(
        self,
        kind: Managed,
        config: Config,
        client: ApiClient,
        writer: Writer,
        clock: Clock,
        figures: Callable[[Key], Figures],
    ) -> None:
        self._config = config
        self._client = client
        self._clock = clock
        self._label = cluster_label(kind.api.kind)
        self._resources = Objects(kind.api, self.touch, self._label)
        self._stores = {api.kind: Objects(api, self.touch, self._label) for api in kind.children}
        self._reconciler = Reconciler(kind, config, writer, clock, self._stores, figures)
        self._due: dict[Key, None] = {}  # in the order in which they became due
        self._running: set[Key] = set()
        self._tries: dict[Key, int] = {}
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

    def touch(self, key: Key) -> None:
        """It is the turn of a resource, or of none if that does not exist."""
        self._due[key] = None
        self._news.set()

    def touch_all(self) -> None:
        """It is the turn of every resource."""
        for key in self._resources.known():
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
            await self._reconcile(key)
            self._tries.pop(key, None)
        except (ApiError, TimeoutError) as error:
            tries = self._tries[key] = self._tries.get(key, 0) + 1
            pause_s = min(LONGEST_S, FIRST_S * 2 ** min(tries - 1, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - spread
            _log.warning("not_reconciled", resource="/".join(key), error=str(error), retry_in_s=round(pause_s, 1))
            asyncio.get_running_loop().call_later(pause_s, self.touch, key)
        finally:
            self._running.discard(key)
            self._news.set()

    async def _reconcile(self, key: Key) -> None:
        found = self._resources.found.get(key)
        if found is None:
            if uid := self._uids.pop(key, ""):
                self._reconciler.forget(uid)
            return
        if self._uids.setdefault(key, found.uid) != found.uid:  # deleted and made again
            self._reconciler.forget(self._uids[key])
            self._uids[key] = found.uid
        if not found.content["metadata"].get("deletionTimestamp"):
            await self._reconciler.run(found.content)

    async def _sweep(self) -> None:
        """Compare everything now and then, for what no watch shows."""
        while True:
            await self._clock.sleep(self._config.sweep_s)
            self._reconciler.compare_again()
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
            for found in [each for each in self._resources.found.values() if said.get(each.uid) != fault]:
                try:
                    await self._reconciler.doubt(found.content, fault)
                    said[found.uid] = fault
                except (ApiError, TimeoutError) as error:
                    since_s = now_s  # and is tried again after as long
                    _log.warning("doubt_not_said", resource=found.uid, error=str(error))

    def _made(self) -> list[Reflector[Any]]:
        made = list[Reflector[Any]]()
        for store in (self._resources, *self._stores.values()):
            selector = "" if store is self._resources else f"{OURS},{self._label}"
            for namespace in self._config.namespaces or [""]:
                each = Reflector[Any](
                    self._client, store.api, store.of(namespace), self._clock, namespace=namespace, selector=selector
                )
                each.changed = self._news
                made.append(each)
        return made


class Operator:
    """Works for as long as `run` does; what it remembers is gone then."""

    def __init__(
        self, config: Config, client: ApiClient, writer: Writer, clock: Clock, figures: Callable[[Key], Figures]
    ) -> None:
        self._loops = [Loop(each, config, client, writer, clock, figures) for each in MANAGED]

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
            for each in self._loops:
                tasks.create_task(each.run())
