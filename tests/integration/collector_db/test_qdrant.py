"""What Qdrant returns → what is published. With QDRANT_URL the first tests use that server, not the stand-in."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from qdrant_client import AsyncQdrantClient, models

from kgents_collector_db.mapping import qdrant
from kgents_collector_db.source.qdrant import QdrantSource
from kgents_collector_db.targets.qdrant import QdrantTarget
from kgents_shared.bus.config import Secret
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import DatabasePulse
from kgents_shared.runtime.clock import SystemClock
from support.certificates import Certificates
from support.db_polls import Polled, Polls
from support.qdrant_stub import FOLDER, VERSIONS, QdrantStub, validators

LIVE_URL = os.environ.get("QDRANT_URL", "")
LIVE_KEY = os.environ.get("QDRANT_API_KEY", "")
AWKWARD = "k %s\"'\\$(x)`ü€🔑=@:/?#[]%00{}"


def polls_of(url: str, **more: object) -> Polls:
    settings: dict[str, object] = {"url": url, "timeout_s": 2.0, "connect_timeout_s": 1.0, **more}
    return Polls(QdrantSource(QdrantTarget(**settings), SystemClock()), qdrant.observe, name="vectors")  # type: ignore[arg-type]


def collection(name: str) -> Ref:
    return Ref("c1", "collection", f"vectors/{name}")


def pulse_of(polled: Polled, name: str) -> DatabasePulse:
    pulse = next(each for each in polled.facts.pulses if each.ref == collection(name))
    assert isinstance(pulse, DatabasePulse)
    return pulse


@pytest.fixture
async def stub() -> AsyncIterator[QdrantStub]:
    async with QdrantStub() as stub:
        yield stub


@pytest.fixture
async def polls(stub: QdrantStub) -> AsyncIterator[Polls]:
    async with polls_of(stub.url) as polls:
        yield polls


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A real server if there is one."""
    if LIVE_URL:
        yield LIVE_URL
        return
    async with QdrantStub() as stub:
        yield stub.url


async def test_collection_comes_and_goes_with_its_points(url: str) -> None:
    name = f"kgents-test-{uuid4().hex[:8]}"
    key = Secret(LIVE_KEY) if LIVE_KEY else None
    client = AsyncQdrantClient(url=url, api_key=LIVE_KEY or None, check_compatibility=False)
    async with polls_of(url, api_key=key, max_collections=10_000) as polls:
        before = await polls.poll()
        assert before.phase == ("healthy", "")
        vectors = models.VectorParams(size=4, distance=models.Distance.COSINE)
        await client.create_collection(name, vectors_config=vectors)
        try:
            points = [models.PointStruct(id=number, vector=[1.0, 0.0, 0.0, number]) for number in range(1, 101)]
            await client.upsert(name, points, wait=True)
            await polls.poll()
            for _ in range(30):
                await client.query_points(name, query=[1.0, 0.0, 0.0, 1.0])
            polled = await polls.poll()
            assert collection(name) in polls.published
            assert pulse_of(polled, name).custom["qdrant_points"] == 100
            assert (polled.pulse.custom["qdrant_window_requests"] or 0) >= 30
            assert (polled.pulse.performance["searches_per_second"] or 0) > 0
            assert 0 < (polled.pulse.performance["latency_ms"] or 0) < 1_000
        finally:
            await client.delete_collection(name)
            await client.close()
        polled = await polls.poll()
        assert collection(name) not in polls.published
        assert polled.pulse.custom["qdrant_collections_count"] == before.pulse.custom["qdrant_collections_count"]


