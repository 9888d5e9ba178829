"""Metrics as SDKs send them → the figures of the apps and pods that sent them."""

import json
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality as Temporality
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.sdk.metrics import Counter, Histogram
from opentelemetry.sdk.metrics.export import AggregationTemporality
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation

from kgents_collector_otel.mapping import metric_wire as wire
from kgents_collector_otel.mapping.metric import Metrics, Rejected
from kgents_shared.contract.codec import encode
from kgents_shared.contract.errors import MalformedMessageError
from support.otel_metrics import POD, SHOP, Sdk, at, counter, found, request, take, values

pytestmark = pytest.mark.unit

SERVED = "http.server.request.duration"
DELTA = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}
DELTA_NAME = "AGGREGATION_TEMPORALITY_DELTA"
EXPONENTIAL = {Histogram: ExponentialBucketHistogramAggregation()}


def cpu(value: float, time_s: float, start_s: float = 1.0, **more: Any) -> Metric:
    return counter("process.cpu.time", "s", value, time_s, start_s, **more)


def gauge(name: str, unit: str, value: float, time_s: float) -> Metric:
    metric = counter(name, unit, value, time_s)
    metric.sum.is_monotonic = False
    return metric


def twice(sdk: Sdk, record: Any, metrics: Metrics | None = None) -> dict[str, float | None]:
    """What the second of two exports gives; each records the same."""
    metrics = metrics or Metrics("c1")
    figures: dict[str, float | None] = {}
    for seconds in (0.0, 10.0):
        record()
        take(metrics, sdk.export(), seconds)
        figures = values(metrics)
    return figures


@pytest.mark.parametrize("reader", [{}, {"preferred_temporality": DELTA}, {"preferred_aggregation": EXPONENTIAL}])
def test_request_durations_give_a_rate_the_share_of_errors_and_percentiles(reader: dict[str, Any]) -> None:
    sdk = Sdk(**reader)
    durations = sdk.meter.create_histogram(
        SERVED, unit="s", explicit_bucket_boundaries_advisory=[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0]
    )

    def record() -> None:
        for _ in range(19):
            durations.record(0.02, {"http.response.status_code": 200, "http.route": "/cart"})
        durations.record(0.4, {"http.response.status_code": 503, "http.route": "/cart"})
        durations.record(0.02, {"http.response.status_code": 404, "http.route": "/cart"})

    figures = twice(sdk, record)
    assert figures["error_rate"] == pytest.approx(1 / 21)
    assert figures["latency_p50_ms"] == pytest.approx(20.0, rel=0.3)
    assert figures["latency_p99_ms"] == pytest.approx(400.0, rel=0.3)
    assert figures["requests_per_sec"] is not None


@pytest.mark.parametrize(("name", "unit", "value"), [(SERVED, "s", 0.02), ("http.server.duration", "ms", 20.0)])
def test_the_unit_says_seconds_or_milliseconds(name: str, unit: str, value: float) -> None:
    sdk = Sdk(preferred_temporality=DELTA, preferred_aggregation=EXPONENTIAL)
    durations = sdk.meter.create_histogram(name, unit=unit)
    assert twice(sdk, lambda: durations.record(value))["latency_p50_ms"] == pytest.approx(20.0, rel=0.02)


def test_an_unknown_unit_is_not_guessed() -> None:
    sdk = Sdk()
    durations = sdk.meter.create_histogram(SERVED, unit="fortnights")
    assert twice(sdk, lambda: durations.record(1.0)) == {}


def test_one_process_that_sends_old_and_new_names_is_counted_once() -> None:
    sdk = Sdk(preferred_temporality=DELTA)
    new = sdk.meter.create_histogram(SERVED, unit="s")
    old = sdk.meter.create_histogram("http.server.duration", unit="ms")

    def record() -> None:
        new.record(0.01, {"http.response.status_code": 200})
        old.record(10.0, {"http.status_code": 500})

    assert twice(sdk, record)["error_rate"] == 0.0


def test_http_and_rpc_add_up_to_what_an_app_serves() -> None:
    sdk = Sdk(preferred_temporality=DELTA)
    http = sdk.meter.create_histogram(SERVED, unit="s")
    rpc = sdk.meter.create_histogram("rpc.server.duration", unit="ms")

    def record() -> None:
        http.record(0.01, {"http.response.status_code": 200})
        rpc.record(10.0, {"rpc.grpc.status_code": 14})

    assert twice(sdk, record)["error_rate"] == pytest.approx(0.5, abs=0.05)


