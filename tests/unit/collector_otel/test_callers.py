"""Who calls an application without sending spans: by its address, or by what stands for several of them."""

import random
from collections.abc import Mapping
from typing import Any

import pytest

from kgents_collector_otel.mapping.apps import CALLERS_MAX
from kgents_shared.contract.entity import LOCAL, OTHER, PUBLIC, SPANS, Connection, Entity, Ref
from support.otel_spans import CLUSTER, SERVER, Counting, Made, call, made, request, span

pytestmark = pytest.mark.unit

POD, POD_6 = "10.0.0.9", "fd00::9"


def answered(
    caller: Mapping[str, Any], *, parent: bytes = b"", is_error: bool = False, ended_s_ago: float = 0.0
) -> Made:
    """A request that `cart` answers."""
    given = {**SERVER, **caller}
    ids = random.randbytes(16), random.randbytes(8)
    ended = span(2, *ids, parent=parent, attributes=given, is_error=is_error, ended_s_ago=ended_s_ago)
    return made("cart", ended)


def callers(cart: Entity) -> list[Connection]:
    return [each for each in cart.connections if each.direction == "in"]


def shown(*spans: Made) -> list[Ref | str]:
    counting = Counting()
    counting.take(request(spans))
    entities, _ = counting.close()
    for _ in range(3):
        entities, _ = counting.close()  # what has waited for its other side is in it, too
    return [each.peer for each in callers(entities["cart"])]


@pytest.mark.parametrize(
    ("caller", "peer"),
    [
        ({"network.peer.address": POD, "network.peer.port": 41_000}, POD),
        ({"net.sock.peer.addr": f"::ffff:{POD}"}, POD),
        ({"net.peer.ip": POD, "net.peer.port": "41000", "net.peer.name": "localhost"}, POD),
        ({"net.peer.ip": f"[{POD_6}]"}, POD_6),
        ({"client.address": POD}, POD),
        ({"client.address": "10.0.0.1", "network.peer.address": POD}, POD),  # the connection, not what a header says
        ({"network.peer.address": "100.64.0.9"}, "100.64.0.9"),
        ({"client.address": "8.8.4.4"}, PUBLIC),
        ({"network.peer.address": "2606:4700::1"}, PUBLIC),
        ({"net.peer.ip": "[::1]"}, LOCAL),
        ({"network.peer.address": "127.0.0.1"}, LOCAL),
        ({"network.peer.address": "fe80::1%eth0"}, LOCAL),
    ],
    ids=str,
)
def test_a_caller_without_spans_is_its_address(caller: Mapping[str, Any], peer: str) -> None:
    assert shown(answered(caller)) == [peer]


@pytest.mark.parametrize(
    "caller",
    [{}, {"client.address": "cart"}, {"network.peer.address": "/x.sock"}, {"server.address": POD}, {"http.url": POD}],
    ids=str,
)
def test_what_is_no_address_of_a_caller_names_none(caller: Mapping[str, Any]) -> None:
    assert shown(answered(caller)) == []


def test_its_calls_are_counted_like_others() -> None:
    counting = Counting()
    counting.take(request(answered({"net.peer.ip": POD}, is_error=number < 5) for number in range(20)))
    entities, pulses = counting.close()
    (found,) = callers(entities["cart"])
    assert (found.kind, found.peer, found.evidence) == ("http", POD, SPANS)
    assert found.traffic is not None
    assert (found.traffic.requests_per_sec, found.traffic.error_rate) == (2.0, 0.25)
    assert found.traffic.latency_ms == pytest.approx(10.0, rel=0.05)
    assert found.traffic.calls_per_request is None
    assert pulses["cart"].edges == []  # a pulse has what its application calls
    assert pulses["cart"].inbound is not None
    assert pulses["cart"].inbound.n == 20


def test_one_that_sends_spans_is_an_application_and_no_address() -> None:
    counting = Counting()
    for number in range(3):
        out, _ = call("frontend", "cart", number)
        parent = random.Random(f"frontendcart{number}").randbytes(24)[16:]
        trace = random.Random(f"frontendcart{number}").randbytes(16)
        in_ = span(2, trace, random.randbytes(8), parent=parent, attributes={**SERVER, "net.peer.ip": POD})
        counting.take(request([out, made("cart", in_)]))
    lost = answered({"net.peer.ip": POD}, parent=b"p" * 8)
    elsewhere = answered({"net.peer.ip": "10.0.0.8"}, parent=b"q" * 8)
    counting.take(request([lost, elsewhere]))
    for _ in range(4):
        entities, _ = counting.close()
    assert counting.traces.counts.paired == 3
    assert [each.peer for each in entities["frontend"].connections] == [Ref(CLUSTER, "app", "cart")]
    assert [each.peer for each in callers(entities["cart"])] == ["10.0.0.8"]


def test_very_many_callers_are_bounded_and_hide_nothing_that_is_called() -> None:
    counting = Counting(per_app=2 * CALLERS_MAX)
    for number in range(CALLERS_MAX + 70):
        counting.take(request([answered({"net.peer.ip": f"10.0.1.{number}"}), *call("cart", "prices", number)]))
    entities, pulses = counting.close(60.0)
    found = callers(entities["cart"])
    assert len(found) == CALLERS_MAX + 1
    assert sum(each.traffic.requests_per_sec or 0.0 for each in found if each.traffic) == pytest.approx(2.0, rel=0.1)
    assert OTHER in {each.peer for each in found}
    assert pulses["cart"].hidden_edges == 0
    assert [each.n for each in pulses["cart"].edges] == [CALLERS_MAX + 70]
    counting.close(700.0)  # beyond the time after which an edge is idle
    counting.take(request([answered({"net.peer.ip": "10.0.2.1"}, ended_s_ago=-760.0)]))
    assert [each.peer for each in callers(counting.close()[0]["cart"])] == ["10.0.2.1"]
