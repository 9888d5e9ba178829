"""The messages of OTLP, as protobuf and as JSON: what we read of them is what the official ones say."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from kgents_collector_otel.mapping import names, otlp_json, wire
from kgents_shared.contract.errors import MalformedMessageError
from support.otel_calls import calls, rounded, samples, spans_of
from support.otel_spans import Counting, call, made, request, span

# The cut-down messages

texts = st.text(max_size=8)
attributes = st.dictionaries(
    texts | st.sampled_from(sorted(key.decode() for key in names.WANTED)),
    texts | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.floats(allow_nan=False),
    max_size=6,
)


@settings(deadline=None, max_examples=100)
@given(found=attributes, ids=st.binary(max_size=20), kind=st.integers(0, 7), code=st.integers(0, 2), data=st.data())
def test_the_cut_down_messages_read_what_the_official_ones_do(
    found: dict[str, Any], ids: bytes, kind: int, code: int, data: st.DataObject
) -> None:
    given_span = span(kind, ids, ids[:8], parent=ids[:8], attributes=found)
    given_span.status.code = code  # type: ignore[assignment]  # an enumeration of the generated class
    given_span.attributes.append(
        KeyValue(key="list", value=AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1)])))
    )
    body = request([made("a", given_span)])
    ours = wire.TracesRequest.FromString(body).resource_spans[0]
    assert wire.resource_attributes(ours.resource, ["service.name"]) == {"service.name": "a"}
    read = ours.scope_spans[0].spans[0]
    official = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans[0]
    for field in ("trace_id", "span_id", "parent_span_id", "kind", "start_time_unix_nano", "end_time_unix_nano"):
        assert getattr(read, field) == getattr(official, field)
    assert (wire.status_code(read.status) if read.status else 0) == official.status.code
    assert [wire.attribute(each)[0] for each in read.attributes] == [each.key for each in official.attributes]
    assert [wire.key_of(each).decode() for each in read.attributes] == [each.key for each in official.attributes]
    assert dict(map(wire.attribute, read.attributes[: len(found)])) == found
    cut = data.draw(st.integers(0, len(body)))
    for part in (body[:cut], body[:cut] + data.draw(st.binary(max_size=4)) + body[cut:]):
        try:
            Counting().take(part)
        except wire.DecodeError:
            with pytest.raises(Exception):  # noqa: B017, PT011 - of whichever type the official ones have
                ExportTraceServiceRequest.FromString(part)


def test_an_attribute_that_is_not_valid_utf_8_costs_no_batch() -> None:
    body = request(call("frontend", "cart", 1)).replace(b"GET /secret/path", b"\xff\xfe\xfd /secret/path")
    with pytest.raises(Exception):  # noqa: B017, PT011 - of whichever type the official ones have
        ExportTraceServiceRequest.FromString(body)
    counting = Counting()
    counting.take(body)
    assert samples(counting.close()[1])["frontend", "http", "cart"].n == 1


JSON_NAMES = {
    "string_value": "stringValue",
    "int_value": "intValue",
    "bool_value": "boolValue",
    "double_value": "doubleValue",
}


def as_json(body: bytes) -> dict[str, Any]:
    """OTLP/JSON of a request, written here from its definition."""
    found = ExportTraceServiceRequest.FromString(body)

    def value(of: AnyValue) -> dict[str, Any]:
        which = str(of.WhichOneof("value"))
        given = getattr(of, which)
        name = {"string_value": "stringValue", "int_value": "intValue", "bool_value": "boolValue"}.get(
            which, "doubleValue"
        )
        return {name: str(given) if which == "int_value" else given}

    return {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": a.key, "value": value(a.value)} for a in each.resource.attributes]},
                "scopeSpans": [
                    {
                        "scope": {"name": "x"},
                        "spans": [
                            {
                                "traceId": one.trace_id.hex().upper(),
                                "spanId": one.span_id.hex(),
                                "parentSpanId": one.parent_span_id.hex(),
                                "name": one.name,
                                "kind": one.kind,
                                "startTimeUnixNano": str(one.start_time_unix_nano),
                                "endTimeUnixNano": one.end_time_unix_nano,
                                "droppedAttributesCount": 0,
                                "attributes": [{"key": a.key, "value": value(a.value)} for a in one.attributes],
                                "status": {"code": one.status.code} if one.status.code else {},
                            }
                            for one in scope.spans
                        ],
                    }
                    for scope in each.scope_spans
                ],
            }
            for each in found.resource_spans
        ]
    }


@settings(deadline=None, max_examples=30)
@given(drawn=calls)
def test_json_and_protobuf_are_counted_alike(drawn: list[Any]) -> None:
    body = request(spans_of(drawn))
    binary, text = Counting(), Counting()
    binary.take(body)
    text.take(otlp_json.protobuf(json.dumps(as_json(body)).encode()))
    assert rounded(text.close()[1]) == rounded(binary.close()[1])


def is_object(body: bytes) -> bool:
    """Whether it is a request, if only an empty one: fields that are not known are left out."""
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False


@given(
    body=st.binary(max_size=60).filter(lambda each: not is_object(each))
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(lambda each: json.dumps(each).encode())
)
def test_what_is_no_request_in_json_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        otlp_json.protobuf(body)