def test_a_rate_is_of_the_time_between_two_points() -> None:
    metrics = Metrics("c1")
    take(metrics, request(cpu(5.0, 10)), 10)
    assert values(metrics) == {"process_cpu_percent": None}
    take(metrics, request(cpu(20.0, 20)), 20)
    assert values(metrics) == {"process_cpu_percent": pytest.approx(150.0)}


def test_several_points_until_it_is_read_are_one_longer_time() -> None:
    metrics = Metrics("c1")
    for time_s, value in ((10, 0.0), (11, 1.0), (12, 3.0), (20, 3.0)):
        take(metrics, request(cpu(value, time_s)), time_s)
    assert values(metrics) == {"process_cpu_percent": pytest.approx(30.0)}
    take(metrics, request(cpu(4.0, 22)), 22)
    assert values(metrics) == {"process_cpu_percent": pytest.approx(50.0)}


def test_a_restart_is_not_a_negative_rate_nor_a_peak() -> None:
    metrics = Metrics("c1")
    for value, time_s, start_s in ((500.0, 10, 1), (505.0, 20, 1), (1.0, 30, 25), (3.0, 40, 25)):
        take(metrics, request(cpu(value, time_s, start_s)), time_s)
    assert values(metrics) == {"process_cpu_percent": pytest.approx(20.0)}
    take(metrics, request(cpu(1.0, 50, 0.0)), 50)
    assert values(metrics) == {"process_cpu_percent": None}


def test_instances_of_an_app_add_up_and_the_sum_is_unknown_while_one_part_is() -> None:
    metrics = Metrics("c1")
    one, two = {**SHOP, "service.instance.id": "1"}, {**SHOP, "service.instance.id": "2"}
    for time_s, value in ((10, 0.0), (20, 5.0)):
        take(metrics, request(cpu(value, time_s), resource=one), time_s)
    take(metrics, request(cpu(7.0, 20), resource=two), 20)
    assert values(metrics) == {"process_cpu_percent": None}
    take(metrics, request(cpu(8.0, 30), resource=two), 30)
    assert values(metrics) == {"process_cpu_percent": pytest.approx(60.0)}


def test_a_process_in_a_pod_is_measured_as_the_pods() -> None:
    metrics = Metrics("c1")
    for time_s, value in ((10, 0.0), (20, 1.0)):
        take(metrics, request(cpu(value, time_s), resource=POD), time_s)
    pod = found(metrics)["pod"]
    assert (str(pod.ref), pod.uid, pod.values) == ("pod prod/cart-7f", "uid-1", {"process_cpu_percent": 10.0})


def test_what_the_kernel_accounts_to_a_pod_has_a_field_of_its_own() -> None:
    metrics = Metrics("c1")
    resource = {"k8s.namespace.name": "prod", "k8s.pod.name": "cart-7f", "k8s.pod.uid": "uid-1"}
    for time_s, value in ((10, 0.0), (20, 1.0)):
        received = counter("k8s.pod.network.io", "By", 1000 * value, time_s, 1.0, attributes={"direction": "receive"})
        take(
            metrics, request(counter("k8s.pod.cpu.time", "s", value, time_s, 1.0), received, resource=resource), time_s
        )
    pulse = found(metrics)["pod"].pulse("otel", at(20))
    assert (pulse.cpu_percent, pulse.network_rx_bytes, pulse.network_tx_bytes) == (10.0, 100.0, None)
    assert (pulse.custom, pulse.unread, pulse.interval_s) == ({}, [], 10.0)


def test_of_two_metrics_for_one_figure_the_first_counts() -> None:
    metrics = Metrics("c1")
    resource = {"k8s.namespace.name": "prod", "k8s.pod.name": "cart-7f"}
    for time_s, value in ((10, 0.0), (20, 1.0)):
        usage = gauge("k8s.pod.cpu.usage", "{cpu}", 0.5, time_s)
        take(metrics, request(counter("k8s.pod.cpu.time", "s", value, time_s), usage, resource=resource), time_s)
    assert values(metrics, "pod") == {"cpu_percent": 50.0}


def test_a_gauge_that_arrives_late_changes_nothing() -> None:
    metrics = Metrics("c1")
    for time_s, value in ((20, 4.0), (10, 9.0)):
        take(metrics, request(gauge("process.thread.count", "{thread}", value, time_s)), 20)
    assert values(metrics) == {"threads": 4.0}


def test_a_unit_that_is_no_count_is_not_a_number_of_threads() -> None:
    metrics = Metrics("c1")
    take(metrics, request(gauge("process.thread.count", "s", 4.0, 10)), 10)
    assert values(metrics) == {}


