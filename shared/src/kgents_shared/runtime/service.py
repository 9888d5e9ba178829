"""One process of one service: configuration → connection → lease → `run` → drain → exit code.

Every service is a `Service` record and a `run` that is called whenever this instance holds the lease: it loads its
tables from the streams and runs until it is cancelled or another writer appears. So a start, a takeover, and a resolved
conflict are one path.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import structlog
import uvloop

from kgents_shared.bus.client import Bus
from kgents_shared.bus.dead_letters import DeadLetters
from kgents_shared.bus.lease import Lease
from kgents_shared.bus.log import LogPublisher
from kgents_shared.bus.outbox import Outbox
from kgents_shared.bus.provision import require_streams
from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.state_table import StateTable
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import Codec
from kgents_shared.contract.errors import BusError, ConfigError, SteppedDownError
from kgents_shared.contract.section import Section
from kgents_shared.contract.streams import NAME_BY_SIGNAL, streams
from kgents_shared.contract.wire import Wire
from kgents_shared.runtime import config as configuration
from kgents_shared.runtime.clock import Clock, SystemClock, unix_ns
from kgents_shared.runtime.garbage import calm_collector
from kgents_shared.runtime.heartbeat import Status, beat
from kgents_shared.runtime.logging import setup as setup_logging
from kgents_shared.runtime.probes import Probes
from kgents_shared.runtime.telemetry import Telemetry

C = TypeVar("C", bound=Section)
T = TypeVar("T", bound=Wire)

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_CONFIG: Final = 78
EXIT_INTERRUPTED: Final = 130
DRAIN_S: Final = 5.0
"""Seconds that a stop waits for acks; the rest stays on disk, or is found again as a difference at the next start."""
RETRY_FIRST_S: Final = 1.0
RETRY_MAX_S: Final = 30.0

_log = structlog.get_logger(__name__)


class Context(Generic[C]):
    """The resources of a running service."""

    def __init__(
        self,
        service: "Service[C]",
        common: configuration.CommonConfig,
        config: C,
        bus: Bus,
        telemetry: Telemetry,
        outbox: Outbox,
    ) -> None:
        self.service = service
        self.common = common
        self.config = config
        self.bus = bus
        self.telemetry = telemetry
        self.clock: Clock = SystemClock()
        self.publisher = Publisher(bus)
        self.log = LogPublisher(
            bus,
            self.publisher,
            outbox,
            prefix=f"{common.cluster}:{service.name}:{common.instance}",
            started_ms=self.now_ns() // 1_000_000,
        )
        self.dead_letters = DeadLetters(self.publisher, common.cluster, service.name)
        self.lease = Lease(
            bus,
            self.publisher,
            cluster=common.cluster,
            service=service.name,
            instance=common.instance,
            now=self.clock.now,
        )
        self.status = Status(service.name, common.instance, service.version, self.clock.now(), source=service.source)

    @property
    def cluster(self) -> str:
        """The cluster this instance belongs to."""
        return self.common.cluster

    def now_ns(self) -> int:
        """The wall clock in Unix nanoseconds, as JetStream counts."""
        return unix_ns(self.clock.now())

    def reader(self, codec: Codec[T], filters: Sequence[str]) -> StateView[T]:
        """A view of another writer's rows."""
        self.status.reads(NAME_BY_SIGNAL[codec.signal])
        return StateView(self.bus, codec, NAME_BY_SIGNAL[codec.signal], filters)

    def writer(
        self,
        codec: Codec[T],
        filters: Sequence[str],
        *,
        same: Callable[[T, T], bool] | None = None,
        render: Callable[[T | None, T], T] | None = None,
    ) -> StateTable[T]:
        """A table that this instance alone writes, for as long as it holds the lease."""
        chosen: dict[str, Any] = {
            name: choice for name, choice in (("same", same), ("render", render)) if choice is not None
        }
        table = StateTable(
            self.bus,
            codec,
            NAME_BY_SIGNAL[codec.signal],
            filters,
            publisher=self.publisher,
            may_write=lambda: self.lease.is_valid,
            **chosen,
        )
        self.status.writes(codec.signal, table, filters)
        return table


class Service(Generic[C]):
    """The description of a service. Its package registers one under the group `kgents.services`."""

    def __init__(
        self,
        *,
        name: str,
        config: type[C],
        run: Callable[[Context[C]], Awaitable[None]],
        source: str = "",
    ) -> None:
        """`source` is what a collector writes into its entities; its heartbeat attests them."""
        self.name = name
        self.config = config
        self.run = run
        self.source = source
        self.version = version(f"kgents-{name}")


