"""Metrics as Prometheus reads them, spans as a collector gets them, and their way through message headers."""

import http.server
import threading
from collections.abc import Iterator

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import get_current_span

from kgents_shared.runtime.sections import TelemetryConfig
from kgents_shared.runtime.telemetry import Telemetry, extract, inject
from support.waiting import lasting_at_most

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


class Collector:
    """An OTLP collector on a real socket, which may also never answer."""

    def __init__(self, *, silent: bool) -> None:
        self.requests: list[tuple[str, ExportTraceServiceRequest]] = []
        self.released = threading.Event()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                if silent:
                    collector.released.wait(30)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.requests.append((self.path, ExportTraceServiceRequest.FromString(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector(silent=False)
    yield collector
    collector.close()


@pytest.fixture
def silent_collector() -> Iterator[Collector]:
    collector = Collector(silent=True)
    yield collector
    collector.close()


def telemetry(endpoint: str | None = None, ratio: float = 1.0) -> Telemetry:
    config = TelemetryConfig(otlp_endpoint=endpoint, trace_sample_ratio=ratio)
    return Telemetry(config, service="collector-nats", version="1.2.3", instance="pod-0")


class TestMetrics:
    pytestmark = pytest.mark.unit

    def test_a_counter_is_rendered_under_its_prometheus_name(self) -> None:
        own = telemetry()
        own.meter.create_counter("kgents.bus.published", unit="{message}").add(3, {"signal": "pulse"})
        assert b'\nkgents_bus_published_total{signal="pulse"} 3.0\n' in own.render()

    def test_a_unit_becomes_part_of_the_name(self) -> None:
        own = telemetry()
        own.meter.create_histogram("kgents.poll.duration", unit="s").record(0.5)
        assert b"kgents_poll_duration_seconds_sum 0.5" in own.render()

    def test_the_target_is_named_with_its_service(self) -> None:
        own = telemetry()
        own.meter.create_counter("kgents.bus.published").add(1)
        shown = own.render().decode()
        for label in ('service_name="collector-nats"', 'service_version="1.2.3"', 'service_instance_id="pod-0"'):
            assert label in shown

    def test_two_in_one_process_do_not_share_metrics(self) -> None:
        one, other = telemetry(), telemetry()
        one.meter.create_counter("kgents.only.here").add(1)
        assert b"kgents_only_here" in one.render()
        assert b"kgents_only_here" not in other.render()


class TestHeaders:
    pytestmark = pytest.mark.unit

    def test_without_a_span_no_header_is_added(self) -> None:
        headers: dict[str, str] = {}
        inject(headers)
        assert headers == {}

    def test_without_an_endpoint_no_header_is_added(self) -> None:
        headers: dict[str, str] = {}
        with telemetry().tracer.start_as_current_span("x"):
            inject(headers)
        assert headers == {}

    def test_a_message_carries_the_parent_of_a_span(self) -> None:
        parent = get_current_span(extract({"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"}))
        assert f"{parent.get_span_context().trace_id:032x}" == TRACE_ID

    @pytest.mark.parametrize("headers", [{}, {"traceparent": "nonsense"}])
    def test_headers_without_a_trace_begin_a_new_one(self, headers: dict[str, str]) -> None:
        assert not get_current_span(extract(headers)).get_span_context().is_valid

    @pytest.mark.parametrize("endpoint", ["localhost:4317", "grpc://collector:4317"])
    def test_an_endpoint_that_is_no_http_url_is_refused(self, endpoint: str) -> None:
        with pytest.raises(ValueError, match="try: http://localhost:4318"):
            TelemetryConfig(otlp_endpoint=endpoint)


class TestSpans:
    pytestmark = pytest.mark.integration

    def test_a_recorded_span_reaches_the_collector_by_the_end(self, collector: Collector) -> None:
        own = telemetry(collector.url)
        with own.tracer.start_as_current_span("poll"):
            pass
        assert own.shutdown()
        ((path, request),) = collector.requests
        assert path == "/v1/traces"
        assert request.resource_spans[0].scope_spans[0].spans[0].name == "poll"

    def test_a_recorded_span_is_injected_and_extracted(self, collector: Collector) -> None:
        own, headers = telemetry(collector.url), dict[str, str]()
        with own.tracer.start_as_current_span("publish") as span:
            inject(headers)
        own.shutdown()
        remote = get_current_span(extract(headers)).get_span_context()
        assert (remote.trace_id, remote.span_id) == (span.get_span_context().trace_id, span.get_span_context().span_id)

    def test_the_parent_s_decision_outweighs_the_ratio(self, collector: Collector) -> None:
        own = telemetry(collector.url, ratio=0.0)
        parent = extract({"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"})
        recording = own.tracer.start_span("x", context=parent).is_recording()
        own.shutdown()
        assert recording

    def test_a_ratio_of_zero_records_no_new_trace(self, collector: Collector) -> None:
        own = telemetry(collector.url, ratio=0.0)
        with own.tracer.start_as_current_span("x"):
            pass
        own.shutdown()
        assert collector.requests == []

    def test_a_collector_that_never_answers_delays_the_end_no_longer_than_the_deadline(
        self, silent_collector: Collector
    ) -> None:
        own = telemetry(silent_collector.url)
        with own.tracer.start_as_current_span("x"):
            pass
        with lasting_at_most(2):
            assert not own.shutdown(deadline_s=0.2)
