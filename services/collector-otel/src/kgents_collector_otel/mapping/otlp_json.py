"""Traces in OTLP/JSON → the same request as protobuf, so that one path counts both. Pure.

It is not protobuf's own JSON: ids are hexadecimal, enumerations are numbers, and a number of 64 bits may be a text.
"""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from kgents_collector_otel.mapping import wire
from kgents_shared.contract.errors import MalformedMessageError

Id = Annotated[str, Meta(max_length=64)]
Number = int | Annotated[str, Meta(pattern=r"^-?[0-9]{1,20}$")] | None


class _Lower(Struct, rename="camel", gc=False):
    pass


class _Value(_Lower):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: Number = None
    double_value: float | str | None = None


class _Attribute(_Lower):
    key: str = ""
    value: _Value | None = None


class _Link(_Lower):
    trace_id: Id = ""
    span_id: Id = ""


class _Status(_Lower):
    code: int = 0


class _Span(_Lower):
    trace_id: Id = ""
    span_id: Id = ""
    parent_span_id: Id | None = ""
    trace_state: str | None = ""
    kind: int = 0
    start_time_unix_nano: Number = 0
    end_time_unix_nano: Number = 0
    attributes: list[_Attribute] = []
    links: list[_Link] = []
    status: _Status | None = None


class _ScopeSpans(_Lower):
    spans: list[_Span] = []


class _Resource(_Lower):
    attributes: list[_Attribute] = []


class _ResourceSpans(_Lower):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] = []


class _Request(_Lower):
    resource_spans: list[_ResourceSpans] = []


_DECODER: Final = msgspec.json.Decoder(_Request)


def protobuf(body: bytes) -> bytes:
    """The same request in protobuf.

    Raises:
        MalformedMessageError: it is none.
    """
    try:
        return _traces(_DECODER.decode(body))
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise MalformedMessageError("expected an ExportTraceServiceRequest in OTLP/JSON") from None


def _traces(found: _Request) -> bytes:
    request = wire.TracesRequest()
    for each in found.resource_spans:
        of_resource = request.resource_spans.add()
        if each.resource is not None:
            of_resource.resource = wire.resource_of(_raw(each.resource.attributes))
        for scope in each.scope_spans:
            spans = of_resource.scope_spans.add().spans
            for span in scope.spans:
                _write(span, spans.add())
    encoded: bytes = request.SerializeToString()
    return encoded


def _write(span: _Span, to: Any) -> None:
    to.trace_id, to.span_id = bytes.fromhex(span.trace_id), bytes.fromhex(span.span_id)
    to.parent_span_id = bytes.fromhex(span.parent_span_id or "")
    to.trace_state = (span.trace_state or "").encode()
    to.kind = span.kind
    to.start_time_unix_nano, to.end_time_unix_nano = (
        int(span.start_time_unix_nano or 0),
        int(span.end_time_unix_nano or 0),
    )
    to.attributes.extend(_raw(span.attributes))
    if span.status is not None and span.status.code:
        to.status = wire.Status(code=span.status.code).SerializeToString()
    for link in span.links:
        found = wire.Link(trace_id=bytes.fromhex(link.trace_id), span_id=bytes.fromhex(link.span_id))
        to.links.append(found.SerializeToString())


def _raw(attributes: list[_Attribute]) -> list[bytes]:
    return [wire.attribute_of(each.key, _scalar(each.value)) for each in attributes]


def _scalar(value: _Value | None) -> wire.Scalar | None:
    if value is None:
        return None
    if value.string_value is not None:
        return value.string_value
    if value.bool_value is not None:
        return value.bool_value
    if value.int_value is not None:
        return int(value.int_value)
    return float(value.double_value) if value.double_value is not None else None
