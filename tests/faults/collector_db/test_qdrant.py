"""Faults of Qdrant: each has its phase, cause and figures, and a check of the health-scorer."""

from collections.abc import AsyncIterator

import pytest

from kgents_collector_db.mapping import qdrant
from kgents_collector_db.source import Tier
from kgents_collector_db.source.qdrant import QdrantSource
from kgents_collector_db.targets.qdrant import QdrantTarget
from kgents_shared.bus.config import Secret
from kgents_shared.contract.entity import Ref
from kgents_shared.runtime.clock import SystemClock
from support.clock import FakeClock
from support.db_polls import INTERVAL_S, Polled, Polls
from support.ports import free_port
from support.qdrant_stub import QdrantStub
from support.waiting import MACHINE, is_in_time

DOCS = Ref("c1", "collection", "vectors/docs")
CANARY = "canary-§3cret"


def polls_of(url: str, **more: object) -> Polls:
    timeout_s = MACHINE.limit_s(0.5)
    settings: dict[str, object] = {"url": url, "timeout_s": timeout_s, "connect_timeout_s": timeout_s, **more}
    return Polls(QdrantSource(QdrantTarget(**settings), SystemClock()), qdrant.observe, name="vectors")  # type: ignore[arg-type]


@pytest.fixture
async def stub() -> AsyncIterator[QdrantStub]:
    async with QdrantStub() as stub:
        stub.add("docs", points_count=10)
        yield stub


@pytest.fixture
async def polls(stub: QdrantStub) -> AsyncIterator[Polls]:
    async with polls_of(stub.url) as polls:
        yield polls


async def test_frozen_server_is_reported_within_its_deadline_and_no_entity_is_removed(
    stub: QdrantStub, polls: Polls
) -> None:
    before = await polls.repeat(2)
    stub.pause()
    first = await polls.poll()
    assert first.phase == ("failing", "frozen")
    assert is_in_time(first.sample.poll_s, 1)
    assert first.entity_bytes == before.entity_bytes  # one poll may be a blip
    polled = await polls.poll()
    assert (polled.entity.status, polled.entity.reason, polled.entity.uid) == ("failed", "frozen", before.entity.uid)
    assert DOCS in polls.published
    assert polled.pulse.custom["qdrant_up"] == 0
    assert polled.pulse.collections is None
    assert {"KG-360", "KG-001"} <= set(polled.checks)
    stub.resume()
    after = await polls.repeat(2)
    assert after.entity_bytes == before.entity_bytes
    assert not after.facts.events


async def test_killed_server_is_refused_and_its_restart_is_another_incarnation(stub: QdrantStub, polls: Polls) -> None:
    before = await polls.repeat(2)
    stub.request("/collections/{name}/points/query", 500)
    await polls.poll()
    await stub.stop()
    polled = await polls.repeat(2)
    assert polled.phase == ("failing", "refused")
    assert polled.entity.uid == before.entity.uid
    assert polled.health.level == "critical"
    await stub.start()
    after = await polls.poll()
    assert after.events == ["Restarted"]
    assert after.entity.uid != before.entity.uid
    assert after.pulse.custom["qdrant_window_requests"] is None  # not known: no comparable poll
    stub.request("/collections/{name}/points/query", 30)
    assert (await polls.poll()).pulse.custom["qdrant_window_requests"] == 30


async def test_server_that_is_not_ready_is_starting(stub: QdrantStub, polls: Polls) -> None:
    await polls.poll()
    stub.is_ready = False
    polled = await polls.repeat(2)
    assert polled.phase == ("starting", "not ready")
    assert polled.entity.status == "pending"
    assert DOCS in polls.published
    assert polled.health.level != "critical"


