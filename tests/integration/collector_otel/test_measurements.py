"""Metrics of the official SDK, and a real Prometheus that writes and is asked: published figures and edges."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import Histogram, MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import Aggregation, ExponentialBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource

from kgents_collector_otel.config import HttpConfig, PrometheusConfig, TlsConfig
from kgents_collector_otel.mapping import remote_write
from kgents_collector_otel.source import otlp_http
from kgents_collector_otel.source.access import Tokens
from kgents_collector_otel.source.admission import Admission, BusyError, Outcome
from kgents_collector_otel.source.prometheus import asking
from kgents_collector_otel.source.remote_write import PATH, SIGNALS
from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import Pulse, ResourcePulse, TrafficPulse
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.view.pulses import pulses_since
from support.exposition import shop, text
from support.otel_collector import Otel, otel_collector
from support.otel_metrics import POD
from support.ports import free_port
from support.prometheus import Prometheus, target
from support.waiting import eventually, pause

pytestmark = pytest.mark.integration

EDGES = {("web", "cart"): 12.0, ("web", "pay"): 4.0, ("web", "search"): 5.0, ("cart", "orders"): 4.0}
"""Requests a second of `exposition.shop`."""
APP = Ref("test", "app", "cart", "shop")


def counting() -> Callable[[], str]:
    """The shop, in real time."""
    began_s = time.monotonic()
    return lambda: text(shop(time.monotonic() - began_s + 100))


async def pulses(bus: Bus, ref: Ref) -> list[Pulse]:
    return await pulses_since(bus, ref, datetime.now(UTC) - timedelta(minutes=5), count=100)


@contextmanager
def measuring(exporter: Any) -> Iterator[MeterProvider]:
    """A process in a pod that exports four times a second."""
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=250)
    provider = MeterProvider([reader], resource=Resource(POD), shutdown_on_exit=False)
    try:
        yield provider
    finally:
        provider.shutdown()


DELTAS: dict[type, AggregationTemporality] = dict.fromkeys((ObservableCounter, Histogram), AggregationTemporality.DELTA)
EXPONENTIAL: dict[type, Aggregation] = {Histogram: ExponentialBucketHistogramAggregation()}


@pytest.mark.parametrize("protocol", ["grpc", "http, deltas, exponential histograms"])
async def test_the_sdks_metrics_are_figures_of_the_app_and_its_pod(bus: Bus, tmp_path: Path, protocol: str) -> None:
    began_s = time.monotonic()

    def used(_: CallbackOptions) -> list[Observation]:
        return [Observation(0.25 * (time.monotonic() - began_s), {"cpu.mode": "user"})]

    async with otel_collector(bus, tmp_path) as otel:
        exporter: Any = GrpcExporter(endpoint=f"http://127.0.0.1:{otel.grpc}", insecure=True)
        if protocol != "grpc":
            url = f"http://127.0.0.1:{otel.http}/v1/metrics"
            more: dict[str, Any] = {"preferred_temporality": DELTAS, "preferred_aggregation": EXPONENTIAL}
            exporter = HttpExporter(endpoint=url, **more)
        with measuring(exporter) as provider:
            meter = provider.get_meter("test")
            meter.create_observable_counter("process.cpu.time", [used], unit="s")
            served = meter.create_histogram("http.server.request.duration", unit="s")

            async def is_measured() -> tuple[TrafficPulse, ResourcePulse] | None:
                for number in range(20):
                    served.record(0.02, {"http.response.status_code": 500 if number == 0 else 200})
                of_app, of_pod = await pulses(bus, APP), await pulses(bus, Ref("test", "pod", "cart-7f", "prod"))
                app = next((each for each in of_app if each.custom.get("error_rate")), None)
                pod = next((each for each in of_pod if each.custom.get("process_cpu_percent")), None)
                return (app, pod) if isinstance(app, TrafficPulse) and isinstance(pod, ResourcePulse) else None

            app, pod = await eventually(is_measured, 30)
    assert app.custom["error_rate"] == pytest.approx(0.05, abs=0.01)
    assert app.custom["requests_per_sec"]
    if protocol != "grpc":  # the default bounds of the SDK are no seconds
        assert app.custom["latency_p50_ms"] == pytest.approx(20.0, rel=0.06)
    assert pod.uid == "uid-1"
    assert pod.custom["process_cpu_percent"] == pytest.approx(25.0, rel=0.2)


@pytest.mark.parametrize("way", ["query", "remote write"])
async def test_both_ways_from_prometheus_give_the_same_edges(bus: Bus, tmp_path: Path, way: str) -> None:
    http = free_port()
    is_written = way == "remote write"
    url = f"http://127.0.0.1:{http}{PATH}" if is_written else ""
    settings: dict[str, Any] = {"http": HttpConfig(port=http)}
    async with target(counting()) as exposed, Prometheus(tmp_path, exposed, remote_write=url) as server:
        if not is_written:
            settings |= {"prometheus_endpoint": server.endpoint, "prometheus": PrometheusConfig(interval_s=1.0)}
        async with otel_collector(bus, tmp_path, **settings) as otel:
            await eventually(lambda: rates(otel).keys() == EDGES.keys(), 30)
            assert rates(otel) == pytest.approx(EDGES, rel=0.1)
            container = Ref("test", "container", "cart-7f/cart", "shop")
            found = await eventually(lambda: pulses(bus, container), 30)
    assert isinstance(found[-1], ResourcePulse)
    assert (found[-1].memory_bytes, found[-1].memory_limit_bytes) == (90_000_000, 100_000_000)


def rates(otel: Otel) -> dict[tuple[str, str], float]:
    """Of each edge that is published with a rate."""
    found = {}
    for name in ("web", "cart"):
        entity = otel.app(name)
        for each in entity.connections if entity is not None else ():
            if isinstance(each.peer, Ref) and each.traffic is not None and each.traffic.requests_per_sec:
                found[name, each.peer.name] = each.traffic.requests_per_sec
    return found


class Receiver(Admission):
    """What the HTTP receiver hands requests to, as busy as a test wants."""

    def __init__(self) -> None:
        super().__init__({SIGNALS[remote_write.V1]: self.note}, SystemClock(), max_bytes=2**26)
        self.is_busy = False
        self.samples: set[tuple[frozenset[tuple[str, str]], int, float]] = set()

    async def take(self, signal: str, body: bytes) -> Outcome:
        if self.is_busy:
            self.refused += 1
            raise BusyError
        return await super().take(signal, body)

    async def note(self, body: bytes) -> Outcome:
        for labels, samples, _ in remote_write.parse(body, remote_write.V1):
            self.samples |= {(frozenset(labels.items()), each.time, each.value) for each in samples}
        return Outcome()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        config = HttpConfig(port=free_port())
        async with otlp_http.listening(config, TlsConfig(), Tokens(""), self):
            yield f"http://127.0.0.1:{config.port}{PATH}"


async def test_five_seconds_of_503_lose_nothing_that_prometheus_has(tmp_path: Path) -> None:
    receiver = Receiver()
    async with (
        receiver.listening() as url,
        target(counting()) as exposed,
        Prometheus(tmp_path, exposed, remote_write=url) as server,
        asking(server.endpoint, SystemClock(), timeout_s=10.0) as source,
    ):
        await eventually(lambda: receiver.samples)
        receiver.is_busy = True
        await pause(5.0)
        assert receiver.refused > 1
        receiver.is_busy = False
        read = await source.read(["istio_requests_total", "response_total"])
        known = {
            (frozenset(labels.items()), each.time, each.value) for labels, samples in read.series for each in samples
        }
        assert len({time_ns for _, time_ns, _ in known}) >= 5
        await eventually(lambda: known <= receiver.samples)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}, b"no snappy", 400),
        ({"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}, b"\x02\x04\xff\xff", 400),
        ({"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}, b"\xff\xff\xff\xff\x0f", 413),
        ({"Content-Type": "application/json", "Content-Encoding": "snappy"}, b"", 415),
        ({"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}, b"", 415),
        ({"Content-Type": "application/x-protobuf;proto=other", "Content-Encoding": "snappy"}, b"", 415),
    ],
)
async def test_bad_data_is_never_answered_with_come_again(headers: dict[str, str], body: bytes, status: int) -> None:
    async with Receiver().listening() as url:
        code, _ = await asyncio.to_thread(posted, url, headers, body)
    assert code == status


def posted(url: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str]]:
    answer = httpx.post(url, headers=headers, content=body, trust_env=False, timeout=30)
    return answer.status_code, dict(answer.headers)
