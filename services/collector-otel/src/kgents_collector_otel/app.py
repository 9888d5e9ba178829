"""collector-otel at work: receivers → Admission → Intake, Measurements → entity state table, pulse log."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final

import structlog
from msgspec import structs

from kgents_collector_otel.config import Config
from kgents_collector_otel.described import Described
from kgents_collector_otel.intake import Intake
from kgents_collector_otel.mapping.entity_event import PART
from kgents_collector_otel.mapping.facts import SOURCE
from kgents_collector_otel.measurements import Measurements
from kgents_collector_otel.source import otlp_grpc, otlp_http
from kgents_collector_otel.source.access import Tokens
from kgents_collector_otel.source.admission import LOGS, METRICS, TRACES, Admission, Sink
from kgents_collector_otel.source.answer import PortError
from kgents_collector_otel.source.remote_write import SIGNALS as WRITTEN
from kgents_shared.contract.unread import Unread
from kgents_shared.runtime.collector import Collector
from kgents_shared.runtime.service import Context, Service

LISTEN_AGAIN_S: Final = 5.0
"""From one try to open a port that another program uses to the next."""
TICKS: Final = 4
"""Looks within a window for what is new: it ends the window early, so that it is shown within seconds."""
_MIB: Final = 1024 * 1024

Listening = Callable[[], AbstractAsyncContextManager[str]]

_log = structlog.get_logger(__name__)


async def run(context: Context[Config]) -> None:
    """Receive for as long as this instance holds the lease. No port is open on a standby: its senders go elsewhere."""
    collector = Collector(context, part_of=lambda entity: entity.part)
    await collector.load()
    await collector.collect_only(("", PART))
    config = context.config
    intake = Intake(config, context.cluster, collector.part(), context.clock)
    measurements = Measurements(config, context.cluster, intake.apps, context.clock)
    described = Described(context.cluster, intake.apps, collector.part(PART).values(), context.clock)
    sinks: dict[str, Sink] = {
        TRACES: intake.take,
        METRICS: measurements.take,
        LOGS: described.take,
        **{signal: partial(measurements.take_written, kind) for kind, signal in WRITTEN.items()},
    }
    admission = Admission(sinks, context.clock, max_bytes=int(config.max_in_flight_mib * _MIB))
    work = _Work(context, collector, intake, measurements, described)
    tokens = Tokens(config.tokens_file)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(collector.run())
        tasks.create_task(work.publish())
        if config.prometheus_endpoint:
            tasks.create_task(measurements.poll())
        if config.grpc is not None:
            tasks.create_task(
                work.listen("gRPC", partial(otlp_grpc.listening, config.grpc, config.tls, tokens, admission))
            )
        if config.http is not None:
            tasks.create_task(
                work.listen("HTTP", partial(otlp_http.listening, config.http, config.tls, tokens, admission))
            )


class _Work:
    """What one instance does while it holds the lease."""

    def __init__(
        self,
        context: Context[Config],
        collector: Collector,
        intake: Intake,
        measurements: Measurements,
        described: Described,
    ) -> None:
        self._context = context
        self._collector = collector
        self._intake = intake
        self._measurements = measurements
        self._described = described
        self._closed: dict[str, str] = {}  # receiver → why its port is not open

    async def listen(self, name: str, listening: Listening) -> None:
        """Keep a port open; one that another program uses is tried again, and nothing else waits for it."""
        while True:
            try:
                async with listening() as address:
                    self._closed.pop(name, None)
                    _log.info("receiving", protocol=name, address=address)
                    await asyncio.get_running_loop().create_future()
            except PortError as error:
                if name not in self._closed:
                    _log.warning("port_unavailable", protocol=name, error=str(error))
                self._closed[name] = f"{name} is not received: {error}"
                await self._context.clock.sleep(LISTEN_AGAIN_S)

    async def publish(self) -> None:
        """Publish each window."""
        clock, window_s = self._context.clock, self._context.config.window_s
        is_first = bool(self._collector.part())  # of a start that takes over what is published
        began_s = clock.monotonic_s()
        for part in ("", PART):
            self._collector.attest(part)
        while True:
            for _ in range(TICKS):
                await clock.sleep(window_s / TICKS)
                if not is_first and self._intake.has_news:
                    break
            now_s = clock.monotonic_s()
            described = self._described.facts()
            await self._measurements.count(now_s - began_s)
            facts, faults = await self._intake.close(now_s - began_s, is_first=is_first)
            if not is_first:
                facts = await self._measurements.added_to(facts)
                faults = [*faults, *self._measurements.faults()]
            is_first, began_s = False, now_s
            closed = list(self._closed.values())
            receivers = [self._context.config.grpc, self._context.config.http]
            if closed and len(closed) == sum(each is not None for each in receivers) and facts.entities:
                unread = Unread(reason="; ".join(closed))
                facts = structs.replace(facts, unread=[*facts.unread, unread])
                described = structs.replace(described, unread=[unread])
            await self._collector.publish(facts, faults=[*closed, *faults])
            await self._collector.publish(described, PART)


SERVICE = Service(name="collector-otel", config=Config, run=run, source=SOURCE)