async def test_collection_that_turns_red_is_an_event_with_its_reason(stub: QdrantStub, polls: Polls) -> None:
    await polls.poll()
    stub.add("docs", status="red", optimizer_status={"error": "No space left on device"})
    polled = await polls.poll()
    event = polled.event("CollectionRed")
    assert (event.ref, event.severity) == (DOCS, "critical")
    assert "No space left on device" in event.text
    polled = await polls.poll()
    assert not polled.facts.events
    assert polled.phase == ("degraded", "collection red")
    assert {"KG-361", "KG-363"} <= set(polled.checks)
    assert polls.health_inputs.health(DOCS).level == "critical"
    stub.add("docs")
    assert (await polls.poll()).events == ["CollectionRecovered"]


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
async def test_refusals_have_their_causes(
    status: int, phase: tuple[str, str], state: str, level: str | None, stub: QdrantStub, polls: Polls
) -> None:
    await polls.poll()
    stub.statuses["/collections"] = status
    polled = await polls.repeat(3)
    assert polled.phase == phase
    assert polled.entity.status == state
    assert DOCS in polls.published
    assert polled.pulse.custom.get("qdrant_up") == {"unknown": None, "running": 1, "failed": 0, "pending": None}[state]
    assert level is None or polled.health.level == level


async def test_wrong_key_leaves_the_status_unknown_and_never_down() -> None:
    async with QdrantStub(api_key=CANARY) as stub, polls_of(stub.url, api_key=Secret("wrong-key")) as polls:
        polled = await polls.repeat(3)
        assert polled.phase == ("degraded", "wrong credentials")
        assert polled.health.level == "unknown"
    assert CANARY.encode() not in polls.published_bytes
    assert b"wrong-key" not in polls.published_bytes


async def test_key_for_some_collections_only_loses_sections_and_no_more(stub: QdrantStub, polls: Polls) -> None:
    stub.statuses = {"/metrics": 403, "/telemetry": 403, "/cluster": 403}
    polled = await polls.repeat(2)
    assert polled.phase == ("healthy", "")
    assert len(polled.sample.faults) == 3
    assert all("read-only key" in fault for fault in polled.sample.faults)
    assert polled.pulse.custom["qdrant_points"] == 10
    assert polled.pulse.performance["latency_ms"] is None
    assert polled.pulse.storage["memory_mb"] is None


async def test_collection_that_cannot_be_read_stays_and_sums_are_left_out(stub: QdrantStub, polls: Polls) -> None:
    stub.add("other", points_count=5)
    before = await polls.poll()
    stub.statuses["/collections/docs"] = 500
    polled = await polls.poll()
    assert polled.entity_bytes == before.entity_bytes
    assert "qdrant_points" not in polled.pulse.custom
    assert polled.pulse.custom["qdrant_collections_red"] is None
    assert "answers HTTP 500" in polled.sample.unread["docs"]
    stub.statuses["/collections/docs"] = 404  # removed since it was listed
    assert not (await polls.poll()).sample.unread


async def test_collection_that_answers_500_is_unread_alone_until_it_is_read(stub: QdrantStub, polls: Polls) -> None:
    stub.add("other")
    await polls.poll()
    stub.statuses["/collections/docs"] = 500
    assert not (await polls.poll()).facts.unread  # one failed poll may be a blip
    polled = await polls.poll()
    (unread,) = polled.facts.unread
    assert "GET /collections/… answers HTTP 500" in unread.reason
    assert [ref for ref in polls.published if unread.covers(ref)] == [DOCS]
    del stub.statuses["/collections/docs"]
    assert not (await polls.poll()).facts.unread


async def test_collection_that_was_never_read_is_unknown_and_not_healthy(stub: QdrantStub, polls: Polls) -> None:
    stub.statuses["/collections/docs"] = 500
    polled = await polls.poll()
    assert [each.name for each in polled.facts.unread] == [DOCS.name]
    assert polls.published[DOCS].status == "unknown"
    assert polls.health_inputs.health(DOCS).level == "unknown"
    del stub.statuses["/collections/docs"]
    await polls.poll()
    assert polls.published[DOCS].status == "running"
    assert polls.health_inputs.health(DOCS).level == "healthy"


