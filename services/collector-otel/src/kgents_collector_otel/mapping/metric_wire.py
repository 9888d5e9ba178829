"""OTLP metrics, as protobuf or JSON → their messages, by a descriptor of what is read and nothing else. Pure.

Texts, attributes, resources and scopes stay bytes: they identify a series as they are, most are never decoded, and
invalid UTF-8 in one of them costs nothing else.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message, message_factory

from kgents_shared.contract.errors import MalformedMessageError

DELTA: Final = 1
CUMULATIVE: Final = 2
NO_RECORDED_VALUE: Final = 1
"""A flag of a point: its series has ended."""

_TIMES: Final = ("start_time_unix_nano 2 fixed64", "time_unix_nano 3 fixed64")
_SHAPES: Final[Mapping[str, tuple[str, ...]]] = {
    "Request": ("resource_metrics 1 *ResourceMetrics",),
    "ResourceMetrics": ("resource 1 Resource", "scope_metrics 2 *ScopeMetrics"),
    "Resource": ("attributes 1 *KeyValue",),
    "ScopeMetrics": ("scope 1 Scope", "metrics 2 *Metric"),
    "Scope": ("name 1 string", "version 2 string", "attributes 3 *KeyValue"),
    "Metric": (
        "name 1 string",
        "unit 3 string",
        "gauge 5 ?Gauge",
        "sum 7 ?Sum",
        "histogram 9 ?Histogram",
        "exponential_histogram 10 ?ExponentialHistogram",
    ),
    "Gauge": ("data_points 1 *NumberPoint",),
    "Sum": ("data_points 1 *NumberPoint", "aggregation_temporality 2 int32", "is_monotonic 3 bool"),
    "Histogram": ("data_points 1 *HistogramPoint", "aggregation_temporality 2 int32"),
    "ExponentialHistogram": ("data_points 1 *ExponentialPoint", "aggregation_temporality 2 int32"),
    "NumberPoint": (*_TIMES, "as_double 4 ?double", "as_int 6 ?sfixed64", "attributes 7 *KeyValue", "flags 8 uint32"),
    "HistogramPoint": (
        *_TIMES,
        "count 4 fixed64",
        "sum 5 ?double",
        "bucket_counts 6 *fixed64",
        "explicit_bounds 7 *double",
        "attributes 9 *KeyValue",
        "flags 10 uint32",
    ),
    "ExponentialPoint": (
        *_TIMES,
        "attributes 1 *KeyValue",
        "sum 5 ?double",
        "scale 6 sint32",
        "zero_count 7 fixed64",
        "positive 8 Buckets",
        "negative 9 Buckets",
        "flags 10 uint32",
        "zero_threshold 14 double",
    ),
    "Buckets": ("offset 1 sint32", "bucket_counts 2 *uint64"),
    "LogsRequest": ("resource_logs 1 *ResourceLogs",),
    "ResourceLogs": ("resource 1 Resource", "scope_logs 2 *ScopeLogs"),
    "ScopeLogs": ("log_records 2 *LogRecord",),
    "LogRecord": ("attributes 6 *KeyValue", "event_name 12 string"),
    "KeyValue": ("key 1 string", "value 2 Value"),
    "Value": (
        "string_value 1 ?string",
        "bool_value 2 ?bool",
        "int_value 3 ?int64",
        "double_value 4 ?double",
        "array_value 5 ?Array",
        "kvlist_value 6 ?Map",
        "bytes_value 7 ?bytes",
    ),
    "Array": ("values 1 *Value",),
    "Map": ("values 1 *KeyValue",),
}
"""As `classes` takes them."""
_RAW: Final = {"string": "bytes", "KeyValue": "bytes", "Resource": "bytes", "Scope": "bytes"}
"""What is read as bytes."""

_Field: Final = descriptor_pb2.FieldDescriptorProto
_SCALARS: Final = ("double", "fixed64", "sfixed64", "int32", "int64", "uint32", "uint64", "sint32", "bool", "bytes")


def classes(
    package: str, shapes: Mapping[str, tuple[str, ...]], replaced: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    """The message classes of some shapes: name → fields `name number type`; `*`: repeated, `?`: with presence.

    Args:
        package: of the names, one for each call.
        shapes: the messages.
        replaced: types that are read as another one.
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in shapes.items():
        shape = file.message_type.add(name=name)
        for each in fields:
            _add(shape, *each.split(), package=package, replaced=replaced or {})
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in shapes}


