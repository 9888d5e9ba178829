"""health-scorer restarts in the middle of a crash loop: the alert stays one alert, as every subscriber sees it."""

from datetime import UTC, datetime
from pathlib import Path

from kgents_health_scorer.app import SERVICE
from kgents_health_scorer.config import Config
from kgents_shared.bus.client import Bus
from kgents_shared.bus.publish import Publisher
from kgents_shared.bus.state_table import StateTable
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ALERT, TOPOLOGY
from kgents_shared.contract.entity import Value
from kgents_shared.contract.health import Health
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary.attributes import kubernetes, otel
from kgents_shared.runtime.service import Context
from support.build import make_ref
from support.fixtures import bus, server
from support.in_process import published, run_in_process, until_in_sync
from support.running import running
from support.streams import keep_all, stored
from support.waiting import MACHINE, eventually

__all__ = ["bus", "server"]

REF = make_ref("cart-7f")
CRASHES = 9
CALM_S = 10.0
"""On an idle machine, where all crashes take less than half of that."""


def pod(restarts: int, *, is_waiting: bool) -> TopologyEntity:
    attributes: dict[str, Value] = {
        otel.K8S_POD_UID: "u1",
        otel.K8S_POD_STATUS_PHASE: "Running",
        kubernetes.POD_RESTART_COUNT: restarts,
        kubernetes.POD_STATUS_LAST_TERMINATED_REASON: "Error",
        kubernetes.POD_STATUS_LAST_TERMINATED_EXIT_CODE: 1,
    }
    status, reason = ("failed", "CrashLoopBackOff") if is_waiting else ("running", "")
    return TopologyEntity(
        text="", ref=REF, uid="u1", status=status, reason=reason, attributes=attributes, at=datetime.now(UTC)
    )


def health(context: Context[Config]) -> Health | None:
    return next((each for each in published(context, "health") if each.ref == REF), None)


async def crash(context: Context[Config], table: StateTable[TopologyEntity], restarts: int) -> None:
    """One more crash, and one more start; both judged."""
    for is_waiting in (True, False):
        state = pod(restarts - is_waiting, is_waiting=is_waiting)
        table.put(REF.subject("topology"), state)
        await table.flush()

        def is_judged(wanted: TopologyEntity = state) -> bool:
            row = health(context)
            observed = row.observed if row is not None else None
            return observed is not None and (observed.status, observed.reason) == (wanted.status, wanted.reason)

        await eventually(is_judged)


async def test_a_restart_in_the_middle_of_a_crash_loop_adds_no_alert_and_ends_none(bus: Bus, tmp_path: Path) -> None:
    await keep_all(bus, "KGENTS_ALERT")
    config = Config(tick_interval_s=0.1, calm_s=MACHINE.limit_s(CALM_S))
    publisher = Publisher(bus)
    async with running(publisher.run()):
        table = StateTable(bus, TOPOLOGY, "KGENTS_TOPOLOGY", [subjects.pattern("topology")], publisher=publisher)
        await table.load()
        async with running(table.run()):
            for first in range(1, CRASHES + 1, 3):
                async with run_in_process(SERVICE, config, bus, tmp_path) as context:
                    await until_in_sync(context)
                    for restarts in range(first, first + 3):
                        await crash(context, table, restarts)
            async with run_in_process(SERVICE, config, bus, tmp_path) as context:
                await until_in_sync(context)
                row = health(context)
                assert row is not None
                assert (row.level, row.observed and row.observed.restarts) == ("critical", CRASHES)
                assert f"restarted {CRASHES} times in 1 h, last exit 1 (Error)" in row.text
                states = [ALERT.decode(each.payload) for each in await stored(bus, "KGENTS_ALERT")]
                assert {(each.check, each.state, each.started_at) for each in states} == {
                    ("KG-020", "firing", states[0].started_at)
                }
                await eventually(lambda: (row := health(context)) is not None and row.level == "healthy", 4 * CALM_S)
        last = [ALERT.decode(each.payload) for each in await stored(bus, "KGENTS_ALERT")][-1]
        assert (last.state, last.started_at) == ("resolved", states[0].started_at)
