"""What collectors publish at an edge, and what of it a hub has: compared message by message."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from kgents_shared.bus import edges
from kgents_shared.bus.client import Bus
from kgents_shared.bus.publish import TTL
from kgents_shared.bus.session import Session
from kgents_shared.bus.sources import ORIGIN, filter_of, origin_seq
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import META, encode
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.errors import BusTimeoutError
from kgents_shared.contract.meta import EDGE_SYNC, HEARTBEAT_TTL_S, Heartbeat
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from support.running import running
from support.streams import stored

SOURCED_S = 150.0
"""How long a hub may take to copy what an edge has: nats-server asks a source again after ten seconds, ten more for
each time that it failed, and two minutes at most."""
SOURCE = "docker"
ENTITIES = 20
PAUSE_S = 0.005


def container(cluster: str, number: int) -> Ref:
    return Ref(cluster, "container", f"c{number}")


async def report(bus: Bus, cluster: str, number: int, *, status: str = "running", image: int = 0) -> None:
    """One entity as it is now."""
    ref = container(cluster, number)
    entity = Entity(ref=ref, source=SOURCE, status=status, attributes={"container.image.name": f"shop:{image}"})
    await (await bus.session(timeout_s=10)).request(ref.subject("entity", source=SOURCE), encode(entity))


async def beat(bus: Bus, cluster: str, *, state: str = "in_sync") -> None:
    """A heartbeat of the collector."""
    message = Heartbeat(
        text="", service="collector-docker", instance="one", version="1", started_at=datetime.now(UTC), state=state,
        source=SOURCE,
    )  # fmt: skip
    subject = subjects.build("meta", cluster=cluster, service="collector-docker", instance="one")
    await (await bus.session(timeout_s=10)).request(subject, encode(message), headers={TTL: f"{HEARTBEAT_TTL_S}s"})


async def sample(bus: Bus, cluster: str, number: int, at: datetime | None = None, cpu_percent: float = 1.0) -> None:
    ref = container(cluster, number)
    pulse = ResourcePulse(
        ref=ref, source=SOURCE, timestamp=at or datetime.now(UTC), interval_s=10, cpu_percent=cpu_percent
    )
    await (await bus.session(timeout_s=10)).request(ref.subject("pulse", source=SOURCE), encode(pulse))


@asynccontextmanager
async def busy(bus: Bus, cluster: str) -> AsyncIterator[None]:
    """A collector at work while the block lasts: samples, entities that change, heartbeats."""

    async def work() -> None:
        round_ = 0
        while True:
            round_ += 1
            for number in range(ENTITIES):
                await sample(bus, cluster, number)
                await report(bus, cluster, number, image=round_)
                await asyncio.sleep(PAUSE_S)
            await beat(bus, cluster)

    async with running(work()):
        yield


async def copied(hub: Bus, edge: Bus, cluster: str, signal: str) -> bool:
    """Whether the hub has exactly what the edge has, in its order."""
    stream, pattern = NAME_BY_SIGNAL[signal], filter_of(signal, cluster)
    there = [(each.seq, each.subject, each.payload) for each in await stored(edge, stream, pattern)]
    found = await stored(hub, stream, pattern)
    here = [(origin_seq((each.headers or {}).get(ORIGIN, "")), each.subject, each.payload) for each in found]
    return here == there


async def link_state(hub: Bus, cluster: str) -> Heartbeat | None:
    """What edge-sync says of an edge; None while it says nothing."""
    subject = subjects.build("meta", cluster=cluster, service=EDGE_SYNC, instance="one")
    found = [each for each in await stored(hub, NAME_BY_SIGNAL["meta"], subject) if not each.marker]
    message = META.decode(found[-1].payload, subject=subject) if found else None
    return message if isinstance(message, Heartbeat) else None


async def is_linked(hub: Bus, cluster: str) -> bool:
    found = await link_state(hub, cluster)
    return found is not None and found.state == "in_sync"


async def is_cut(hub: Bus, cluster: str) -> bool:
    found = await link_state(hub, cluster)
    return found is not None and found.state == "degraded" and found.behind is None


async def answers(session: Session, name: str) -> bool:
    """Whether an edge is heard from."""
    try:
        await edges.observe(session, name)
    except BusTimeoutError:
        return False
    return True