def _add(
    shape: descriptor_pb2.DescriptorProto,
    name: str,
    number: str,
    kind: str,
    *,
    package: str,
    replaced: Mapping[str, str],
) -> None:
    bare = kind.lstrip("*?")
    type_ = replaced.get(bare, bare)
    field = shape.field.add(name=name, number=int(number))
    field.label = _Field.LABEL_REPEATED if kind.startswith("*") else _Field.LABEL_OPTIONAL
    if type_ in (*_SCALARS, "string"):
        field.type = _Field.Type.Value(f"TYPE_{type_.upper()}")
    else:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{package}.{type_}"
    if kind.startswith("?"):
        field.proto3_optional, field.oneof_index = True, len(shape.oneof_decl)
        shape.oneof_decl.add(name=f"_{name}")


_READ: Final = classes("kgents.otlp.raw", _SHAPES, _RAW)
_TYPED: Final = classes("kgents.otlp.typed", _SHAPES)
_ATTRIBUTE: Final = classes("kgents.otlp.attribute", _SHAPES, {"string": "bytes"})
"""Attributes one by one; their texts are bytes until they are known to be wanted."""


def parse(data: bytes) -> Iterable[Any]:
    """The `ResourceMetrics` of a request.

    Raises:
        MalformedMessageError: it is not protobuf.
    """
    try:
        return _READ["Request"].FromString(data).resource_metrics  # type: ignore[no-any-return]  # made at run time
    except message.DecodeError as error:
        raise MalformedMessageError("expected an ExportMetricsServiceRequest, found no protobuf of one") from error


def parse_logs(data: bytes) -> Iterator[tuple[str, Iterable[bytes]]]:
    """The records of a request of logs: the name of each event, and its attributes.

    Raises:
        MalformedMessageError: it is not protobuf.
    """
    try:
        request = _READ["LogsRequest"].FromString(data)
    except message.DecodeError as error:
        raise MalformedMessageError("expected an ExportLogsServiceRequest, found no protobuf of one") from error
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                yield _text(record.event_name), record.attributes


def of_json(data: bytes, kind: str = "Request") -> bytes:
    """A request as protobuf; `LogsRequest` for one of logs.

    No field that is read is an id, so that JSON of protobuf and of OTLP are the same here.

    Raises:
        MalformedMessageError: it is not JSON of a request.
    """
    try:
        request = json_format.Parse(data, _TYPED[kind](), ignore_unknown_fields=True)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError):  # its text quotes what was found
        raise MalformedMessageError("expected a request of OTLP/JSON, found no JSON of one") from None
    return request.SerializeToString()  # type: ignore[no-any-return]  # made at run time


def attributes_of_resource(resource: bytes, wanted: frozenset[str]) -> dict[str, Any]:
    """The wanted attributes of a resource; none of one that is no protobuf."""
    try:
        return attributes(_READ_RESOURCE.FromString(resource).attributes, wanted)
    except message.DecodeError:
        return {}


def attributes(raw: Iterable[bytes], wanted: frozenset[str]) -> dict[str, Any]:
    """The wanted ones of some attributes; arrays and maps as lists and dicts. One that is no protobuf is left out."""
    found: dict[str, Any] = {}
    for each in raw:
        try:
            pair = _ATTRIBUTE["KeyValue"].FromString(each)
        except message.DecodeError:
            continue
        key = _text(pair.key)
        if key in wanted:
            found[key] = value_of(pair.value)
    return found


def value_of(value: Any) -> Any:
    """What an `AnyValue` holds; None if it is empty."""
    for name in ("string_value", "int_value", "bool_value", "double_value", "bytes_value"):
        if value.HasField(name):
            found = getattr(value, name)
            return _text(found) if name == "string_value" else found
    if value.HasField("array_value"):
        return [value_of(each) for each in value.array_value.values]
    if value.HasField("kvlist_value"):
        return {_text(each.key): value_of(each.value) for each in value.kvlist_value.values}
    return None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


_READ_RESOURCE: Final = classes("kgents.otlp.resource", _SHAPES, {"KeyValue": "bytes"})["Resource"]
