"""Ten minutes of samples that arrive at once after a cut: of their own time, and so no alert begins by them."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from kgents_shared.bus.client import Bus
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import HEALTH, encode
from kgents_shared.contract.health import Health
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from support.edge_site import EdgeSite, bus_of
from support.edge_traffic import SOURCE, beat, container, is_cut, is_linked, report
from support.running import running
from support.streams import stored
from support.waiting import eventually

INTERVAL_S = 10
CUT_S = 600
LIMIT = 1_000_000


async def test_what_a_cut_held_back_raises_no_alert_and_what_is_so_now_does(tmp_path: Path) -> None:
    async with (
        EdgeSite(tmp_path, names=["A"]) as site,
        bus_of(site.edges["A"].login("collector-docker"), "collector-docker", "A") as writer,
        bus_of(site.login("reader")) as hub,
        site.service("topology-builder"),
        site.service("health-scorer"),
    ):
        await report(writer, "A", 0)
        async with running(_beating(writer)), site.service("edge-sync"):
            await eventually(partial(is_linked, hub, "A"), within_s=40)
            site.edges["A"].cut()
            await eventually(partial(is_cut, hub, "A"), within_s=20)
            now = datetime.now(UTC)
            for age_s in range(CUT_S, INTERVAL_S, -INTERVAL_S):  # full for minutes, and long over when the link is back
                await _sample(writer, now - timedelta(seconds=age_s), memory_bytes=LIMIT)
            site.edges["A"].heal()
            await eventually(partial(is_linked, hub, "A"), within_s=40)
            await _sample(writer, datetime.now(UTC), memory_bytes=LIMIT // 10)
            await eventually(partial(_is_healthy, hub), within_s=40)
            assert not await _alerts(hub), "it was full, and it is not"
            late = datetime.now(UTC)
            for number in range(1, 20):  # full from now on, by the collector's own clock
                await _sample(writer, late + timedelta(seconds=number), memory_bytes=LIMIT)
            await eventually(partial(_alerts, hub), within_s=40)


async def _beating(writer: Bus) -> None:
    while True:
        await beat(writer, "A")
        await asyncio.sleep(2)


async def _sample(writer: Bus, at: datetime, *, memory_bytes: int) -> None:
    ref = container("A", 0)
    pulse = ResourcePulse(
        ref=ref, source=SOURCE, timestamp=at, interval_s=INTERVAL_S, memory_bytes=memory_bytes, memory_limit_bytes=LIMIT
    )
    await (await writer.session()).request(ref.subject("pulse", source=SOURCE), encode(pulse))


async def _is_healthy(hub: Bus) -> bool:
    """Whether the container was judged by the sample of now."""
    subject = container("A", 0).subject("health")
    found = [each for each in await stored(hub, NAME_BY_SIGNAL["health"], subject) if each.payload]
    message = HEALTH.decode(found[-1].payload, subject=subject) if found else None
    return isinstance(message, Health) and message.level == "healthy" and bool(message.evaluated)


async def _alerts(hub: Bus) -> list[str]:
    pattern = subjects.pattern("alert", cluster="A", kind="container")
    return [each.payload.decode() for each in await stored(hub, NAME_BY_SIGNAL["alert"], pattern)]
