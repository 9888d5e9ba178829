"""From a table and a collection that disagree to an alert: through real NATS and the real services."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from support.compared import stores
from support.db_service import configuration, last_pulse, watching
from support.nats_server import NatsServer
from support.service_process import ServiceProcess
from support.truth import health, in_sync, topology
from support.waiting import eventually

pytestmark = pytest.mark.timeout(180)

ORDERS, ARTICLES = Ref("test", "database", "orders", ""), Ref("test", "comparison", "articles", "")
COLLECTION = Ref("test", "collection", "vectors/articles", "")


async def test_rows_without_vectors_are_critical_and_both_stores_are_connected(
    server: NatsServer, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stores(tmp_path) as both, AsyncExitStack() as stack:
        await both.fill(50)
        for key in range(1, 31):
            del both.vectors[key]
        section = {
            "postgres": {"orders": watching(tmp_path, both.postgres.port)},
            "qdrant": {"vectors": {"url": both.qdrant.url, "interval_s": 1}},
            "coherency": {
                "articles": {
                    "postgres": "orders", "qdrant": "vectors", "table": "articles", "collection": "articles",
                    "interval_s": 30, "confirm_after_s": 0.1,
                }
            },
        }  # fmt: skip
        monkeypatch.setenv("KGENTS_CONFIG", configuration(tmp_path, **section))
        processes = [ServiceProcess(name, server.url, tmp_path) for name in ("topology-builder", "health-scorer")]
        collector = ServiceProcess("collector-db", server.url, tmp_path)
        for process in (*processes, collector):
            await stack.enter_async_context(process)
        await in_sync(bus, "collector-db")

        async def is_found() -> bool:
            found = (await health(bus)).get(ARTICLES)
            return found is not None and [each.check for each in found.reasons] == ["KG-392"]

        await eventually(is_found)
        found = (await health(bus))[ARTICLES]
        assert found.level == "critical"
        assert "60 % of the rows" in found.text
        entities = await topology(bus)
        assert {(each.kind, each.peer) for each in entities[ARTICLES].connections} == {
            ("depends", ORDERS),
            ("depends", COLLECTION),
        }
        assert ("depends", ORDERS) in {(each.kind, each.peer) for each in entities[COLLECTION].connections}
        pulse = await last_pulse(bus, ARTICLES)
        assert pulse is not None
        assert (pulse.phase, pulse.cause) == ("degraded", "rows without vector")
        assert pulse.custom["coherency_missing"] == 30
        assert await collector.stop() == 0
        assert b"secret" not in collector.log.read_bytes()
