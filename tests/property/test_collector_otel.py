"""Laws of traces: order, split, repetition and loss of spans; bounds; and that no secret is ever read."""

import asyncio
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from kgents_collector_otel.mapping import names
from kgents_collector_otel.mapping.sampling import weight_of
from kgents_collector_otel.source.admission import TRACES, Admission, Outcome
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import EdgeSample
from kgents_shared.contract.sketch import merged
from kgents_shared.runtime.clock import SystemClock
from support.otel_calls import calls, rounded, samples, spans_of
from support.otel_spans import Counting, call, key_value, made, peer_of, request, requests_of, span

STANDS_FOR = {"": 1, "ot=th:c": 4, "ot=th:8": 2, "ot=th:0": 1, "x=1,ot=rv:1;th:c": 4}
"""Trace state → how many calls a span of it is."""
cuts = st.lists(st.integers(0, 100), max_size=6)


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


def test_an_application_is_never_a_service_of_kubernetes() -> None:
    counting = Counting()
    counting.take(request(call("cart", "prices", 1)))
    assert {ref.kind for ref in counting.publication.entities} == set()
    counting.close()
    assert set(counting.publication.entities) == {Ref("test", "app", "cart"), Ref("test", "app", "prices")}
