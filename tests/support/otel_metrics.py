"""Metrics as the official SDK of Python sends them, and as points are built one by one where it cannot."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from kgents_collector_otel.mapping import metric_wire as wire
from kgents_collector_otel.mapping.figures import Measured
from kgents_collector_otel.mapping.metric import Metrics, Rejected
from support.build import NOW

SHOP = {"service.name": "cart", "service.namespace": "shop"}
POD = {**SHOP, "k8s.namespace.name": "prod", "k8s.pod.name": "cart-7f", "k8s.pod.uid": "uid-1"}


class Sdk:
    """A process with the SDK; each `export` is the bytes of a request."""

    def __init__(self, resource: Mapping[str, str] = SHOP, **reader: Any) -> None:
        self.reader = InMemoryMetricReader(**reader)
        self.provider = MeterProvider([self.reader], resource=Resource(dict(resource)), shutdown_on_exit=False)
        self.meter = self.provider.get_meter("test")

    def export(self) -> bytes:
        data = self.reader.get_metrics_data()
        assert data is not None
        return encode_metrics(data).SerializeToString()


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def take(metrics: Metrics, request: bytes, seconds: float) -> Rejected:
    """Hand a request over; returns what was rejected of all of it."""
    rejected = Rejected()
    for each in wire.parse(request):
        list(metrics.take(each, at(seconds), rejected))
    return rejected


def found(metrics: Metrics) -> dict[str, Measured]:
    """Kind → the figures of the one entity of this kind."""
    return {each.ref.kind: each for each, _ in filter(None, metrics.measured())}


def values(metrics: Metrics, kind: str = "app") -> dict[str, float | None]:
    each = found(metrics).get(kind)
    return dict(each.values) if each is not None else {}


def request(*metrics: Metric, resource: Mapping[str, str] = SHOP) -> bytes:
    """A request of one resource."""
    one = ResourceMetrics()
    one.resource.attributes.extend(attributes(resource))
    one.scope_metrics.add().metrics.extend(metrics)
    return ExportMetricsServiceRequest(resource_metrics=[one]).SerializeToString()


def attributes(pairs: Mapping[str, Any]) -> Iterator[KeyValue]:
    for key, value in pairs.items():
        yield KeyValue(key=key, value=AnyValue(string_value=value))


def counter(name: str, unit: str, value: float, time_s: float, start_s: float = 0.0, **more: Any) -> Metric:
    """A counter of one series, cumulative unless `is_delta`. Times in seconds after NOW."""
    temporality = "DELTA" if more.get("is_delta") else "CUMULATIVE"
    metric = Metric(name=name, unit=unit)
    metric.sum.aggregation_temporality = AggregationTemporality.Value(f"AGGREGATION_TEMPORALITY_{temporality}")
    metric.sum.is_monotonic = True
    metric.sum.data_points.append(
        NumberDataPoint(
            time_unix_nano=nanoseconds(time_s),
            start_time_unix_nano=nanoseconds(start_s) if start_s else 0,
            as_double=value,
            flags=more.get("flags", 0),
            attributes=attributes(more.get("attributes", {})),
        )
    )
    return metric


def nanoseconds(seconds: float) -> int:
    return round((NOW.timestamp() + seconds) * 1e9)
