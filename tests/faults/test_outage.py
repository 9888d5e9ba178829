"""NATS away for longer than a lease lasts: collectors go on observing, and nothing that they saw is lost."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from kgents_health_scorer.source import SILENT_AFTER_S
from kgents_shared.bus.client import Bus
from kgents_shared.bus.lease import TTL_S
from kgents_shared.contract.codec import PULSE
from support.nats_server import NatsServer
from support.proxy import Proxy
from support.service_process import ServiceProcess
from support.streams import stored
from support.truth import in_sync, last_seq
from support.waiting import eventually, is_in_time, pause, settled, stays

pytestmark = pytest.mark.timeout(240)
POLL_S = 1.0
SETTLED_S = 35.0
"""After a missing heartbeat a source is stale, and what it publishes unknown: by then at the latest."""


async def test_a_collector_goes_on_observing_while_nats_is_away(server: NatsServer, bus: Bus, tmp_path: Path) -> None:
    async with (
        NatsServer(tmp_path / "observed") as observed,
        Proxy(server.port) as proxy,
        ServiceProcess(
            "collector-nats",
            proxy.url,
            tmp_path,
            collector_nats__monitor_urls=observed.monitor_url,
            collector_nats__poll_interval_s=str(POLL_S),
        ) as collector,
    ):
        await in_sync(bus, "collector-nats")
        await sampled(bus, 3)
        before = len(await sample_times(bus))
        proxy.refuse()
        await pause(TTL_S + 5)
        proxy.flow()
        await sampled(bus, before + int((TTL_S + 5) / POLL_S))
        await eventually(lambda: "lease_resumed" in collector.log.read_text())
        assert await collector.stop() == 0
        times = await sample_times(bus)

    assert times == sorted(set(times))  # each once, in order
    longest_s = max((later - earlier).total_seconds() for earlier, later in pairwise(times))
    assert is_in_time(longest_s, TTL_S / 2)
    assert "stepped_down" not in collector.log.read_text()


async def test_what_was_observed_through_an_outage_is_not_silent_or_stale_afterwards(
    server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    names = ("collector-nats", "topology-builder", "health-scorer")
    async with NatsServer(tmp_path / "observed") as observed, AsyncExitStack() as services:
        for name in names:
            service = ServiceProcess(
                name,
                server.url,
                tmp_path,
                collector_nats__monitor_urls=observed.monitor_url,
                collector_nats__poll_interval_s=str(POLL_S),
            )
            await services.enter_async_context(service)
        for name in names:
            await in_sync(bus, name)

        async def verdicts() -> list[int]:
            return [await last_seq(bus, name) for name in ("KGENTS_TOPOLOGY", "KGENTS_HEALTH", "KGENTS_ALERT")]

        before = await settled(verdicts, for_s=5)
        count = len(await sample_times(bus))
        server.kill()
        await pause(SILENT_AFTER_S + 10)
        await server.start()
        await sampled(bus, count + int(SILENT_AFTER_S / POLL_S))

        async def is_unchanged() -> bool:
            return await verdicts() == before

        await stays(is_unchanged, for_s=SETTLED_S)


async def sample_times(bus: Bus) -> Sequence[datetime]:
    """When the observed server was sampled, in the order of the stream."""
    pulses = [PULSE.decode(each.payload) for each in await stored(bus, "KGENTS_PULSE")]
    return [each.timestamp for each in pulses if each.ref.kind == "nats_server"]


async def sampled(bus: Bus, count: int) -> None:
    async def is_sampled() -> bool:
        return len(await sample_times(bus)) >= count

    await eventually(is_sampled, within_s=30)
