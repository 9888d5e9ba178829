"""Qdrant made to suffer: each fault has its phase and cause, its figures, and a verdict of the health-scorer."""

from collections.abc import AsyncIterator

import pytest

from kgents_collector_db.mapping import qdrant
from kgents_collector_db.source.qdrant import QdrantSource
from kgents_collector_db.targets.qdrant import QdrantTarget
from kgents_shared.bus.config import Secret
from kgents_shared.contract.entity import Ref
from kgents_shared.runtime.clock import SystemClock
from support.db_looks import Looks
from support.ports import free_port
from support.qdrant_stub import QdrantStub

DOCS = Ref("c1", "collection", "vectors/docs")
CANARY = "canary-§3cret"


def looks_at(url: str, **more: object) -> Looks:
    settings: dict[str, object] = {"url": url, "timeout_s": 0.5, "connect_timeout_s": 0.5, **more}
    return Looks(QdrantSource(QdrantTarget(**settings), SystemClock()), qdrant.observe, name="vectors")  # type: ignore[arg-type]


@pytest.fixture
async def stub() -> AsyncIterator[QdrantStub]:
    async with QdrantStub() as stub:
        stub.add("docs", points_count=10)
        yield stub


@pytest.fixture
async def looks(stub: QdrantStub) -> AsyncIterator[Looks]:
    async with looks_at(stub.url) as looks:
        yield looks


async def test_frozen_server_is_told_within_its_deadline_and_nothing_is_gone(stub: QdrantStub, looks: Looks) -> None:
    before = await looks.looks(2)
    stub.pause()
    first = await looks.look()
    assert first.phase == ("failing", "frozen")
    assert first.sample.poll_s < 1
    assert first.entity_bytes == before.entity_bytes  # one look may be a blip
    look = await looks.look()
    assert (look.entity.status, look.entity.reason, look.entity.uid) == ("failed", "frozen", before.entity.uid)
    assert DOCS in looks.published
    assert look.pulse.custom["qdrant_up"] == 0
    assert look.pulse.collections is None
    assert {"KG-360", "KG-001"} <= set(look.checks)
    stub.resume()
    after = await looks.looks(2)
    assert after.entity_bytes == before.entity_bytes
    assert not after.facts.events


async def test_killed_server_is_refused_and_its_restart_is_another_incarnation(stub: QdrantStub, looks: Looks) -> None:
    before = await looks.looks(2)
    stub.request("/collections/{name}/points/query", 500)
    await looks.look()
    await stub.stop()
    look = await looks.looks(2)
    assert look.phase == ("failing", "refused")
    assert look.entity.uid == before.entity.uid
    assert look.health.level == "critical"
    await stub.start()
    after = await looks.look()
    assert after.events == ["Restarted"]
    assert after.entity.uid != before.entity.uid
    assert "qdrant_window_requests" not in after.pulse.custom  # nothing to compare with
    stub.request("/collections/{name}/points/query", 30)
    assert (await looks.look()).pulse.custom["qdrant_window_requests"] == 30


async def test_server_that_is_not_ready_is_starting(stub: QdrantStub, looks: Looks) -> None:
    await looks.look()
    stub.is_ready = False
    look = await looks.looks(2)
    assert look.phase == ("starting", "not ready")
    assert look.entity.status == "pending"
    assert DOCS in looks.published
    assert look.health.level != "critical"


async def test_collection_that_turns_red_is_an_event_with_its_reason(stub: QdrantStub, looks: Looks) -> None:
    await looks.look()
    stub.add("docs", status="red", optimizer_status={"error": "No space left on device"})
    look = await looks.look()
    event = look.event("CollectionRed")
    assert (event.ref, event.severity) == (DOCS, "critical")
    assert "No space left on device" in event.text
    look = await looks.look()
    assert not look.facts.events
    assert look.phase == ("degraded", "collection red")
    assert {"KG-361", "KG-363"} <= set(look.checks)
    assert looks.health_inputs.health(DOCS).level == "critical"
    stub.add("docs")
    assert (await looks.look()).events == ["CollectionRecovered"]


