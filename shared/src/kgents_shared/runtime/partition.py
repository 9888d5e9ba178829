"""One cluster of a service in this process: lease → `run` → lease, over and over, and its heartbeats.

Nothing here concerns another cluster: a lease that is lost, or another writer, ends this run alone.
"""

import asyncio
import contextlib
import gc
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, Final, Generic, NoReturn, TypeVar

import structlog

from kgents_shared.bus.elsewhere import require_one_store
from kgents_shared.bus.provision import require_streams
from kgents_shared.contract import subjects
from kgents_shared.contract.attestation import WRITERS
from kgents_shared.contract.errors import BusError, SteppedDownError
from kgents_shared.contract.section import Section
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.runtime.attendance import attend
from kgents_shared.runtime.heartbeat import beat
from kgents_shared.runtime.server_time import keep_learning, learn
from kgents_shared.runtime.service import Context

C = TypeVar("C", bound=Section)

RETRY_FIRST_S: Final = 1.0
RETRY_MAX_S: Final = 30.0
LOADING_S: Final = 30.0
"""How long a cluster may take to load before the next one begins beside it."""
IN_FLIGHT_S: Final = 1.0
"""How long a release waits for what is in flight, so that the next writer reads it; and for its last heartbeat."""
IN_FLIGHT_TRIES: Final = 100

_log = structlog.get_logger(__name__)


class Partition(Generic[C]):
    """One cluster that this instance holds, or waits for."""

    def __init__(self, context: Context[C], loading: asyncio.Semaphore, changed: Callable[[], None]) -> None:
        """`loading` bounds how many load at a time; `changed` is called when `is_held` has changed."""
        self.context = context
        self.is_held = False
        """Whether this instance writes the cluster, until it finds another one's lease."""
        self._loading = loading
        self._changed = changed
        self._beating: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Hold the cluster until cancelled; then let another instance take it at once."""
        try:
            await self._work()
        finally:
            ending = asyncio.create_task(self._hand_over())
            while not ending.done():  # also when cancelled once more: it takes a few seconds at most
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([ending])

    async def _work(self) -> None:
        context = self.context
        retry_s = RETRY_FIRST_S
        while True:
            context.status.set("standby", "another instance holds the lease")
            await context.lease.acquire()
            self._note_held(True)
            context.status.set("syncing")
            started_s = context.clock.monotonic_s()
            try:
                await first_to_end(context.lease.hold(), self._run(), *self._beside())
            except* SteppedDownError as group:
                for error in leaves(group):
                    context.status.conflicts += 1
                    context.status.set("degraded", str(error))
                    _log.error("stepped_down", cluster=context.cluster, why=str(error), retry_in_s=retry_s)
            context.status.forget_tables()
            self._note_held(context.lease.is_valid)
            if context.clock.monotonic_s() - started_s > RETRY_MAX_S:
                retry_s = RETRY_FIRST_S
            await context.clock.sleep(retry_s)
            retry_s = min(2 * retry_s, RETRY_MAX_S)
            await until_provisioned(context)

    def _beside(self) -> Iterator[Coroutine[Any, Any, NoReturn]]:
        """What is done while the lease is held, beside the service's own work."""
        if self.context.service.name in WRITERS:
            yield attend(self.context)
        if self.context.service.source:
            yield keep_learning(self.context)

    async def _run(self) -> None:
        """Run the service. Few load at a time: leases are renewed in between, and those of all others too."""
        if self.context.service.source:
            await learn(self.context)
        await self._loading.acquire()
        turn = _Turn(self._loading)
        late = asyncio.get_running_loop().call_later(LOADING_S, turn.end)
        self.context.status.when_synced = turn.end
        try:
            await self.context.service.run(self.context)
        finally:
            late.cancel()
            turn.end()
            gc.unfreeze()  # what this run kept may be collected now
        raise RuntimeError(f"{self.context.service.name} returned, though a service runs until it is cancelled")

    def _note_held(self, is_held: bool) -> None:
        if self._beating is None and is_held and self.context.cluster != self.context.common.cluster:
            self._beating = asyncio.create_task(report(self.context))
        if self.is_held != is_held:
            self.is_held = is_held
            self._changed()

    async def _hand_over(self) -> None:
        """Release the lease when what is in flight has arrived."""
        context = self.context
        for _ in range(IN_FLIGHT_TRIES):
            if not (context.bus.is_connected and context.status.is_sending):
                break
            await asyncio.sleep(IN_FLIGHT_S / IN_FLIGHT_TRIES)
        await context.lease.release()
        context.status.forget_tables()
        self.is_held = False
        if self._beating is None:
            return
        self._beating.cancel()
        context.status.set("standby", "another instance may hold the lease")
        with contextlib.suppress(BusError, TimeoutError):
            async with asyncio.timeout(IN_FLIGHT_S):
                await beat(context.publisher, context.cluster, context.status, context.clock.now())


class _Turn:
    """One place among those that load."""

    def __init__(self, loading: asyncio.Semaphore) -> None:
        self._loading: asyncio.Semaphore | None = loading

    def end(self) -> None:
        """Let the next one begin; not more than once."""
        if self._loading is not None:
            self._loading.release()
            self._loading = None


async def report(context: Context[C]) -> None:
    """Send a heartbeat whenever one is due, and the dead letters that were not confirmed. Never returns."""
    async for _ in context.status.due():
        with contextlib.suppress(BusError):
            await beat(context.publisher, context.cluster, context.status, context.clock.now())
        await context.dead_letters.send_again()


async def first_to_end(*calls: Coroutine[Any, Any, None]) -> None:
    """Run calls together until one of them ends; how they failed is raised as a group.

    No `TaskGroup`: one that fails at the moment it is cancelled reports the failure alone, and before Python 3.13 its
    task does not show afterwards that it was cancelled. A service that lost its lease while being stopped would
    then start over.
    """
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    errors = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
    if errors:
        raise BaseExceptionGroup("ended", errors)


async def until_provisioned(context: Context[C]) -> None:
    """Return when every stream is there, and stores what only this JetStream stores."""
    beats = subjects.build(
        "meta", cluster=context.cluster, service=context.service.name, instance=context.common.instance
    )
    while True:
        session = await context.bus.session()
        try:
            await require_streams(session, context.service.streams(context.common.streams))
            await require_one_store(session, NAME_BY_SIGNAL["meta"], beats)
        except BusError as error:
            context.status.set("starting", str(error))
            _log.warning("waiting_for_streams", why=str(error), retry_in_s=RETRY_FIRST_S)
            await context.clock.sleep(RETRY_FIRST_S)
        else:
            return


def leaves(group: BaseExceptionGroup[Any]) -> Iterable[BaseException]:
    """The single errors of a group."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error
