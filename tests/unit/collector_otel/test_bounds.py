"""What senders make up takes no more memory than it is bounded by, and no message grows beyond a limit of NATS."""

import random
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from kgents_collector_otel.mapping.edge import INSTANCES_MAX
from kgents_shared.contract.codec import encode
from support.otel_spans import Counting, Made, call, made, request, span

pytestmark = pytest.mark.unit

LONG = 50_000
TIMES = 60
MESSAGE_MAX = 1_000_000


def client(attributes: Mapping[str, Any] = {}, *, state: str = "", **resource: str) -> list[Made]:
    ids = random.randbytes(16), random.randbytes(8)
    given = {"server.address": "cart", "http.request.method": "GET", **attributes}
    return [made("frontend", span(3, *ids, attributes=given, state=state), **resource)]


def unique(number: int) -> str:
    return f"{number:06}" * (LONG // 6)


def failed(number: int) -> list[Made]:
    (found,) = client()
    text = unique(number).encode()
    status = b"\x12" + _varint(len(text)) + text + b"\x18\x02"
    return [Made(found.resource, found.span + b"\x7a" + _varint(len(status)) + status)]


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


MADE_UP: dict[str, Callable[[int], list[Made]]] = {
    "a statement": lambda number: client({"db.statement": unique(number)}),
    "a url": lambda number: client({"url.full": f"http://{unique(number)}@cart/x"}),
    "the type of an error": lambda number: client({"error.type": unique(number)}),
    "the text of a status": failed,
    "a trace state": lambda number: client(state=f"x={unique(number)}"),
    "a resource": lambda number: client(process__command_line=unique(number)),
    "very many attributes": lambda number: client({f"x.{place}": 1 for place in range(3_000 + number)}),
    "another half that came": lambda number: [
        side for place in range(20) for side in call("frontend", "cart", 20 * number + place)
    ],
}


@pytest.mark.parametrize("what", MADE_UP)
def test_what_is_remembered_is_bounded_in_bytes(what: str) -> None:
    counting = Counting(waiting=10)
    requests = [request(MADE_UP[what](number)) for number in range(TIMES)]
    counting.take(*requests[:2])
    tracemalloc.start()
    try:
        counting.take(*requests[2:])
        for app in counting.apps.by_ref.values():
            counting.apps.sum(app)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 250_000
    assert counting.traces.counts.spans == sum(len(MADE_UP[what](number)) for number in range(TIMES))


def test_an_application_of_very_many_containers_names_those_that_sent_last() -> None:
    counting = Counting()
    for number in range(2 * INSTANCES_MAX):
        counting.now_ns += 1
        counting.take(request(client(container__id=f"{number:064}", service__version=f"1.{number}")))
    entity = counting.close()[0]["frontend"]
    owned = [each.peer for each in entity.connections if each.kind == "owns"]
    assert len(owned) == INSTANCES_MAX
    assert owned[-1] == f"container-id:{2 * INSTANCES_MAX - 1:064}"
    assert len(encode(entity)) < MESSAGE_MAX / 4


def test_a_name_that_is_too_long_is_none() -> None:
    counting = Counting()
    counting.take(request([made("x" * 300, span(3, random.randbytes(16), random.randbytes(8)))]))
    counting.take(request(client(service__version="1" * 300, container__id="2" * 300)))
    entities, _ = counting.close()
    assert [*entities] == ["frontend"]
    assert (entities["frontend"].attributes, entities["frontend"].connections) == ({}, [])
    assert counting.traces.counts.hidden == 1
