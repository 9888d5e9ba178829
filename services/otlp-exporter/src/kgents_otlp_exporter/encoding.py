"""Records and gauges → requests of OTLP, as protobuf, none larger than a receiver takes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from msgspec import Struct
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import DataPointFlags, Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from kgents_otlp_exporter.record import SCOPE, Gauge, Record
from kgents_shared.contract.otel_entities import CLUSTER

LOGS: Final = "logs"
METRICS: Final = "metrics"
BODY_MAX_BYTES: Final = 1024**2
"""Of one request before it is compressed: a receiver takes 4 MiB at least."""
POINTS_MAX: Final = 5_000
"""Of one request of metrics, about as large."""


class Request(Struct, frozen=True):
    """One request."""

    signal: str
    """`logs` or `metrics`."""
    body: bytes
    items: int


class Encoder:
    """Encodes for one instance of the exporter."""

    def __init__(self, *, version: str, instance: str) -> None:
        self._scope = InstrumentationScope(name=SCOPE, version=version)
        self._resource = {
            "service.name": "kgents-otlp-exporter",
            "service.version": version,
            "service.instance.id": instance,
        }

    def logs(self, records: Iterable[Record], observed_ns: int) -> Iterator[Request]:
        """Requests of these records, in their order."""
        request, size, items = ExportLogsServiceRequest(), 0, 0
        for cluster, group in groupby(records, key=lambda each: each.cluster):
            logs = None
            for each in group:
                encoded = _record(each, observed_ns)
                if items and size + encoded.ByteSize() > BODY_MAX_BYTES:
                    yield Request(LOGS, request.SerializeToString(), items)
                    request, size, items, logs = ExportLogsServiceRequest(), 0, 0, None
                if logs is None:
                    of = request.resource_logs.add(resource=self._of(cluster))
                    logs = of.scope_logs.add(scope=self._scope)
                logs.log_records.append(encoded)
                size, items = size + encoded.ByteSize(), items + 1
        if items:
            yield Request(LOGS, request.SerializeToString(), items)

    def metrics(self, gauges: Iterable[Gauge], now_ns: int) -> Iterator[Request]:
        """Requests of these gauges."""
        for gauge in gauges:
            for begin in range(0, len(gauge.points), POINTS_MAX):
                request = ExportMetricsServiceRequest()
                of = request.resource_metrics.add(resource=self._of(gauge.cluster))
                metrics = of.scope_metrics.add(scope=self._scope).metrics
                points = gauge.points[begin : begin + POINTS_MAX]
                metrics.append(_metric(Gauge(gauge.name, gauge.unit, gauge.description, gauge.cluster, points), now_ns))
                yield Request(METRICS, request.SerializeToString(), len(points))

    def _of(self, cluster: str) -> Resource:
        return Resource(attributes=_pairs({**self._resource, CLUSTER: cluster}))


def refused(request: Request, answer: bytes) -> int:
    """How many records or points of a request its receiver did not take; 0 if its answer cannot be read."""
    try:
        if request.signal == LOGS:
            return ExportLogsServiceResponse.FromString(answer).partial_success.rejected_log_records
        return ExportMetricsServiceResponse.FromString(answer).partial_success.rejected_data_points
    except ValueError:  # of protobuf: its `DecodeError` is one
        return 0


def _record(record: Record, observed_ns: int) -> LogRecord:
    return LogRecord(
        time_unix_nano=record.time_ns,
        observed_time_unix_nano=observed_ns,
        severity_number=record.severity,  # type: ignore[arg-type]  # an enumeration is a number
        body=_value(record.body) if record.body else None,
        attributes=_pairs(record.attributes),
        event_name=record.event_name,
    )


def _metric(gauge: Gauge, now_ns: int) -> Metric:
    metric = Metric(name=gauge.name, unit=gauge.unit, description=gauge.description)
    for each in gauge.points:
        point = metric.gauge.data_points.add(time_unix_nano=now_ns, attributes=_pairs(each.attributes))
        if each.value is None:
            point.flags = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
        else:
            point.as_double = each.value
    return metric


def _pairs(values: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=name, value=_value(value)) for name, value in values.items()]


def _value(value: Any) -> AnyValue:
    found = AnyValue()
    match value:
        case bool():
            found.bool_value = value
        case int() if -(2**63) <= value < 2**63:
            found.int_value = value
        case int() | float():
            found.double_value = value
        case Mapping():
            found.kvlist_value.values.extend(_pairs(value))
            found.kvlist_value.SetInParent()
        case Sequence() if not isinstance(value, str):
            found.array_value.values.extend(_value(each) for each in value)
            found.array_value.SetInParent()
        case _:
            found.string_value = str(value)
    return found
