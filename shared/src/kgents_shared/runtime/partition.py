"""The one writer of a cluster for a service: lease → `run` → lease, over and over, and its heartbeats."""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable
from typing import Any, Final, TypeVar

import structlog

from kgents_shared.bus.provision import require_streams
from kgents_shared.contract.errors import BusError, SteppedDownError
from kgents_shared.contract.section import Section
from kgents_shared.contract.streams import streams
from kgents_shared.runtime.heartbeat import beat
from kgents_shared.runtime.service import Context

C = TypeVar("C", bound=Section)

RETRY_FIRST_S: Final = 1.0
RETRY_MAX_S: Final = 30.0

_log = structlog.get_logger(__name__)


async def report(context: Context[C]) -> None:
    """Send a heartbeat whenever one is due. Never returns."""
    async for _ in context.status.due():
        with contextlib.suppress(BusError):
            await beat(context.publisher, context.cluster, context.status, context.clock.now())


async def serve_partition(context: Context[C]) -> None:
    """Become the one writer, run the service, and start over whenever another writer appears."""
    retry_s = RETRY_FIRST_S
    while True:
        await _until_provisioned(context)
        context.status.set("standby", "another instance holds the lease")
        await context.lease.acquire()
        context.status.set("syncing")
        started_s = context.clock.monotonic_s()
        try:
            await _first_to_end(context.lease.hold(), _run(context))
        except* SteppedDownError as group:
            for error in leaves(group):
                context.status.conflicts += 1
                context.status.set("degraded", str(error))
                _log.error("stepped_down", why=str(error), retry_in_s=retry_s)
        context.status.forget_tables()
        if context.clock.monotonic_s() - started_s > RETRY_MAX_S:
            retry_s = RETRY_FIRST_S
        await context.clock.sleep(retry_s)
        retry_s = min(2 * retry_s, RETRY_MAX_S)


async def _first_to_end(*calls: Coroutine[Any, Any, None]) -> None:
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


async def _run(context: Context[C]) -> None:
    await context.service.run(context)
    raise RuntimeError(f"{context.service.name} returned, though a service runs until it is cancelled")


async def _until_provisioned(context: Context[C]) -> None:
    while True:
        session = await context.bus.session()
        try:
            await require_streams(session, streams(context.common.streams))
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