def test_a_figure_that_is_older_than_the_pulse_says_when_it_was_read() -> None:
    metrics = Metrics("c1")
    take(metrics, request(gauge("process.thread.count", "{thread}", 4.0, 10)), 10)
    take(metrics, request(gauge("process.memory.usage", "By", 9.0, 20)), 20)
    assert found(metrics)["app"].pulse("otel", at(20)).read_at == {"threads": at(10)}


def test_a_field_that_is_not_known_is_unread_and_a_figure_null() -> None:
    metrics = Metrics("c1")
    resource = {"k8s.namespace.name": "prod", "k8s.pod.name": "cart-7f"}
    take(metrics, request(counter("k8s.pod.cpu.time", "s", 1.0, 10), resource=resource), 10)
    pulse = found(metrics)["pod"].pulse("otel", at(10))
    assert (pulse.cpu_percent, pulse.unread) == (None, ["cpu_percent"])


def test_a_silent_process_leaves_no_figure_behind() -> None:
    metrics = Metrics("c1")
    for time_s, value in ((10, 0.0), (20, 1.0)):
        take(metrics, request(cpu(value, time_s)), time_s)
    list(metrics.ended(at(49)))
    assert values(metrics) != {}
    list(metrics.ended(at(50)))
    assert values(metrics) == {}


def test_a_process_that_was_silent_goes_on_without_a_peak_and_is_forgotten_in_the_end() -> None:
    metrics = Metrics("c1")
    for time_s, value in ((10, 0.0), (20, 1.0), (100, 9.0)):
        list(metrics.ended(at(time_s)))
        take(metrics, request(cpu(value, time_s)), time_s)
    assert values(metrics) == {"process_cpu_percent": pytest.approx(10.0)}
    list(metrics.ended(at(1000)))
    assert len(metrics.table) == 0


def test_a_point_that_says_that_its_series_ended_ends_its_figure_alone() -> None:
    metrics = Metrics("c1")
    threads = gauge("process.thread.count", "{thread}", 4.0, 10)
    take(metrics, request(cpu(0.0, 10), threads), 10)
    take(metrics, request(cpu(0.0, 20, flags=wire.NO_RECORDED_VALUE)), 20)
    assert values(metrics) == {"threads": 4.0}


def test_resent_requests_change_nothing() -> None:
    metrics, seen = Metrics("c1"), []
    for time_s, value in ((10, 0.0), (20, 1.0)):
        for _ in range(3):
            take(metrics, request(cpu(value, time_s)), time_s)
            seen.append(values(metrics)["process_cpu_percent"])
    assert seen == [None, None, None, 10.0, 10.0, 10.0]
    assert metrics.counts["repeated"] == 4


def test_deltas_of_two_processes_under_one_name_are_counted_as_overlapping() -> None:
    metrics = Metrics("c1")
    take(metrics, request(cpu(1.0, 20, 10, is_delta=True)), 20)
    take(metrics, request(cpu(5.0, 25, 15, is_delta=True)), 25)
    assert (metrics.counts["overlapping"], values(metrics)) == (1, {"process_cpu_percent": 10.0})


def test_beyond_the_limit_series_are_refused_and_counted_and_the_known_ones_go_on() -> None:
    metrics = Metrics("c1", series_max=2)
    for time_s in (10, 20):
        for place in range(5):
            take(metrics, request(cpu(float(time_s), time_s, attributes={"cpu.mode": str(place)})), time_s)
    assert (len(metrics.table), metrics.table.refused) == (2, 6)
    assert values(metrics) == {"process_cpu_percent": pytest.approx(200.0)}


def test_malformed_points_are_refused_one_by_one() -> None:
    histogram = Metric(name=SERVED, unit="s")
    histogram.histogram.aggregation_temporality = Temporality.Value(DELTA_NAME)
    histogram.histogram.data_points.add(time_unix_nano=20, bucket_counts=[1, 2], explicit_bounds=[1.0, 2.0])
    exponential = Metric(name=SERVED, unit="s")
    exponential.exponential_histogram.aggregation_temporality = Temporality.Value(DELTA_NAME)
    exponential.exponential_histogram.data_points.add(time_unix_nano=20, scale=99)
    timeless, negative = cpu(1.0, 10), cpu(-1.0, 10)
    timeless.sum.data_points[0].time_unix_nano = 0
    metrics = Metrics("c1")
    rejected = take(metrics, request(histogram, exponential, timeless, negative, cpu(float("nan"), 10)), 10)
    assert (rejected.points, metrics.counts["rejected"]) == (5, 5)
    take(metrics, request(cpu(2.0, 20)), 20)
    assert values(metrics)["process_cpu_percent"] is None


