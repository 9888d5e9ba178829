"""Laws of traces: order, split, repetition and loss of spans; bounds; and that no secret is ever read."""

import asyncio
import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from kgents_collector_otel.mapping import names, otlp_json, wire
from kgents_collector_otel.mapping.sampling import weight_of
from kgents_collector_otel.source.admission import TRACES, Admission, Outcome
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.contract.pulse import EdgeSample, TrafficPulse
from kgents_shared.contract.sketch import merged
from kgents_shared.runtime.clock import SystemClock
from support.otel_spans import Counting, Made, call, key_value, made, peer_of, request, requests_of, span

SERVICES = ("frontend", "cart", "prices")
calls = st.lists(
    st.tuples(
        st.sampled_from([("frontend", "cart"), ("frontend", "prices"), ("cart", "prices")]),
        st.floats(0.01, 5_000),
        st.floats(0.01, 5_000),
        st.booleans(),
    ),
    min_size=1,
    max_size=30,
)
STANDS_FOR = {"": 1, "ot=th:c": 4, "ot=th:8": 2, "ot=th:0": 1, "x=1,ot=rv:1;th:c": 4}
"""Trace state → how many calls a span of it is."""
cuts = st.lists(st.integers(0, 100), max_size=6)


def spans_of(drawn: list[tuple[tuple[str, str], float, float, bool]]) -> list[Made]:
    return [
        side
        for number, ((client, server), client_ms, server_ms, is_error) in enumerate(drawn)
        for side in call(client, server, number, client_ms=client_ms, server_ms=server_ms, is_error=is_error)
    ]


def samples(pulses: dict[str, TrafficPulse]) -> dict[tuple[str, str, str], EdgeSample]:
    return {(name, each.kind, peer_of(each.peer)): each for name, pulse in pulses.items() for each in pulse.edges}


def rounded(pulses: dict[str, TrafficPulse]) -> list[bytes]:
    """All that they say but the sums of floats, whose rounding depends on the order."""
    found = []
    for pulse in pulses.values():
        document = msgspec.to_builtins(pulse)
        document.get("edges", []).sort(key=lambda each: (each["kind"], str(each["peer"])))
        found.append(json.dumps(without_totals(document), sort_keys=True).encode())
    return sorted(found)


def without_totals(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: without_totals(each) for key, each in node.items() if key != "total"}
    return [without_totals(each) for each in node] if isinstance(node, list) else node


@settings(deadline=None, max_examples=60)
@given(drawn=calls, seed=st.integers(), first=cuts, second=cuts)
def test_any_order_and_any_split_of_spans_gives_the_same_pulses(
    drawn: list[Any], seed: int, first: list[int], second: list[int]
) -> None:
    spans = spans_of(drawn)
    shuffled = random.Random(seed).sample(spans, len(spans))
    found = []
    for order, cut in ((spans, first), (shuffled, second)):
        counting = Counting()
        counting.take(*requests_of(order, cut))
        found.append(rounded(counting.close()[1]))
    assert found[0] == found[1]


@settings(deadline=None, max_examples=40)
@given(drawn=calls, cut=cuts, order=st.lists(st.integers(0, 1000), max_size=20))
def test_a_request_that_is_repeated_any_number_of_times_is_counted_once(
    drawn: list[Any], cut: list[int], order: list[int]
) -> None:
    requests = requests_of(spans_of(drawn), cut)
    repeated = [*requests, *(requests[number % len(requests)] for number in order)]
    once, often = Counting(), Counting()
    once.take(*requests)

    async def all_of_them() -> None:
        async def take(body: bytes) -> Outcome:
            often.take(body)
            return Outcome()

        admission = Admission({TRACES: take}, SystemClock(), max_bytes=1 << 20)
        for each in repeated:
            assert await admission.take(TRACES, each) == Outcome()

    asyncio.run(all_of_them())
    assert rounded(often.close()[1]) == rounded(once.close()[1])


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(), loss=st.floats(0, 0.5), number=st.integers(40, 200))
def test_what_is_lost_bounds_the_error(seed: int, loss: float, number: int) -> None:
    """The rate is that of the client's spans that arrived; the time on the way is that of the pairs, and never of
    another mixture of them: here it is 4 ms for each call, whatever the calls themselves take."""
    rng = random.Random(seed)
    counting = Counting()
    arrived_clients = arrived_servers = 0
    for each in range(number):
        server_ms = rng.choice([1.0, 200.0])
        out, in_ = call("frontend", "cart", each, client_ms=server_ms + 4.0, server_ms=server_ms)
        kept = [side for side in (out, in_) if rng.random() >= loss]
        arrived_clients += out in kept
        arrived_servers += in_ in kept
        counting.take(*(request([side]) for side in kept))
    edges: list[EdgeSample] = []
    inbound = 0.0
    for _ in range(4):
        pulses = counting.close()[1]
        edges += [each for (name, _, _), each in samples(pulses).items() if name == "frontend"]
        inbound += sum(pulse.inbound.n for pulse in pulses.values() if pulse.inbound is not None)
    assert sum(each.n for each in edges) == arrived_clients
    assert inbound == arrived_servers
    assert {peer_of(each.peer) for each in edges} <= {"cart", "cart:8080"}
    gap = merged(each.gap_ms for each in edges)
    if gap is not None:
        assert gap.quantile(0.5) == pytest.approx(4.0, rel=0.045)
        assert gap.n == counting.traces.counts.paired


