"""An instrumented shop under `kgents up`: its services and edges with live rates, and the edge that becomes slow."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import nats
import pytest
from nats.aio.client import Client

from kgents_health_scorer.baseline import LEARNT_S, LEARNT_SAMPLES, Past
from kgents_health_scorer.checks.check import SeriesCheck
from kgents_health_scorer.checks.traffic import CHECKS
from kgents_shared.contract.codec import HEALTH, PULSE, encode
from kgents_shared.contract.entity import LOCAL, Ref
from kgents_shared.contract.health import Baseline, Health, Reason
from kgents_shared.contract.pulse import TrafficPulse
from kgents_shared.contract.vocabulary.attributes.any_entity import UNRESOLVED_NAMES
from support.kgents_command import PROGRAM
from support.nats_server import NatsServer
from support.otel_service import CALLS, GET_CART
from support.otel_shop import Shop, otel_shop
from support.ports import free_port
from support.process import accepts, spawn
from support.waiting import MACHINE, eventually, within

EDGES = {(name, callee) for name, callees in CALLS.items() for callee in callees}
SHOWN_WITHIN_S = 10
"""From the shop's first answer on: a batch with every call is sent half a second later at the earliest."""
KINDS = {("frontend", "cart"): "grpc"}
SLOW_WAY_MS = 150
SAMPLE_S = 10
"""A window of the collector as it is without a setting, and here a sample of the scorer, too: 200 calls of the shop."""
SAMPLES_MAX = 3
CALLS_MIN = 20
CALLER, CALLEE = "catalog", "prices"
TRAFFIC = "collector-otel,topology-builder"


@pytest.fixture
def otlp(monkeypatch: pytest.MonkeyPatch) -> int:
    """The port to send to."""
    port = free_port()
    monkeypatch.setenv("KGENTS__COLLECTOR_OTEL__GRPC__PORT", str(port))
    monkeypatch.setenv("KGENTS__COLLECTOR_OTEL__HTTP__PORT", str(free_port()))
    return port