def test_json_is_read_like_protobuf() -> None:
    data = request(cpu(1.0, 10), resource=POD)
    text = json_format.MessageToJson(ExportMetricsServiceRequest.FromString(data), use_integers_for_enums=True)
    known = json.loads(text)
    known["resourceMetrics"][0]["unknown"] = {"field": 1}
    assert list(wire.parse(wire.of_json(json.dumps(known).encode()))) == list(wire.parse(data))


@pytest.mark.parametrize("data", [b"", b"{}"])
def test_an_empty_request_is_none(data: bytes) -> None:
    assert list(wire.parse(wire.of_json(data) if data else data)) == []


@pytest.mark.parametrize("data", [b"\xff\xff", b"\x0a\x7f"])
def test_what_is_no_request_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        wire.parse(data)
    with pytest.raises(MalformedMessageError, match=r"found no JSON of one$"):
        wire.of_json(data)


def test_an_invalid_text_costs_nothing_else() -> None:
    metrics = Metrics("c1")
    for time_s, value in ((10, 0.0), (20, 1.0)):
        data = request(cpu(value, time_s, attributes={"note": "broken"})).replace(
            b"broken", b"\xff\xfe\xff\xfe\xff\xfe"
        )
        take(metrics, data, time_s)
    assert values(metrics) == {"process_cpu_percent": pytest.approx(10.0)}


def test_no_attribute_and_no_other_text_of_a_sender_is_published() -> None:
    canary = "Zx81-canary"
    resource = {**POD, "host.name": "", "process.command_line": canary, "k8s.pod.label.token": canary}
    secrets = {"url.full": canary, "db.query.text": canary, "user.id": canary, "http.route": canary, canary: canary}
    metrics = Metrics("c1")
    for time_s, value in ((10, 0.0), (20, 1.0)):
        take(metrics, request(cpu(value, time_s, attributes=secrets), resource=resource), time_s)
        take(metrics, request(counter(canary, canary, value, time_s), resource=resource), time_s)
    published = [encode(each.pulse("otel", at(20))) for each, _ in filter(None, metrics.measured())]
    assert published
    assert not [each for each in published if canary.encode() in each]


def test_a_large_request_and_a_large_app_are_taken_in_small_steps() -> None:
    metrics, steps = Metrics("c1"), 0
    for time_s in (10, 20):
        points = [cpu(float(time_s), time_s, attributes={"cpu.mode": str(place)}) for place in range(300)]
        for each in wire.parse(request(*points)):
            steps = len(list(metrics.take(each, at(time_s), Rejected())))
    assert steps == 300
    sdk = Sdk(preferred_temporality=DELTA)
    durations = sdk.meter.create_histogram(SERVED, unit="s")
    for place in range(300):
        durations.record(0.01, {"http.route": f"/{place}"})
    take(metrics, sdk.export(), 30)
    assert sum(each is None for each in metrics.measured()) >= 300


@pytest.mark.parametrize(
    ("names", "unit", "container"),
    [
        (("k8s.container.cpu_limit", "k8s.container.memory_limit"), "{cpu}", POD | {"k8s.container.name": "web"}),
        (("k8s.container.cpu.limit", "k8s.container.memory.limit"), "{cpu}", POD | {"k8s.container.name": "web"}),
        (("container.cpu.limit", "container.memory.usage.limit"), "{cpus}", {"container.name": "/web"}),
    ],
)
def test_limits_of_containers_are_known_beside_what_they_use(
    names: tuple[str, str], unit: str, container: dict[str, str]
) -> None:
    metrics = Metrics("c1")
    cpu_limit, memory_limit = names
    used = gauge("container.cpu.usage", "{cpu}", 0.25, 1.0), gauge("container.memory.working_set", "By", 3e8, 1.0)
    limits = gauge(cpu_limit, unit, 0.5, 1.0), gauge(memory_limit, "By", 4e8, 1.0)
    take(metrics, request(*used, *limits, resource=container), 1.0)
    pulse = found(metrics)["container"].pulse("otel", at(1.0))
    assert (pulse.cpu_percent, pulse.custom["cpu_limit_percent"]) == (25.0, 50.0)
    assert (pulse.memory_bytes, pulse.memory_limit_bytes) == (300_000_000, 400_000_000)