async def test_findings_of_a_cluster_outlive_a_failed_read_of_it(stub: QdrantStub, polls: Polls) -> None:
    stub.join_cluster(leader=0, message_send_failures={"http://qdrant-2.qdrant:6335/": {"count": 9}})
    stub.replicas["docs"] = [(0, 2, "Dead")]
    found = {"KG-366", "KG-367", "KG-368", "KG-370"}
    assert found <= set((await polls.repeat(2)).checks)
    stub.statuses["/cluster"] = 500
    for _ in range(4):
        polled = await polls.poll()
        assert found <= set(polled.checks)
        assert polled.pulse.custom["qdrant_raft_has_leader"] is None
        assert polled.pulse.custom["qdrant_dead_replicas"] is None
    del stub.statuses["/cluster"]
    stub.is_ready = False  # nothing but readiness is read
    polled = await polls.poll()
    assert found <= set(polled.checks)
    stub.is_ready = True
    stub.cluster = {"status": "disabled"}
    assert not found & set((await polls.repeat(2)).checks)


async def test_figures_of_the_slow_tier_carry_their_time_and_count_once(stub: QdrantStub) -> None:
    clock = FakeClock()
    polls = Polls(QdrantSource(QdrantTarget(url=stub.url), clock), qdrant.observe, name="vectors")

    async def poll(*tiers: Tier) -> Polled:
        clock.advance(INTERVAL_S)
        return await polls.poll(*tiers)

    stub.join_cluster()
    await poll()
    stub.request("/collections/{name}/points/query", 30, seconds=0.9)
    stub.replicas["docs"] = [(0, 1, "Active"), (0, 2, "Dead")]
    medium = await poll()
    assert not {"KG-364", "KG-366"} & set(medium.checks)  # one sample
    for _ in range(4):
        fast = await poll("fast")
        for figure in ("qdrant_request_duration_seconds", "qdrant_window_requests", "qdrant_dead_replicas"):
            assert fast.pulse.read_at[figure] == medium.pulse.read_at[figure]
        assert not {"KG-364", "KG-366"} & set(fast.checks)  # still one
    stub.request("/collections/{name}/points/query", 30, seconds=0.9)
    polled = await poll()
    await polls.source.aclose()
    assert polled.pulse.read_at["qdrant_dead_replicas"] > medium.pulse.read_at["qdrant_dead_replicas"]
    assert {"KG-364", "KG-366"} <= set(polled.checks)


async def test_unknown_answer_of_a_newer_server_is_a_fault_and_no_crash(stub: QdrantStub, polls: Polls) -> None:
    before = await polls.poll()
    stub.raw["/collections/docs"] = b'{"result": {"status": "ultraviolet"}, "status": "ok", "time": 0}'
    stub.raw["/telemetry"] = b'{"result": {"name": 1}}'
    stub.raw["/metrics"] = b"collections_total NaN\nnot a line {\n\xff\xfe 1\nrest_responses_total{x=} -\n"
    polled = await polls.poll()
    assert polled.entity_bytes == before.entity_bytes
    assert len(polled.sample.faults) == 1
    assert "newer than qdrant-client" in polled.sample.unread["docs"]


async def test_another_server_on_the_port_is_no_qdrant(stub: QdrantStub, polls: Polls) -> None:
    stub.raw["/collections"] = b"<html>" + CANARY.encode()
    assert (await polls.poll()).phase == ("degraded", "unreadable")
    assert CANARY.encode() not in polls.published_bytes


async def test_slow_metrics_lose_only_their_section(stub: QdrantStub) -> None:
    async with polls_of(stub.url, metrics_timeout_s=0.2) as polls:
        await polls.poll()
        stub.statuses["/metrics"] = 504
        polled = await polls.poll()
        assert polled.phase == ("healthy", "")
        assert "GET /metrics answers HTTP 504" in polled.sample.faults[0]
        assert polled.pulse.custom["qdrant_window_requests"] is None


@pytest.mark.parametrize("path", ["/metrics", "/telemetry", "/cluster"])
async def test_a_path_that_a_proxy_hides_is_a_fault(path: str, stub: QdrantStub, polls: Polls) -> None:
    stub.statuses[path] = 404
    polled = await polls.poll()
    assert polled.phase == ("healthy", "")
    assert [fault for fault in polled.sample.faults if f"GET {path} answers HTTP 404" in fault]


