"""What becomes of what is published: after a restart, in silence, and where a port is taken."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count, groupby
from pathlib import Path
from typing import Final

import nats
from nats.aio.msg import Msg

from kgents_collector_otel.config import GrpcConfig, HttpConfig
from kgents_health_scorer.app import SERVICE as SCORER
from kgents_health_scorer.config import Config as ScorerConfig
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.contract.codec import ALERT, HEALTH, PULSE
from kgents_shared.contract.pulse import TrafficPulse
from kgents_shared.runtime.heartbeat import beat
from kgents_shared.runtime.service import Context
from kgents_topology_builder.app import SERVICE as BUILDER
from kgents_topology_builder.config import Config as BuilderConfig
from support.alert_log import AlertLog
from support.in_process import published, run_in_process
from support.nats_server import NatsServer
from support.otel_collector import WINDOW_S, Otel, otel_collector
from support.otel_senders import Service, call, exporting, http_exporter
from support.ports import free_port
from support.running import running
from support.waiting import eventually

FAILS: Final = "KG-401"
"""Requests answered with errors: of forty that all fail, one sample is enough."""


async def send(otel: Otel, port: int = 0, *, caller: str = "frontend", is_error: bool = False) -> None:
    """Forty calls of two services: enough to be judged at once."""
    client, cart = Service(caller), Service("cart")
    for _ in range(40):
        call(client, cart, is_error=is_error)
    with exporting(http_exporter(port or otel.http)) as exporter:
        for service in (client, cart):
            await asyncio.to_thread(exporter.export, service.take())


async def until_shown(otel: Otel, port: int = 0) -> None:
    async def is_shown() -> bool:
        await send(otel, port)
        return otel.edge("frontend", "cart") is not None

    await eventually(is_shown, 30)


async def entities(bus: Bus) -> int:
    return (await stream_info(await bus.session(), "KGENTS_ENTITY")).last_seq


@asynccontextmanager
async def attesting(otel: Otel) -> AsyncIterator[None]:
    """It says that it is there, as its process does."""

    async def beating() -> None:
        while True:
            await beat(otel.context.publisher, "test", otel.context.status, otel.context.clock.now())
            await asyncio.sleep(1)

    async with running(beating()):
        yield


class Judged:
    """The service `cart` as a scorer sees it: its finding now, and all that subscribers were shown of it."""

    def __init__(self, scorer: Context[ScorerConfig]) -> None:
        self._scorer = scorer
        self.shown: list[bool] = []
        self.failed = 0
        """Windows in which it failed."""
        self.alerts = AlertLog()

    async def on_message(self, message: Msg) -> None:
        if message.subject.startswith("kgents.alert."):
            self.alerts.note(0.0, [ALERT.decode(message.data)])
        elif message.subject.startswith("kgents.pulse."):
            pulse = PULSE.decode(message.data)
            served = pulse.inbound if isinstance(pulse, TrafficPulse) else None
            self.failed += served is not None and served.errors > 0
        elif (health := HEALTH.decode(message.data)).ref.name == "cart":
            self.shown.append(any(each.check == FAILS for each in health.reasons))

    def is_found(self) -> bool:
        """Whether the finding stands now."""
        found = [each for each in published(self._scorer, "health") if each.ref.name == "cart"]
        return any(reason.check == FAILS for each in found for reason in each.reasons)


@asynccontextmanager
async def judging(bus: Bus, server: NatsServer, directory: Path) -> AsyncIterator[Judged]:
    """A topology-builder and a health-scorer for which each window is a sample."""
    often = ScorerConfig(traffic_sample_s=0.1, tick_interval_s=0.5)
    async with (
        run_in_process(BUILDER, BuilderConfig(), bus, directory),
        run_in_process(SCORER, often, bus, directory) as scorer,
    ):
        judged, client = Judged(scorer), await nats.connect(server.url)
        for subject in ("kgents.health.>", "kgents.alert.>", "kgents.pulse.>"):
            await client.subscribe(subject, cb=judged.on_message)
        await client.flush()
        yield judged
        await client.close()


async def test_a_restart_publishes_nothing_and_a_finding_stands_until_its_cause_ends(
    bus: Bus, server: NatsServer, tmp_path: Path
) -> None:
    async with judging(bus, server, tmp_path) as judged:
        async with otel_collector(bus, tmp_path) as otel, attesting(otel):

            async def is_found() -> bool:
                await send(otel, is_error=True)
                return judged.is_found()

            await eventually(is_found, 30)
            await eventually(lambda: not otel.context.status.backlog)
        before, stored, failed = otel.app("cart"), await entities(bus), judged.failed
        async with otel_collector(bus, tmp_path) as otel, attesting(otel):
            await asyncio.sleep(1.5 * WINDOW_S)  # a claim that nothing comes, of the first window
            assert otel.app("cart") == before
            assert await entities(bus) == stored

            async def fails_on() -> bool:
                await send(otel, is_error=True)
                return judged.failed > failed

            await eventually(fails_on, 30)
            callers = count()

            async def is_over() -> bool:
                await send(otel, caller=f"visitor-{next(callers)}")  # what is new ends a window early
                return not judged.is_found()

            await eventually(is_over, 30)
            await eventually(lambda: judged.alerts.counts[FAILS, "resolved"] and not judged.shown[-1])
    assert [is_found for is_found, _ in groupby(judged.shown)][-2:] == [True, False]
    assert len([is_found for is_found, _ in groupby(judged.shown) if is_found]) == 1
    assert judged.alerts.counts == {(FAILS, "firing"): 1, (FAILS, "resolved"): 1}


async def test_a_silent_application_is_unknown_and_then_gone(bus: Bus, tmp_path: Path) -> None:
    async with otel_collector(bus, tmp_path, silent_after_s=3.0, idle_s=6.0) as otel:
        await until_shown(otel)

        def is_unknown() -> bool:
            entity, edge = otel.app("frontend"), otel.edge("frontend", "cart")
            is_open = edge is not None and edge.traffic is None
            return entity is not None and (entity.status, entity.reason) == ("unknown", "Silent") and is_open

        await eventually(is_unknown, 30)
        await eventually(lambda: otel.app("frontend") is None, 40)
        assert otel.context.status.state == "in_sync"


async def test_a_restart_does_not_keep_what_never_comes_back(bus: Bus, tmp_path: Path) -> None:
    async with otel_collector(bus, tmp_path) as otel:
        await until_shown(otel)
    async with otel_collector(bus, tmp_path, silent_after_s=3.0, idle_s=6.0) as otel:
        assert otel.app("frontend") is not None
        await eventually(lambda: (found := otel.app("frontend")) is not None and found.status == "unknown", 30)
        await eventually(lambda: otel.app("frontend") is None, 40)


async def test_a_port_that_is_taken_is_opened_once_it_is_free_and_the_other_meanwhile(bus: Bus, tmp_path: Path) -> None:
    port, other = free_port(), free_port()
    taken = socket.create_server(("127.0.0.1", port))
    settings = {"grpc": GrpcConfig(port=other), "http": HttpConfig(port=port)}
    async with otel_collector(bus, tmp_path, **settings) as otel:
        await eventually(lambda: "HTTP is not received" in otel.context.status.reason, 30)
        assert otel.context.status.state == "in_sync"
        taken.close()
        await until_shown(otel, port)
        await eventually(lambda: otel.context.status.reason == "")