@pytest.mark.parametrize(
    ("status", "phase", "state", "level"),
    [
        (401, ("degraded", "wrong credentials"), "unknown", "unknown"),
        (403, ("degraded", "missing privilege"), "unknown", "unknown"),
        (429, ("degraded", "own limit"), "unknown", "unknown"),
        (500, ("failing", "errors"), "failed", "critical"),
        (503, ("starting", "starting"), "pending", None),
    ],
)
async def test_refusals_are_told_apart(
    status: int, phase: tuple[str, str], state: str, level: str | None, stub: QdrantStub, looks: Looks
) -> None:
    await looks.look()
    stub.statuses["/collections"] = status
    look = await looks.looks(3)
    assert look.phase == phase
    assert look.entity.status == state
    assert DOCS in looks.published
    assert look.pulse.custom.get("qdrant_up") == {"unknown": None, "running": 1, "failed": 0, "pending": None}[state]
    assert level is None or look.health.level == level


async def test_wrong_key_is_not_known_and_never_down() -> None:
    async with QdrantStub(api_key=CANARY) as stub, looks_at(stub.url, api_key=Secret("wrong-key")) as looks:
        look = await looks.looks(3)
        assert look.phase == ("degraded", "wrong credentials")
        assert look.health.level == "unknown"
    assert CANARY.encode() not in looks.said
    assert b"wrong-key" not in looks.said


async def test_key_for_some_collections_only_loses_sections_and_no_more(stub: QdrantStub, looks: Looks) -> None:
    stub.statuses = {"/metrics": 403, "/telemetry": 403, "/cluster": 403}
    look = await looks.looks(2)
    assert look.phase == ("healthy", "")
    assert len(look.sample.faults) == 3
    assert all("read-only key" in fault for fault in look.sample.faults)
    assert look.pulse.custom["qdrant_points"] == 10
    assert look.pulse.performance["latency_ms"] is None
    assert look.pulse.storage["memory_mb"] is None


async def test_collection_that_cannot_be_read_stays_and_no_sum_is_made_without_it(
    stub: QdrantStub, looks: Looks
) -> None:
    stub.add("other", points_count=5)
    before = await looks.look()
    stub.statuses["/collections/docs"] = 500
    look = await looks.look()
    assert look.entity_bytes == before.entity_bytes
    assert "qdrant_points" not in look.pulse.custom
    assert look.sample.faults
    stub.statuses["/collections/docs"] = 404  # removed since it was listed
    assert not (await looks.look()).sample.faults


async def test_answer_that_a_newer_server_may_give_is_a_fault_and_no_crash(stub: QdrantStub, looks: Looks) -> None:
    before = await looks.look()
    stub.raw["/collections/docs"] = b'{"result": {"status": "ultraviolet"}, "status": "ok", "time": 0}'
    stub.raw["/telemetry"] = b'{"result": {"name": 1}}'
    stub.raw["/metrics"] = b"collections_total NaN\nnot a line {\n\xff\xfe 1\nrest_responses_total{x=} -\n"
    look = await looks.look()
    assert look.entity_bytes == before.entity_bytes
    assert len(look.sample.faults) == 2
    assert "newer than qdrant-client" in look.sample.faults[0]


async def test_something_else_on_the_port_is_no_qdrant(stub: QdrantStub, looks: Looks) -> None:
    stub.raw["/collections"] = b"<html>" + CANARY.encode()
    assert (await looks.look()).phase == ("degraded", "unreadable")
    assert CANARY.encode() not in looks.said


async def test_slow_metrics_cost_only_themselves(stub: QdrantStub) -> None:
    async with looks_at(stub.url, metrics_timeout_s=0.2) as looks:
        await looks.look()
        stub.statuses["/metrics"] = 504
        look = await looks.look()
        assert look.phase == ("healthy", "")
        assert "GET /metrics answers HTTP 504" in look.sample.faults[0]
        assert "qdrant_window_requests" not in look.pulse.custom


@pytest.mark.parametrize("path", ["/metrics", "/telemetry", "/cluster"])
async def test_what_a_proxy_hides_is_missed(path: str, stub: QdrantStub, looks: Looks) -> None:
    stub.statuses[path] = 404
    look = await looks.look()
    assert look.phase == ("healthy", "")
    assert [fault for fault in look.sample.faults if f"GET {path} answers HTTP 404" in fault]


