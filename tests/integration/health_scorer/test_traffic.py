"""Traffic pulses on a real stream: a delay turns its connection within three samples, also after a restart."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import structs

from kgents_health_scorer.app import SERVICE
from kgents_health_scorer.config import Config
from kgents_shared.bus.client import Bus
from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.state_table import StateTable
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import TOPOLOGY, encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.health import Edge, Health
from kgents_shared.contract.pulse import EdgeSample
from kgents_shared.contract.topology import ResolvedConnection, TopologyEntity
from support.build import make_ref
from support.fixtures import bus, server
from support.in_process import published, run_in_process, until_in_sync
from support.running import running
from support.traffic_inputs import edge, traffic
from support.waiting import eventually

__all__ = ["bus", "server"]

SAMPLE_S = 10.0
HOUR = 360
"""Samples of an hour."""
FRONT, CART = (structs.replace(make_ref(name), kind="app") for name in ("front", "cart"))
CONFIG = Config(traffic_sample_s=SAMPLE_S)


async def test_a_delay_turns_its_connection_and_a_restarted_scorer_knows_what_was_usual(
    bus: Bus, tmp_path: Path
) -> None:
    publisher = Publisher(bus)
    table = StateTable(bus, TOPOLOGY, "KGENTS_TOPOLOGY", [subjects.pattern("topology")], publisher=publisher)
    began = datetime.now(UTC) - timedelta(seconds=(HOUR + 20) * SAMPLE_S)
    sent = 0

    async def calls(sample: EdgeSample, times: int = 1) -> None:
        """Samples of ten seconds, one after the other."""
        nonlocal sent
        for _ in range(times):
            sent += 1
            at = began + timedelta(seconds=sent * SAMPLE_S)
            pulse = structs.replace(traffic(0, sample, ref=FRONT, interval_s=SAMPLE_S), timestamp=at)
            await publisher.send_one(FRONT.subject("pulse", source="otel"), encode(pulse), {})

    usual, slow = edge(CART, n=60), edge(CART, n=60, client=250.0)
    async with running(publisher.run()):
        await table.load()
        async with running(table.run()):
            for ref in (FRONT, CART):
                connections = [ResolvedConnection("http", CART)] if ref == FRONT else []
                entity = TopologyEntity(text="", ref=ref, status="running", connections=connections)
                table.put(ref.subject("topology"), entity)
            await table.flush()
            async with run_in_process(SERVICE, CONFIG, bus, tmp_path) as context:
                await until_in_sync(context)
                await calls(usual, HOUR)
                await eventually(lambda: context.status.watermark.get("KGENTS_PULSE", 0) >= HOUR)
                # It is published again once it covers twice the time, which is so after some sample of a batch.
                assert known_s(published(context, "health")) >= HOUR * SAMPLE_S / 2
                before = health_of(published(context, "health"), FRONT)
            async with run_in_process(SERVICE, CONFIG, bus, tmp_path) as context:
                await until_in_sync(context)
                await calls(usual)
                await calls(slow, 3)
                await eventually(lambda: health_of(published(context, "health"), FRONT).level == "warning")
                (reason,) = health_of(published(context, "health"), FRONT).reasons
                assert (reason.check, reason.edge) == ("KG-411", Edge("http", CART))
                assert reason.text.endswith("spend 245 ms on the way, usually 3.8 ms (60 calls).")
                assert health_of(published(context, "health"), FRONT).baselines == before.baselines
                cluster = next(each for each in published(context, "health") if each.aggregate is not None)
                assert cluster.aggregate is not None
                assert [(each.ref, each.explains) for each in cluster.aggregate.roots] == [(CART, [FRONT])]
                await calls(usual, 3)
                await eventually(lambda: health_of(published(context, "health"), FRONT).level == "healthy")


def known_s(rows: list[Health]) -> float:
    """How much time what is usual covers."""
    return min((each.seconds for each in health_of(rows, FRONT).baselines), default=0.0)


def health_of(rows: list[Health], ref: Ref) -> Health:
    return next((each for each in rows if each.ref == ref), Health(text="", ref=ref))