@contextmanager
def up(server: NatsServer, only: str, folder: Path) -> Iterator[None]:
    """`kgents up` of some services, until the block ends."""
    with (folder / "up.log").open("ab") as log:
        command = [PROGRAM, "up", "--data", str(folder / only), "--only", only, "--nats", server.url]
        process = spawn(command, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.timeout(400)
async def test_an_instrumented_shop_is_on_the_map_with_live_rates_and_a_call_that_becomes_slow_is_named(
    server: NatsServer, otlp: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so is who calls it without spans."""
    monkeypatch.setenv("KGENTS__HEALTH_SCORER__TRAFFIC_SAMPLE_S", str(SAMPLE_S))
    with up(server, TRAFFIC, tmp_path):
        await eventually(lambda: accepts(otlp), 60)
        client = await nats.connect(server.url)
        apps = await client.jetstream().subscribe("kgents.topology.local.app.shop.*", ordered_consumer=True)
        async with otel_shop(otlp, tmp_path) as shop:
            found = await edges_with_rates(apps)
            assert {pair: each["kind"] for pair, each in found.items()} == {
                pair: KINDS.get(pair, "http") for pair in EDGES
            }
            assert await callers_of_cart(apps, shop) == [f"from {LOCAL}"]
            for pulse in await eventually(lambda: whole(client), 60):
                await client.jetstream().publish(pulse.ref.subject("health"), encode(learnt(pulse)))
            with up(server, "health-scorer", tmp_path):
                reason, samples = await named(client, shop)
        assert reason.edge is not None
        assert reason.edge.peer == Ref("local", "app", CALLEE, "shop")
        assert f"{CALLER} → app shop/{CALLEE} spend" in reason.text
        print(reason.text)
        assert samples <= SAMPLES_MAX
        await client.close()


async def edges_with_rates(apps: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """Those of the topology, once all are there: in time."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    started_s = time.monotonic()
    async with within(SHOWN_WITHIN_S):
        while set(found) < EDGES:
            entity = json.loads((await apps.next_msg(timeout=MACHINE.limit_s(SHOWN_WITHIN_S))).data)
            for each in entity.get("connections", ()):
                if each.get("traffic", {}).get("requests_per_sec"):
                    found[entity["ref"]["name"], each["peer"]["name"]] = each
    print(f"all edges with rates {time.monotonic() - started_s:.1f} s after the shop answers")
    return found


async def callers_of_cart(apps: Any, shop: Shop) -> list[str]:
    """Those that no entity claims, after a call of one without spans."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{shop.ports['cart-grpc']}") as plain:
        get_cart: Any = plain.unary_unary(GET_CART)
        await get_cart(b"")
    callers: list[str] = []
    while not callers:
        entity = json.loads((await apps.next_msg(timeout=MACHINE.limit_s(60))).data)
        callers = entity["attributes"].get(UNRESOLVED_NAMES, []) if entity["ref"]["name"] == "cart" else []
    return callers


async def named(client: Client, shop: Shop) -> tuple[Reason, int]:
    """The finding after a way became slow, and how many samples it took.

    To learn what is usual takes a quarter of an hour: a scorer before this one did, of samples like the first.
    """
    verdicts = await client.jetstream().subscribe("kgents.health.local.app.shop.*", ordered_consumer=True)
    health = None
    while health is None or health.ref.name != CALLER or not health.evaluated:
        health = HEALTH.decode((await verdicts.next_msg(timeout=MACHINE.limit_s(60))).data)
    assert "KG-411" not in health.learning
    before = (await traffic(client, CALLER))[-1][0]
    await shop.set(CALLER, way_ms=SLOW_WAY_MS)
    found: Reason | None = None
    while found is None:
        health = HEALTH.decode((await verdicts.next_msg(timeout=MACHINE.limit_s(60))).data)
        if health.ref.name == CALLER:
            slow = (each for each in health.reasons if each.check == "KG-411")
            found = next((each for each in slow if place_of(each) > before), None)
    return found, sum(before < place <= place_of(found) for place, _ in await traffic(client, CALLER))


async def traffic(client: Client, app: str = "*") -> list[tuple[int, TrafficPulse]]:
    """The traffic pulses that are kept, with their places in the stream."""
    found: list[tuple[int, TrafficPulse]] = []
    messages = await client.jetstream().subscribe(f"kgents.pulse.local.otel.app.shop.{app}", ordered_consumer=True)
    try:
        while True:
            message = await messages.next_msg(timeout=1)
            pulse = PULSE.decode(message.data)
            if isinstance(pulse, TrafficPulse):
                found.append((message.metadata.sequence.stream, pulse))
    except nats.errors.TimeoutError:
        return found
    finally:
        await messages.unsubscribe()


async def whole(client: Client) -> list[TrafficPulse]:
    """The last pulse of each application, once all calls are in it, pair by pair."""
    last = {pulse.ref: pulse for _, pulse in await traffic(client)}
    pairs = {
        (pulse.ref.name, each.peer.name)
        for pulse in last.values()
        for each in pulse.edges
        if isinstance(each.peer, Ref) and each.gap_ms is not None and each.gap_ms.n >= CALLS_MIN
    }
    return [*last.values()] if pairs == EDGES else []


def learnt(pulse: TrafficPulse) -> Health:
    """What a scorer has published that has seen as many of these as it takes to know what is usual."""
    baselines = [each for check in CHECKS if isinstance(check, SeriesCheck) for each in usual(check, pulse)]
    return Health("", pulse.ref, score=1.0, level="healthy", baselines=baselines)


def usual(check: SeriesCheck, pulse: TrafficPulse) -> Sequence[Baseline]:
    found: list[Baseline] = []
    if check.usual is None:
        return found
    for sample in check.samples(pulse):
        assert sample.value is not None
        past = Past()
        for _ in range(LEARNT_SAMPLES):
            past.learn(sample.value, check.usual.resolution, LEARNT_S / LEARNT_SAMPLES)
        record = past.record(check.id, pulse.source, sample.edge)
        assert record is not None
        found.append(record)
    return found


def place_of(reason: Reason) -> int:
    """Of its evidence in the stream."""
    return int(reason.evidence.rpartition(":")[2])
