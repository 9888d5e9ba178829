"""However a client is interrupted, and whichever gateway it comes back to: it ends with what the streams hold."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kgents_gateway.config import StreamConfig
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.view.live import snapshot
from kgents_shared.view.selection import Selection, select
from support.gateway import Running, SseReader, reading, serving
from support.nats_server import NatsServer
from support.state import make_alert, make_health, make_topology, publish, remake, removed
from support.streams import provision_streams
from support.waiting import eventually

NAMES = [f"p{number}" for number in range(12)]
LEVELS = ["healthy", "warning", "critical"]
FILTERS: list[dict[str, str]] = [{}, {"levels": "critical"}, {"labels": "tier=web"}, {"names": "p1*"}]


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    async with NatsServer(tmp_path) as server, Bus(NatsConfig(url=server.url), name="test") as bus:
        await provision_streams(bus)
        yield bus


async def change(bus: Bus, dice: random.Random) -> None:
    name = dice.choice(NAMES)
    match dice.randrange(10):
        case 0 | 1 | 2:
            status, tier = dice.choice(["running", "failed"]), dice.choice(["web", "db"])
            await publish(bus, make_topology(name, status=status, labels={"tier": tier}))
        case 3 | 4:
            await publish(bus, removed(make_topology(name)))
        case 5 | 6 | 7:
            await publish(bus, make_health(name, level=dice.choice(LEVELS)))
        case 8:
            await publish(bus, make_alert(name, state=dice.choice(["firing", "resolved"])))
        case _:
            await publish(bus, removed(make_health(name)))


async def held(bus: Bus, selection: Selection) -> dict[str, Any]:
    """What the streams hold, read in another way than the gateway does."""
    found = await snapshot(bus, selection)
    return {view.key: msgspec.json.decode(view.record()) for view in found.entities()}


@pytest.mark.parametrize("seed", range(6))
async def test_any_interruption_ends_with_what_the_streams_hold(bus: Bus, seed: int) -> None:
    dice = random.Random(seed)
    params = dice.choice(FILTERS)
    config = StreamConfig(remembered_changes=dice.choice([5, 1_000]), queue_bytes=dice.choice([2_000, 100_000]))
    for _ in range(30):
        await change(bus, dice)
    async with AsyncExitStack() as stack:
        gateways: list[Running] = [await stack.enter_async_context(serving(bus, config)) for _ in range(2)]
        reader = SseReader()
        for round_ in range(4):
            gateway = dice.choice(gateways)
            async with reading(gateway, last_id=reader.last_id, known=reader.state, **params) as reader:
                for _ in range(dice.randrange(20)):
                    await change(bus, dice)
                if round_ == 2 and seed % 3 == 0:
                    await remake(bus, "KGENTS_HEALTH")
            for _ in range(dice.randrange(8)):
                await change(bus, dice)
        expected = await held(
            bus, select(level=params.get("levels"), label=params.get("labels"), name=params.get("names"))
        )
        async with reading(dice.choice(gateways), last_id=reader.last_id, known=reader.state, **params) as reader:
            await eventually(lambda: without_id(reader.state) == expected)


def without_id(state: dict[str, Any]) -> dict[str, Any]:
    return {key: {name: value for name, value in each.items() if name != "id"} for key, each in state.items()}