async def test_replicas_of_a_collection_that_cannot_be_read_stay_dead(stub: QdrantStub, polls: Polls) -> None:
    stub.add("other")
    stub.join_cluster()
    stub.replicas["docs"] = [(0, 1, "Active"), (0, 2, "Dead")]
    await polls.poll()
    stub.statuses["/collections/docs/cluster"] = 500
    polled = await polls.poll()
    assert polled.pulse.custom["qdrant_dead_replicas"] == 1
    del stub.collections["docs"]
    assert (await polls.poll()).pulse.custom["qdrant_dead_replicas"] == 0


async def test_lost_replicas_shards_leader_and_peers_are_each_reported(stub: QdrantStub, polls: Polls) -> None:
    stub.join_cluster()
    stub.replicas["docs"] = [(0, 1, "Active"), (0, 2, "Active"), (1, 2, "Active"), (1, 3, "Active")]
    polled = await polls.repeat(2)
    assert polled.phase == ("healthy", "")
    assert polled.pulse.custom["qdrant_dead_replicas"] == 0
    assert {each.peer for each in polled.entity.connections if each.kind == "network"} == {
        "qdrant-2.qdrant:6335",
        "qdrant-3.qdrant:6335",
    }
    stub.replicas["docs"] = [(0, 1, "Active"), (0, 2, "Dead"), (1, 2, "Dead"), (1, 3, "Partial")]
    polled = await polls.repeat(2)
    assert polled.phase == ("degraded", "shards lost")
    assert polled.pulse.custom["qdrant_dead_replicas"] == 2
    assert polled.pulse.custom["qdrant_shards_without_active_replica"] == 1
    assert {"KG-366", "KG-367"} <= set(polled.checks)
    stub.join_cluster(leader=0, message_send_failures={"http://qdrant-2.qdrant:6335/": {"count": 9}})
    polled = await polls.poll()
    assert polled.phase == ("degraded", "no leader")
    assert polled.event("LeaderChanged").severity == "error"
    assert polled.pulse.custom["qdrant_unreachable_peers_ratio"] == 0.5
    polled = await polls.poll()
    assert {"KG-368", "KG-370"} <= set(polled.checks)
    stopped = {"consensus_thread_status": "stopped_with_err", "err": CANARY}
    stub.join_cluster(leader=2, consensus_thread_status=stopped)
    polled = await polls.repeat(2)
    assert polled.phase == ("degraded", "consensus stopped")
    assert "KG-369" in polled.checks
    assert CANARY.encode() not in polls.published_bytes


async def test_limits_of_the_process_and_recovery_mode_are_checked(stub: QdrantStub, polls: Polls) -> None:
    stub.gauges = {
        "process_open_mmaps": 64_000, "system_max_mmaps": 65_530, "process_open_fds": 850, "process_max_fds": 1_000,
        "app_status_recovery_mode": 1,
    }  # fmt: skip
    polled = await polls.repeat(2)
    assert polled.phase == ("degraded", "recovery mode")
    assert {"KG-371", "KG-372", "KG-373"} <= set(polled.checks)


async def test_slow_and_failing_requests_are_checked_only_when_there_are_enough(stub: QdrantStub, polls: Polls) -> None:
    await polls.poll()
    for count, expected in ((5, set[str]()), (30, {"KG-364", "KG-365"})):
        for _ in range(2):
            stub.request("/collections/{name}/points/query", count, seconds=0.9)
            stub.request("/collections/{name}/points/query", count // 5, status=500)
            polled = await polls.poll()
        assert {"KG-364", "KG-365"} & set(polled.checks) == expected
    assert polled.pulse.custom["qdrant_request_duration_seconds"] == pytest.approx(0.9)


async def test_closed_port_and_unknown_name_have_their_causes() -> None:
    async with polls_of(f"http://127.0.0.1:{free_port()}") as polls:
        assert (await polls.poll()).phase == ("failing", "refused")
    async with polls_of("http://no-such-host.invalid:6333", timeout_s=5.0, connect_timeout_s=5.0) as polls:
        polled = await polls.poll()
        assert polled.phase == ("degraded", "unknown name")
