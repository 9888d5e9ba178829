"""One process of one service: configuration → connection → lease → `run` → drain → exit code."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import structlog
import uvloop

from kgents_shared.bus.client import Bus
from kgents_shared.bus.outbox import Outbox
from kgents_shared.contract.errors import BusError, ConfigError
from kgents_shared.contract.section import Section
from kgents_shared.runtime import config as configuration
from kgents_shared.runtime.garbage import calm_collector
from kgents_shared.runtime.heartbeat import beat, observe
from kgents_shared.runtime.logging import setup as setup_logging
from kgents_shared.runtime.partition import first_to_end, leaves, report
from kgents_shared.runtime.partitions import Partitions
from kgents_shared.runtime.probes import Probes
from kgents_shared.runtime.reader import Reader
from kgents_shared.runtime.service import Context, Service
from kgents_shared.runtime.stall import StallMeter
from kgents_shared.runtime.telemetry import Telemetry

C = TypeVar("C", bound=Section)

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_CONFIG: Final = 78
EXIT_INTERRUPTED: Final = 130
DRAIN_S: Final = 5.0
"""Seconds that a stop waits for acks; the rest stays on disk, or is found again as a difference at the next start."""

_log = structlog.get_logger(__name__)


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
    service = service.at(section)
    setup_logging(common.log, service=service.name, no_color=bool(environ.get("NO_COLOR")))
    calm_collector()
    exit_code = EXIT_FAILED
    try:
        exit_code = uvloop.run(_serve(service, common, section))
    except* ConfigError as group:
        for fault in leaves(group):
            _log.error("start_failed", fault=str(fault))
        exit_code = EXIT_CONFIG
    except* Exception:  # noqa: BLE001 - the last line of defence: log it like everything else, and let the process end
        _log.exception("service_failed")
    return exit_code


async def _serve(service: Service[C], common: configuration.CommonConfig, section: C) -> int:
    telemetry = Telemetry(common.telemetry, service=service.name, version=service.version, instance=common.instance)
    stop = _Stop()
    connection_name = f"{service.name}/{common.instance}"
    bus = Bus(common.nats, name=service.name, connection_name=connection_name, cluster=common.cluster)
    probes = Probes(common.probes, metrics=telemetry.render)
    path = Path(common.data_dir) / f"{service.name}.{common.cluster}.outbox"
    with Outbox(path, max_bytes=common.buffer_max_bytes) as outbox, StallMeter() as stalls:
        async with bus, probes:
            context = Context(service, common, section, bus, telemetry, outbox)
            context.status.stalls = stalls
            runs = Partitions(context) if service.has_lease else Reader(context)
            observe(telemetry, lambda: [each.status for each in runs.contexts], bus, context.log, stalls)
            if service.access.is_needed:
                probes.ready_when("nats", lambda: None if bus.is_connected else bus.last_error or "not connected yet")
            probes.ready_when("sync", lambda: _not_ready(runs.contexts))
            _log.info("started", version=service.version, cluster=common.cluster, instance=common.instance)
            await _run_until_stopped(context, runs, stop)
    telemetry.shutdown()
    _log.info("stopped")
    return EXIT_INTERRUPTED if stop.signal == signal.SIGINT else EXIT_OK


def _not_ready(contexts: Iterable[Context[C]]) -> str | None:
    return next((why for each in contexts if (why := each.status.not_ready()) is not None), None)


async def _run_until_stopped(context: Context[C], runs: Partitions[C] | Reader[C], stop: "_Stop") -> None:
    """Run until a stop signal; then publish that the service stops, release the leases, and wait for acks."""
    async with asyncio.TaskGroup() as infrastructure:
        carrying = [
            infrastructure.create_task(context.publisher.run()),
            infrastructure.create_task(context.log.run()),
        ]
        # Not children of the group: when the work fails, messages in flight must still arrive.
        beside = context.service.beside
        work = asyncio.create_task(first_to_end(runs.run(), *([beside(context)] if beside is not None else [])))
        beating = asyncio.create_task(report(context))
        try:
            await stop.wait(work)
        finally:
            for each in runs.contexts:
                each.status.set("stopped")  # before the leases are released: others know then who takes them
            work.cancel()
            await asyncio.wait([work])
            beating.cancel()
            await asyncio.wait([beating])
        await context.log.close(DRAIN_S)
        with contextlib.suppress(BusError, TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await beat(context.publisher, context.cluster, context.status, context.clock.now())
        for task in carrying:
            task.cancel()
    if not work.cancelled():
        work.result()  # raises its error


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
