"""An instrumented shop under `kgents up`: its services and edges, with live rates, on the topology."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats
import pytest

from support.kgents_command import start_kgents
from support.otel_shop import CALLS, otel_shop
from support.ports import free_port
from support.waiting import MACHINE, eventually, within

EDGES = {(name, callee) for name, callees in CALLS.items() for callee in callees}
SHOWN_WITHIN_S = 10
"""From the first batch on, which the shop sends half a second after its first answer."""
KINDS = {("frontend", "cart"): "grpc"}


@pytest.fixture
async def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[str, int]]:
    """The url of NATS, and the port to send to."""
    port = free_port()
    monkeypatch.setenv("KGENTS__COLLECTOR_OTEL__GRPC__PORT", str(port))
    monkeypatch.setenv("KGENTS__COLLECTOR_OTEL__HTTP__PORT", str(free_port()))
    process = await start_kgents("up", "--data", str(tmp_path), "--only", "collector-otel,topology-builder")
    assert process.stdout is not None
    try:
        async with within(60):
            line = (await process.stdout.readline()).decode()
            yield next(word for word in line.split() if word.startswith("nats://")), port
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.timeout(180)
async def test_an_instrumented_shop_is_on_the_map_with_live_rates(up: tuple[str, int], tmp_path: Path) -> None:
    url, port = up
    client = await nats.connect(url)
    stream = client.jetstream()
    found: dict[tuple[str, str], dict[str, Any]] = {}

    async def is_in_sync() -> bool:
        beats = await stream.subscribe("kgents.meta.local.collector-otel.>", ordered_consumer=True)
        try:
            beat = json.loads((await beats.next_msg(timeout=1)).data)
        except nats.errors.TimeoutError:
            return False
        finally:
            await beats.unsubscribe()
        return bool(beat.get("state") == "in_sync")

    await eventually(is_in_sync, 60)
    apps = await stream.subscribe("kgents.topology.local.app.shop.*", ordered_consumer=True)
    async with otel_shop(port, tmp_path):
        started_s = time.monotonic()
        async with within(SHOWN_WITHIN_S):
            while set(found) < EDGES:
                entity = json.loads((await apps.next_msg(timeout=MACHINE.limit_s(SHOWN_WITHIN_S))).data)
                for each in entity.get("connections", ()):
                    if each.get("traffic", {}).get("requests_per_sec"):
                        found[entity["ref"]["name"], each["peer"]["name"]] = each
        print(f"all edges with rates {time.monotonic() - started_s:.1f} s after the shop answers")
    await client.close()
    assert {pair: each["kind"] for pair, each in found.items()} == {pair: KINDS.get(pair, "http") for pair in EDGES}