@settings(deadline=None, max_examples=30)
@given(skew_s=st.floats(-60, 60), number=st.integers(1, 20))
def test_the_time_on_the_way_needs_no_common_clock(skew_s: float, number: int) -> None:
    counting = Counting()
    for each in range(number):
        out, in_ = call("frontend", "cart", each)
        moved = Span.FromString(in_.span)
        moved.start_time_unix_nano += int(skew_s * 1e9)
        moved.end_time_unix_nano += int(skew_s * 1e9)
        counting.take(request([out, made("cart", moved)]))
    edge = samples(counting.close()[1])["frontend", "http", "cart"]
    assert edge.gap_ms is not None
    assert edge.gap_ms.quantile(0.5) == pytest.approx(4.0, rel=0.045)
    assert edge.paired_share == 1.0


@settings(deadline=None, max_examples=50)
@given(
    weights=st.lists(
        st.sampled_from(["", "ot=th:c", "ot=th:8", "ot=th:0", "x=1,ot=rv:1;th:c"]), min_size=1, max_size=30
    )
)
def test_a_span_counts_for_what_its_sampler_kept_it_for(weights: list[str]) -> None:
    counting = Counting()
    for number, state in enumerate(weights):
        counting.take(request(call("frontend", "cart", number, state=state)))
    edge = samples(counting.close()[1])["frontend", "http", "cart"]
    assert edge.n == sum(STANDS_FOR[state] for state in weights)
    assert edge.spans == len(weights)


SENT = {"messaging.system": "kafka", "messaging.destination.name": "cart", "server.address": "broker"}


@settings(deadline=None, max_examples=40)
@given(batches=st.lists(st.integers(1, 5), min_size=1, max_size=8), seed=st.integers(), cut=cuts, by=st.booleans())
def test_messages_are_counted_from_their_producers_in_any_order(
    batches: list[int], seed: int, cut: list[int], by: bool
) -> None:
    """A consumer of several names each of their producers in a link; one of a single message may have it as parent."""
    rng, spans = random.Random(seed), []
    for size in batches:
        ids = [(rng.randbytes(16), rng.randbytes(8)) for _ in range(size)]
        spans += [made("orders", span(4, *each, attributes=SENT)) for each in ids]
        parent = ids[0] if by and size == 1 else None
        received = span(5, parent[0] if parent else rng.randbytes(16), rng.randbytes(8), attributes=SENT)
        if parent:
            received.parent_span_id = parent[1]
        else:
            for trace_id, span_id in ids:
                received.links.add(trace_id=trace_id, span_id=span_id)
        spans.append(made("mailer", received))
    counting = Counting()
    counting.take(*requests_of(rng.sample(spans, len(spans)), cut))
    entities, pulses = counting.close(60.0)
    edges = {(each.kind, peer_of(each.peer)): each for each in entities["mailer"].connections}
    assert edges.keys() == {("messages", "orders"), ("network", "broker")}
    assert edges["messages", "orders"].direction == "in"
    stated = edges["messages", "orders"].traffic
    assert stated is not None
    assert stated.requests_per_sec == pytest.approx(sum(batches) / 60, rel=0.05)  # of two digits
    assert stated.calls_per_request is None
    assert [(each.kind, peer_of(each.peer)) for each in pulses["orders"].edges] == [("network", "broker")]
    assert counting.traces.messages.unlinked == 0


def test_a_message_whose_producer_does_not_come_is_given_up() -> None:
    counting = Counting(waiting=3)
    for number in range(5):
        received = span(5, random.randbytes(16), random.randbytes(8), attributes=SENT)
        received.links.add(trace_id=b"t" * 16, span_id=bytes([number] * 8))
        counting.take(request([made("mailer", received)]))
    assert counting.traces.messages.unlinked == 2
    for _ in range(3):
        counting.close()
    assert counting.traces.messages.unlinked == 5


@given(state=st.binary(max_size=60) | st.text(alphabet="ot=h:;,0123456789abcdef", max_size=40).map(str.encode))
def test_any_trace_state_gives_a_weight_within_bounds(state: bytes) -> None:
    assert weight_of(state) == 0.0 or 1.0 <= weight_of(state) <= 1e6


# Bounds