async def test_idle_server_gives_the_same_bytes(url: str) -> None:
    key = Secret(LIVE_KEY) if LIVE_KEY else None
    async with polls_of(url, api_key=key) as polls:
        first = await polls.poll()
        for _ in range(3):
            polled = await polls.poll()
            assert polled.entity_bytes == first.entity_bytes
            assert not polled.facts.events
        assert polled.entity.uid


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_version_is_read_and_what_it_does_not_report_is_null(version: str) -> None:
    async with QdrantStub(version) as stub, polls_of(stub.url) as polls:
        stub.add("docs", points_count=500, segments_count=4)
        stub.join_cluster()
        await polls.poll()
        stub.request("/collections/{name}/points/search", 40, seconds=0.02)
        polled = await polls.poll()
        assert polled.phase == ("healthy", "")
        assert not polled.sample.faults
        assert polled.health.level == "healthy"
        assert polled.entity.attributes["service.version"] == f"{version}.3"
        assert polled.pulse.collections is not None
        assert (polled.pulse.collections.count, polled.pulse.collections.vectors) == (1, 500)
        assert polled.pulse.storage["index_mb"] is None
        assert polled.pulse.storage["disk_mb"] is None
        is_old = version == "1.7"
        assert polled.pulse.storage["memory_mb"] == (None if is_old else 100)
        assert (polled.pulse.performance["latency_ms"] is None) == is_old
        assert ("qdrant_update_queue_length" in pulse_of(polled, "docs").custom) == (version == "1.19")
        assert polled.pulse.custom["qdrant_window_requests"] == 40


@pytest.mark.skipif(not FOLDER, reason="needs QDRANT_OPENAPI_DIR, a folder with Qdrant's published OpenAPI documents")
@pytest.mark.parametrize("version", VERSIONS)
def test_published_schema_refuses_impossible_answers(version: str) -> None:
    (validator,) = validators(version, "/collections/{collection_name}")
    wrong = {"time": 0.0, "status": "ok", "result": {"status": "purple", "optimizer_status": "ok"}}
    assert any("purple" in error.message for error in validator.iter_errors(wrong))


async def test_requests_of_one_window_are_its_own(stub: QdrantStub, polls: Polls) -> None:
    stub.add("docs")
    stub.request("/collections/{name}/points/query", 10_000, seconds=0.0005)
    first = await polls.poll()
    assert first.pulse.performance["searches_per_second"] is None
    assert first.pulse.morphisms == 10_000
    stub.request("/collections/{name}/points/query", 90, seconds=0.03)
    stub.request("/qdrant.Points/Search", 10, seconds=0.7, api="grpc")
    stub.request("/collections/{name}/points", 20, seconds=0.03)
    stub.request("/collections/{name}/points/query", 30, status=500)
    stub.request("/collections/{name}/points/query", 50, status=404)
    polled = await polls.poll()
    assert polled.pulse.custom["qdrant_window_requests"] == 200
    assert polled.pulse.custom["qdrant_request_failure_ratio"] == 30 / 200  # a 404 is its client's mistake
    seconds = polled.pulse.custom["qdrant_window_s"]
    assert seconds is not None
    assert polled.pulse.custom["qdrant_queries_per_second"] == pytest.approx(180 / seconds)
    assert polled.pulse.performance["latency_ms"] == pytest.approx((110 * 0.03 + 10 * 0.7) / 120 * 1e3)
    assert 10 <= (polled.pulse.performance["latency_p50_ms"] or 0) <= 50
    assert 500 <= (polled.pulse.performance["latency_p99_ms"] or 0) <= 1_000


async def test_metrics_are_asked_for_rarely_and_stay_until_the_next_time(stub: QdrantStub, polls: Polls) -> None:
    await polls.poll()
    stub.request("/collections/{name}/points/query", 25)
    medium = await polls.poll()
    asked = stub.seen.count("/metrics")
    fast = await polls.poll("fast")
    assert stub.seen.count("/metrics") == asked
    assert fast.pulse.custom["qdrant_window_requests"] == medium.pulse.custom["qdrant_window_requests"] == 25


async def test_prefix_of_the_metrics_is_known() -> None:
    async with QdrantStub(prefix="q_") as stub, polls_of(stub.url, metrics_prefix="q_") as polls:
        stub.add("docs", points_count=7)
        polled = await polls.poll()
    assert polled.pulse.collections is not None
    assert polled.pulse.collections.vectors == 7