def serve(
    service: Service[C], *, config_file: Path | None, environ: Mapping[str, str], services: Collection[str]
) -> int:
    """Run until a signal says stop; returns the process's exit code.

    Args:
        service: what to run.
        config_file: the YAML file, if there is one.
        environ: the variables, see `config.process_environ`.
        services: every installed service; the sections of other services are not read.
    """
    try:
        common, section = configuration.load(
            service.name, service.config, path=config_file, environ=environ, services=services
        )
    except ConfigError as error:
        hint = "fix the above, then run `kgents config check`"
        print(error, hint, sep="\n", file=sys.stderr)  # noqa: T201 - the logs are not set up yet, and a person must read this
        return EXIT_CONFIG
    setup_logging(common.log, service=service.name, no_color=bool(environ.get("NO_COLOR")))
    calm_collector()
    exit_code = EXIT_FAILED
    try:
        exit_code = uvloop.run(_serve(service, common, section))
    except* ConfigError as group:
        for fault in _leaves(group):
            _log.error("start_failed", fault=str(fault))
        exit_code = EXIT_CONFIG
    except* Exception:  # noqa: BLE001 - the last line of defence: log it like everything else, and let the process end
        _log.exception("service_failed")
    return exit_code


async def _serve(service: Service[C], common: configuration.CommonConfig, section: C) -> int:
    telemetry = Telemetry(common.telemetry, service=service.name, version=service.version, instance=common.instance)
    stop = _Stop()
    bus = Bus(common.nats, name=service.name, connection_name=f"{service.name}/{common.instance}")
    probes = Probes(common.probes, metrics=telemetry.render)
    with Outbox(Path(common.data_dir) / f"{service.name}.{common.cluster}.outbox") as outbox:
        async with bus, probes:
            context = Context(service, common, section, bus, telemetry, outbox)
            context.status.observe(telemetry.meter, bus, context.log, context.dead_letters)
            probes.ready_when("nats", lambda: None if bus.is_connected else bus.last_error or "not connected yet")
            probes.ready_when("sync", context.status.not_ready)
            _log.info("started", version=service.version, cluster=common.cluster, instance=common.instance)
            await _run_until_stopped(context, stop)
    telemetry.shutdown()
    _log.info("stopped")
    return EXIT_INTERRUPTED if stop.signal == signal.SIGINT else EXIT_OK


async def _run_until_stopped(context: Context[C], stop: "_Stop") -> None:
    """Run until a stop signal; then release the lease, publish that the service stopped, and wait for acks."""
    async with asyncio.TaskGroup() as infrastructure:
        carrying = [
            infrastructure.create_task(context.publisher.run()),
            infrastructure.create_task(context.log.run()),
        ]
        # Not children of the group: when the work fails, messages in flight must still arrive.
        work = asyncio.create_task(_work(context))
        beating = asyncio.create_task(_beat(context))
        try:
            await stop.wait(work)
        finally:
            for task in (work, beating):
                task.cancel()
            await asyncio.wait([work, beating])
        await context.log.close(DRAIN_S)
        with contextlib.suppress(BusError, TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await context.lease.release()
                context.status.set("stopped")
                await beat(context.publisher, context.cluster, context.status, context.clock.now())
        for task in carrying:
            task.cancel()
    if not work.cancelled():
        work.result()  # raises its error


async def _beat(context: Context[C]) -> None:
    async for _ in context.status.due():
        with contextlib.suppress(BusError):
            await beat(context.publisher, context.cluster, context.status, context.clock.now())


async def _work(context: Context[C]) -> None:
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
            for error in _leaves(group):
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


class _Stop:
    """SIGTERM and SIGINT; the second one ends the process at once."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._event = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: signal.Signals) -> None:
        if self.signal is not None:
            raise SystemExit(128 + number)
        self.signal = number
        self._event.set()

    async def wait(self, work: "asyncio.Task[None]") -> None:
        """Return at a signal, or when the work fails."""
        stopping = asyncio.ensure_future(self._event.wait())
        try:
            await asyncio.wait([stopping, work], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()


def _leaves(group: BaseExceptionGroup[Any]) -> Iterable[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def cluster_filters(signal_: str, clusters: Sequence[str]) -> list[str]:
    """The filters of a signal for some clusters; none named: for all."""
    if not clusters:
        return [subjects.pattern(signal_)]
    return [subjects.pattern(signal_, cluster=cluster) for cluster in clusters]
