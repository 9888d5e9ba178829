"""A pulse from the future, on another entity's subject or of an old incarnation changes nothing, and hides nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

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
from support.build import make_ref
from support.fixtures import bus, server
from support.in_process import published, run_in_process, until_in_sync
from support.running import running
from support.truth import dead_letters
from support.waiting import eventually

__all__ = ["bus", "server"]

LIMIT = 1_000_000
FULL, EMPTY = make_ref("full"), make_ref("empty")


def sample(ref: Ref, memory_bytes: int, *, in_s: float = 0.0, uid: str = "new") -> ResourcePulse:
    return ResourcePulse(
        ref=ref, source="k8s", timestamp=datetime.now(UTC) + timedelta(seconds=in_s), interval_s=60.0, uid=uid,
        memory_bytes=memory_bytes, memory_limit_bytes=LIMIT,
    )  # fmt: skip


async def test_strange_pulses_neither_end_nor_make_a_finding_nor_hide_a_later_one(bus: Bus, tmp_path: Path) -> None:
    publisher = Publisher(bus)
    table = StateTable(bus, TOPOLOGY, "KGENTS_TOPOLOGY", [subjects.pattern("topology")], publisher=publisher)
    async with running(publisher.run()):
        await table.load()
        async with running(table.run()), run_in_process(SERVICE, Config(), bus, tmp_path) as context:
            for ref in (FULL, EMPTY):
                table.put(ref.subject("topology"), TopologyEntity(text="", ref=ref, uid="new", status="running"))
            await table.flush()
            await until_in_sync(context)

            async def send(pulse: ResourcePulse, subject_of: Ref | None = None) -> None:
                subject = (subject_of or pulse.ref).subject("pulse", source="k8s")
                await publisher.send_one(subject, encode(pulse), {})

            def found() -> dict[Ref, list[str]]:
                rows = {each.ref: each for each in published(context, "health") if each.aggregate is None}
                return {ref: [reason.check for reason in row.reasons] for ref, row in rows.items()}

            for _ in range(3):
                await send(sample(FULL, LIMIT))
                await send(sample(EMPTY, 1))
            await eventually(lambda: found() == {FULL: ["KG-101"], EMPTY: []})

            for _ in range(3):
                await send(sample(FULL, 1, in_s=3600))
                await send(sample(FULL, 1, uid="old"))
                await send(sample(FULL, 1), EMPTY)
                await send(sample(EMPTY, LIMIT), FULL)
            await eventually(lambda: context.dead_letters.count == 6)
            assert found() == {FULL: ["KG-101"], EMPTY: []}
            assert {each.subject for each in await dead_letters(bus, "health-scorer")} == {
                ref.subject("pulse", source="k8s") for ref in (FULL, EMPTY)
            }

            for _ in range(3):
                await send(sample(FULL, 1))
                await send(sample(EMPTY, LIMIT))
            await eventually(lambda: found() == {FULL: [], EMPTY: ["KG-101"]})