async def test_replicas_of_a_collection_that_cannot_be_read_are_not_well_for_that(
    stub: QdrantStub, looks: Looks
) -> None:
    stub.add("other")
    stub.join_cluster()
    stub.replicas["docs"] = [(0, 1, "Active"), (0, 2, "Dead")]
    await looks.look()
    stub.statuses["/collections/docs/cluster"] = 500
    look = await looks.look()
    assert look.pulse.custom["qdrant_dead_replicas"] == 1
    del stub.collections["docs"]
    assert (await looks.look()).pulse.custom["qdrant_dead_replicas"] == 0


async def test_lost_replicas_shards_leader_and_peers_are_each_told(stub: QdrantStub, looks: Looks) -> None:
    stub.join_cluster()
    stub.replicas["docs"] = [(0, 1, "Active"), (0, 2, "Active"), (1, 2, "Active"), (1, 3, "Active")]
    look = await looks.looks(2)
    assert look.phase == ("healthy", "")
    assert look.pulse.custom["qdrant_dead_replicas"] == 0
    assert {each.peer for each in look.entity.connections if each.kind == "network"} == {
        "qdrant-2.qdrant:6335",
        "qdrant-3.qdrant:6335",
    }
    stub.replicas["docs"] = [(0, 1, "Active"), (0, 2, "Dead"), (1, 2, "Dead"), (1, 3, "Partial")]
    look = await looks.looks(2)
    assert look.phase == ("degraded", "shards lost")
    assert look.pulse.custom["qdrant_dead_replicas"] == 2
    assert look.pulse.custom["qdrant_shards_without_active_replica"] == 1
    assert {"KG-366", "KG-367"} <= set(look.checks)
    stub.join_cluster(leader=0, message_send_failures={"http://qdrant-2.qdrant:6335/": {"count": 9}})
    look = await looks.look()
    assert look.phase == ("degraded", "no leader")
    assert look.event("LeaderChanged").severity == "error"
    assert look.pulse.custom["qdrant_unreachable_peers_ratio"] == 0.5
    look = await looks.look()
    assert {"KG-368", "KG-370"} <= set(look.checks)
    stopped = {"consensus_thread_status": "stopped_with_err", "err": CANARY}
    stub.join_cluster(leader=2, consensus_thread_status=stopped)
    look = await looks.looks(2)
    assert look.phase == ("degraded", "consensus stopped")
    assert "KG-369" in look.checks
    assert CANARY.encode() not in looks.said


async def test_limits_of_the_process_and_recovery_mode_are_judged(stub: QdrantStub, looks: Looks) -> None:
    stub.gauges = {
        "process_open_mmaps": 64_000, "system_max_mmaps": 65_530, "process_open_fds": 850, "process_max_fds": 1_000,
        "app_status_recovery_mode": 1,
    }  # fmt: skip
    look = await looks.looks(2)
    assert look.phase == ("degraded", "recovery mode")
    assert {"KG-371", "KG-372", "KG-373"} <= set(look.checks)


async def test_slow_and_failing_requests_are_judged_only_when_there_are_enough(stub: QdrantStub, looks: Looks) -> None:
    await looks.look()
    for count, expected in ((5, set[str]()), (30, {"KG-364", "KG-365"})):
        for _ in range(2):
            stub.request("/collections/{name}/points/query", count, seconds=0.9)
            stub.request("/collections/{name}/points/query", count // 5, status=500)
            look = await looks.look()
        assert {"KG-364", "KG-365"} & set(look.checks) == expected
    assert look.pulse.custom["qdrant_request_duration_seconds"] == pytest.approx(0.9)


async def test_nothing_there_and_unknown_names_are_told_apart() -> None:
    async with looks_at(f"http://127.0.0.1:{free_port()}") as looks:
        assert (await looks.look()).phase == ("failing", "refused")
    async with looks_at("http://no-such-host.invalid:6333", timeout_s=5.0, connect_timeout_s=5.0) as looks:
        look = await looks.look()
        assert look.phase == ("failing", "unreachable")
        assert "DNS" in look.sample.unreachable.text
