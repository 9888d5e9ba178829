"""Spans made by hand with the official classes, and what becomes of requests of them, by a clock of the test."""

import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from kgents_collector_otel.mapping import apps, facts, traces, wire
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.pulse import TrafficPulse

CLUSTER = "test"
NOW_NS = 1_790_000_000_000_000_000
S = 1_000_000_000
WINDOW_S = 10.0


def key_value(name: str, value: str | int | bool | float) -> KeyValue:
    match value:
        case bool():
            found = AnyValue(bool_value=value)
        case int():
            found = AnyValue(int_value=value)
        case float():
            found = AnyValue(double_value=value)
        case _:
            found = AnyValue(string_value=value)
    return KeyValue(key=name, value=found)


class Made(msgspec.Struct, frozen=True):
    """A span, and the attributes of the resource that sends it."""

    resource: tuple[tuple[str, str], ...]
    span: bytes


def made(service: str, span: Span, **resource: str) -> Made:
    more = tuple((name.replace("__", "."), value) for name, value in resource.items())
    return Made((("service.name", service), *more), span.SerializeToString())


def span(
    kind: int,
    trace_id: bytes,
    span_id: bytes,
    *,
    parent: bytes = b"",
    attributes: Mapping[str, Any] = {},
    duration_ms: float = 10.0,
    ended_s_ago: float = 0.0,
    is_error: bool = False,
    state: str = "",
) -> Span:
    end_ns = NOW_NS - int(ended_s_ago * S)
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent,
        trace_state=state,
        kind=kind,  # type: ignore[arg-type]  # an enumeration of the generated class
        name="GET /secret/path",
        start_time_unix_nano=end_ns - int(duration_ms * 1e6),
        end_time_unix_nano=end_ns,
        attributes=[key_value(name, value) for name, value in attributes.items()],
        status=Status(code=Status.STATUS_CODE_ERROR) if is_error else None,
    )


CLIENT = {"http.request.method": "GET", "server.port": 8080}
SERVER = {"http.request.method": "GET", "http.route": "/x"}


def call(
    client: str,
    server: str,
    number: int,
    *,
    client_ms: float = 12.0,
    server_ms: float = 8.0,
    is_error: bool = False,
    state: str = "",
    attributes: Mapping[str, Any] = CLIENT,
) -> tuple[Made, Made]:
    """Both sides of one call; `number` makes its ids."""
    rng = random.Random(f"{client}{server}{number}")
    trace_id, own, other = rng.randbytes(16), rng.randbytes(8), rng.randbytes(8)
    given = {"server.address": server, **attributes}
    out = span(3, trace_id, own, attributes=given, duration_ms=client_ms, is_error=is_error, state=state)
    in_ = span(2, trace_id, other, parent=own, attributes=SERVER, duration_ms=server_ms, is_error=is_error, state=state)
    return made(client, out), made(server, in_)


def request(spans: Iterable[Made]) -> bytes:
    """One request of these spans, each resource once."""
    found = ExportTraceServiceRequest()
    by_resource: dict[tuple[tuple[str, str], ...], Any] = {}
    for each in spans:
        if each.resource not in by_resource:
            of_resource = found.resource_spans.add()
            of_resource.resource.attributes.extend(key_value(*pair) for pair in each.resource)
            by_resource[each.resource] = of_resource.scope_spans.add()
        by_resource[each.resource].spans.add().ParseFromString(each.span)
    encoded: bytes = found.SerializeToString()
    return encoded


class Counting:
    """The mapping at work."""

    def __init__(
        self,
        *,
        apps_max: int = 100,
        per_app: int = 50,
        edges: int = 1_000,
        waiting: int = 10_000,
        sampling: Mapping[str, float] = {},
        published: Mapping[Ref, Entity] = {},
    ) -> None:
        self.now_ns = NOW_NS
        self.apps = apps.Apps(CLUSTER, apps.Limits(apps_max, per_app, edges, 600 * S, 3_600 * S), sampling)
        self.traces = traces.Traces(self.apps, traces.Limits(waiting, 20 * S, 120 * S))
        self.settings = facts.Settings(CLUSTER, WINDOW_S, 120 * S, 3_600 * S)
        self.publication = facts.Publication(self.settings, published, self.now_ns)
        self.rejected = 0

    def take(self, *requests: bytes) -> None:
        for each in requests:
            self.rejected += sum(self.traces.feed(wire.TracesRequest.FromString(each), self.now_ns))

    def close(self, after_s: float = WINDOW_S) -> tuple[dict[str, Entity], dict[str, TrafficPulse]]:
        """The entities and pulses of a window, by the names of their applications."""
        self.now_ns += int(after_s * S)
        for _ in self.traces.expire(self.now_ns):
            pass
        windows = self.apps.close(self.now_ns)
        self.apps.forget(self.now_ns)
        for _ in self.publication.take(windows, self.apps.known, self.now_ns, after_s):
            pass
        for _ in self.publication.silent(self.apps.known, self.now_ns):
            pass
        self.publication.remove_gone(self.apps.known, self.now_ns)
        at = datetime.fromtimestamp(self.now_ns / 1e9, UTC)
        pulses = [pulse for each in windows if (pulse := facts.pulse(each, at, self.settings, after_s)) is not None]
        entities = {ref.name: entity for ref, entity in self.publication.entities.items()}
        return entities, {each.ref.name: each for each in pulses}


def requests_of(spans: Sequence[Made], cuts: Sequence[int]) -> list[bytes]:
    """These spans in several requests: each begins at a cut."""
    places = sorted({0, *(cut % (len(spans) + 1) for cut in cuts), len(spans)})
    return [request(spans[begin:end]) for begin, end in pairwise(places) if begin < end]


def peer_of(peer: Ref | str) -> str:
    return peer.name if isinstance(peer, Ref) else peer