@pytest.mark.parametrize(
    ("info", "phase", "status", "attribute"),
    [
        ({"status": "green"}, ("healthy", ""), "running", "green"),
        ({"status": "yellow"}, ("healthy", "optimizing"), "running", "green"),
        ({"status": "grey"}, ("degraded", "optimizations pending"), "running", "grey"),
        ({"status": "red", "optimizer_status": {"error": "No space left"}}, ("failing", "red"), "failed", "red"),
        ({"optimizer_status": {"error": "No space left"}}, ("degraded", "optimizer failed"), "running", "green"),
    ],
)
async def test_status_of_a_collection_has_its_reason(
    info: dict[str, object], phase: tuple[str, str], status: str, attribute: str, stub: QdrantStub, polls: Polls
) -> None:
    stub.add("docs", **info)
    polled = await polls.repeat(2)
    entity = polls.published[collection("docs")]
    assert (pulse_of(polled, "docs").phase, pulse_of(polled, "docs").cause) == phase
    assert (entity.status, entity.attributes["kgents.qdrant.status"]) == (status, attribute)
    if "optimizer_status" in info:
        assert entity.reason == "No space left"


async def test_more_collections_than_are_shown_are_counted(stub: QdrantStub) -> None:
    async with polls_of(stub.url, max_collections=3) as polls:
        for number in range(5):
            stub.add(f"docs-{number}")
        polled = await polls.poll()
        assert {ref.name for ref in polls.published if ref.kind == "collection"} == {
            "vectors/docs-0", "vectors/docs-1", "vectors/docs-2", "vectors/*",
        }  # fmt: skip
        assert polled.pulse.custom["qdrant_collections_count"] == 5
        assert "qdrant_points" not in polled.pulse.custom  # of all it is not known
        stub.add("a-newer-one")
        assert (await polls.poll()).entity_bytes == polled.entity_bytes  # what is shown stays
        for number in range(2, 5):
            del stub.collections[f"docs-{number}"]
        await polls.poll()
        assert collection("*") not in polls.published


async def test_key_of_awkward_characters_works_and_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    async with (
        QdrantStub(api_key=AWKWARD) as stub,
        polls_of(stub.url, api_key=Secret(AWKWARD)) as polls,
    ):
        stub.add("docs")
        polled = await polls.repeat(2)
        assert polled.phase == ("healthy", "")
        assert not polled.sample.faults
    assert AWKWARD.encode() not in polls.published_bytes
    assert AWKWARD not in caplog.text


@pytest.mark.parametrize("key", ["two\nlines", "a\tb"])
async def test_key_that_is_no_valid_header_is_reported(key: str, stub: QdrantStub) -> None:
    async with polls_of(stub.url, api_key=Secret(key)) as polls:
        polled = await polls.poll()
    assert polled.phase == ("degraded", "wrong credentials")
    assert "an HTTP header cannot contain" in polled.sample.unreachable.text
    assert key not in polled.sample.unreachable.text


async def test_a_server_over_tls_is_read_by_who_trusts_it_or_asks_for_no_proof(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    read: list[str] = []
    async with QdrantStub(tls=certificates.server_context()) as stub:
        elsewhere = stub.url.replace("127.0.0.1", "localhost")
        for url, settings in (
            (stub.url, {"tls_ca_file": str(certificates.ca)}),
            (stub.url, {}),
            (elsewhere, {"tls_ca_file": str(certificates.ca)}),
            (elsewhere, {"tls": "require"}),
        ):
            async with polls_of(url, **settings) as polls:
                polled = await polls.poll()
                pulse = next(each for each in polled.facts.pulses if each.ref.kind == "database")
                assert isinstance(pulse, DatabasePulse)
                read.append(pulse.cause or pulse.phase)
    assert read == ["healthy", "tls", "tls", "healthy"]
