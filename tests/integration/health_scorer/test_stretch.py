"""health-scorer beside its lease: whatever happens to very many entities at once, others have their turn.

Counted as in the test of topology-builder: judging each of COUNT entities takes far more lines than STRETCH_MAX.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kgents_health_scorer import source
from kgents_health_scorer.app import SERVICE
from kgents_health_scorer.config import Config
from kgents_shared.bus.client import Bus
from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.state_table import StateTable
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import TOPOLOGY, encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.unread import Unread
from kgents_shared.runtime.service import Context
from support.build import make_ref
from support.fixtures import bus, server
from support.in_process import published, run_in_process, until_in_sync
from support.running import running
from support.stretch import measured_stretch
from support.waiting import eventually

__all__ = ["bus", "server"]

COUNT = 2_000
STRETCH_MAX = 45 * COUNT
WITHIN_S = 60
REFS = [make_ref(f"p{number}") for number in range(COUNT)]


@pytest.fixture
async def publisher(bus: Bus) -> AsyncIterator[Publisher]:
    publisher = Publisher(bus)
    async with running(publisher.run()):
        yield publisher


async def sample(publisher: Publisher, ref: Ref, *, interval_s: float) -> None:
    pulse = ResourcePulse(ref=ref, source="k8s", timestamp=datetime.now(UTC), interval_s=interval_s, cpu_percent=1.0)
    await publisher.send(ref.subject("pulse", source="k8s"), encode(pulse), {}, lambda _: None)


@pytest.fixture
async def topology(bus: Bus, publisher: Publisher) -> AsyncIterator[StateTable[TopologyEntity]]:
    """COUNT entities that send samples, the last of them just now."""
    filters = [subjects.pattern("topology")]
    table = StateTable(bus, TOPOLOGY, "KGENTS_TOPOLOGY", filters, publisher=publisher)
    await table.load()
    async with running(table.run()):
        for ref in REFS:
            table.put(ref.subject("topology"), TopologyEntity(text="", ref=ref, status="running"))
            await sample(publisher, ref, interval_s=60.0)
        await table.flush()
        yield table


@asynccontextmanager
async def scoring(bus: Bus, directory: Path) -> AsyncIterator[Context[Config]]:
    """A scorer in this process that has published everything."""
    async with run_in_process(SERVICE, Config(tick_interval_s=0.2), bus, directory) as context:
        await until_in_sync(context)
        yield context


def levels(context: Context[Config]) -> set[str]:
    return {health.level for health in published(context, "health")}


def level(context: Context[Config], ref: Ref) -> str:
    """Of one entity; cheap, for a wait."""
    return str(context.status._tables["health"].rows[ref.subject("health")].message.level)


async def test_a_first_start_yields(bus: Bus, topology: Any, tmp_path: Path) -> None:
    async with measured_stretch() as stretch, scoring(bus, tmp_path) as context:
        assert len(published(context, "health")) == COUNT + 1
        assert levels(context) == {"healthy"}
    assert stretch.longest < STRETCH_MAX


async def test_a_restart_yields(bus: Bus, topology: Any, tmp_path: Path) -> None:
    async with scoring(bus, tmp_path):
        pass
    async with measured_stretch() as stretch, scoring(bus, tmp_path):
        pass
    assert stretch.longest < STRETCH_MAX


async def test_samples_that_are_missed_together_yield(
    bus: Bus, topology: Any, publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "SILENT_AFTER_S", 2.0)
    async with scoring(bus, tmp_path) as context, measured_stretch() as stretch:
        for ref in REFS:
            await sample(publisher, ref, interval_s=1.0)
        await eventually(lambda: level(context, REFS[-1]) != "healthy" and "healthy" not in levels(context), WITHIN_S)
    assert stretch.longest < STRETCH_MAX


async def test_entities_that_vanished_between_two_runs_yield(
    bus: Bus, topology: StateTable[TopologyEntity], tmp_path: Path
) -> None:
    async with scoring(bus, tmp_path):
        pass
    for ref in REFS:
        topology.remove(ref.subject("topology"), TopologyEntity(text="", ref=ref, op="remove"))
    await topology.flush()
    async with measured_stretch() as stretch, scoring(bus, tmp_path) as context:
        assert not published(context, "health")
    assert stretch.longest < STRETCH_MAX


async def test_a_source_that_is_away_and_back_yields(
    bus: Bus, topology: StateTable[TopologyEntity], tmp_path: Path
) -> None:
    source = make_ref("k8s", kind="source", namespace="")
    for ref in REFS:
        topology.put(ref.subject("topology"), TopologyEntity(text="", ref=ref, status="running", sources=["k8s"]))
    await topology.flush()
    async with scoring(bus, tmp_path) as context, measured_stretch() as stretch:
        for unread, unknown in (([Unread()], COUNT + 1), ([], 0)):
            message = TopologyEntity(text="", ref=source, status="running", unread=unread)
            topology.put(source.subject("topology"), message)

            def is_counted(number: int = unknown) -> bool:
                sums = [each.aggregate for each in published(context, "health") if each.aggregate is not None]
                return [each.status_breakdown["unknown"] for each in sums] == [number]

            await eventually(is_counted, WITHIN_S)
        assert levels(context) == {"healthy"}
    assert stretch.longest < STRETCH_MAX