@settings(deadline=None, max_examples=15)
@given(peers=st.integers(1, 120), per_app=st.integers(1, 40), total=st.integers(1, 60))
def test_edges_are_bounded_and_nothing_is_lost_by_that(peers: int, per_app: int, total: int) -> None:
    counting = Counting(per_app=per_app, edges=total)
    for number in range(peers):
        attributes = {"http.request.method": "GET", "db.system": "redis", "server.port": 1 + number}
        counting.take(request(call("frontend", "cache", number, attributes=attributes)[:1]))
    entities, pulses = counting.close()
    edges = pulses["frontend"].edges
    shown = min(peers, per_app, total)
    assert len(edges) == shown + (peers > shown)
    assert sum(each.n for each in edges) == peers
    assert sum(each.n for each in edges if each.peer == "other") == peers - shown
    assert pulses["frontend"].hidden_edges == peers - shown
    assert len(entities["frontend"].connections) == len(edges)


def test_spans_that_wait_are_bounded_and_all_of_them_are_counted() -> None:
    counting = Counting(waiting=1_000)
    for number in range(2_500):
        counting.take(request(call("frontend", "cart", number)[:1]))
    assert counting.traces.waiting <= 1_000 + 1
    n = sum(sum(each.n for each in counting.close()[1]["frontend"].edges) for _ in range(4))
    assert n == 2_500


def test_another_path_in_each_url_makes_no_name() -> None:
    counting = Counting()
    for number in range(3_000):
        attributes = {"http.url": f"http://user:pw@cart:8080/items/{number}?token={number}", "http.method": "GET"}
        counting.take(
            request([made("frontend", span(3, random.randbytes(16), random.randbytes(8), attributes=attributes))])
        )
    entities: dict[str, Any] = {}
    for _ in range(4):
        entities, _pulses = counting.close()
    assert [each.peer for each in entities["frontend"].connections] == ["cart:8080"]


@pytest.mark.parametrize(
    "broken",
    [
        {"trace_id": b""},
        {"trace_id": bytes(16)},
        {"span_id": b"short"},
        {"span_id": bytes(8)},
        {"start_time_unix_nano": 2**63},
        {"end_time_unix_nano": 0, "start_time_unix_nano": 5},
    ],
    ids=str,
)
def test_a_malformed_span_is_rejected_alone(broken: dict[str, Any]) -> None:
    counting = Counting()
    wrong = span(3, b"t" * 16, b"s" * 8, attributes={"server.address": "a"})
    for name, value in broken.items():
        setattr(wrong, name, value)
    counting.take(request([made("frontend", wrong), *call("frontend", "cart", 1)]))
    assert counting.rejected == 1
    assert samples(counting.close()[1])["frontend", "http", "cart"].n == 1


# What is read


def test_no_secret_is_ever_published() -> None:
    """Planted wherever a sender may put a text that is not on the list of what is read."""
    secret = "c4n4ry"
    others = (
        *("db.statement", "db.query.text", "http.target", "url.path", "url.query", "http.route", "user_agent.original"),
        *("http.request.header.authorization", "exception.message", "enduser.id", "messaging.message.body", "code.x"),
    )
    counting = Counting()
    for number in range(20):
        for side in call("frontend", "cart", number):
            found = Span.FromString(side.span)
            found.name = f"GET /{secret}"
            found.trace_state = f"vendor={secret}"
            found.attributes.extend(key_value(name, secret) for name in others)
            found.attributes.append(
                key_value("url.full", f"https://{secret}:{secret}@cart:8080/{secret}?{secret}#{secret}")
            )
            found.events.add(name=secret).attributes.append(key_value("exception.stacktrace", secret))
            found.links.add(trace_id=b"1" * 16, span_id=b"2" * 8).attributes.append(key_value("x", secret))
            found.status.message = secret
            owner = dict(side.resource)["service.name"]
            resource = {"process__command_line": secret, "host__name": secret, "service__instance__id": secret}
            counting.take(request([made(owner, found, **resource)]))
    for _ in range(7):
        entities, pulses = counting.close()
        for message in (*entities.values(), *pulses.values()):
            assert secret.encode() not in encode(message)
    assert set(entities) == {"frontend", "cart"}


@given(url=st.text(max_size=40), path=st.text(max_size=20))
def test_of_a_url_only_host_and_port_are_taken(url: str, path: str) -> None:
    host = names.host_of_url(f"http://u:p@{url}/{path}")
    assert not set(host) & set("/@? #\\")
    assert names.host_of_url("https://user:password@[fd00::7]/x?y#z") == "[fd00::7]:443"
    assert names.host_of_url("/relative?next=http://other/") == ""


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


def test_an_application_is_never_a_service_of_kubernetes() -> None:
    counting = Counting()
    counting.take(request(call("cart", "prices", 1)))
    assert {ref.kind for ref in counting.publication.entities} == set()
    counting.close()
    assert set(counting.publication.entities) == {Ref("test", "app", "cart"), Ref("test", "app", "prices")}
