from datetime import UTC, datetime

import pytest

from kgents_cli.tapped import PAYLOAD_LINES, Sampler, Tapped
from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.subjects import fault_of_filter
from kgents_shared.contract.topology import TopologyEntity

AT = datetime(2026, 11, 21, 9, tzinfo=UTC)
SECRET = "4111-1111"


def tapped(payload: bytes, subject: str = "orders.created", reply: str = "") -> Tapped:
    return Tapped(AT, subject, reply, payload, {"Authorization": SECRET, "traceparent": "00-1"})


def test_a_payload_and_the_values_of_headers_are_shown_only_if_asked_for() -> None:
    message = tapped(f'{{"card": "{SECRET}"}}'.encode())
    (line,) = message.shown(has_payload=False)
    assert line.endswith("orders.created  21 B  headers Authorization, traceparent")
    assert SECRET not in line
    assert SECRET not in str(message.record())
    assert "\n".join(message.shown(has_payload=True)).count(SECRET) == 2


def test_a_message_of_ours_is_its_sentence() -> None:
    text = "pod shop/cart-7f is running"
    ours = encode(TopologyEntity(text=text, ref=Ref("prod", "pod", "cart-7f", "shop"), status="running"))
    (line,) = tapped(ours, "kgents.topology.prod.pod.shop.cart-7f").shown(has_payload=False)
    assert line.endswith(f"  {text}")
    assert text not in next(tapped(ours).shown(has_payload=False))  # of another application, however alike it is


def test_what_a_payload_holds_neither_fills_nor_controls_the_terminal() -> None:
    lines = list(tapped(b"\x1b[2J\n" + b"x" * 10_000 + b"\nrow" * 50).shown(has_payload=True))
    assert len(lines) < PAYLOAD_LINES + 5
    assert max(map(len, lines)) < 500
    assert all(line.isprintable() for line in lines)
    assert list(tapped(b"\xff\xfe").shown(has_payload=True))[-1] == "    2 B that are no text"


def test_all_is_shown_up_to_the_limit_and_of_more_a_share_of_the_whole_window() -> None:
    sampler = Sampler(10)
    assert sum(sampler.takes() for _ in range(10)) == 10
    assert sampler.end(1.0).shown == 10
    assert sum(sampler.takes() for _ in range(1_000)) == 10
    seen = sampler.end(0.5)
    assert str(seen) == "showing 10 of 2,000/s"
    taken = [place for place in range(1_000) if sampler.takes()]
    assert taken == list(range(0, 1_000, 100))  # spread, once the rate is known


@pytest.mark.parametrize("filter_", ["", "orders.", "orders..x", "a b", "orders.>.x", "x.\t"])
def test_a_filter_that_no_server_takes_is_found(filter_: str) -> None:
    assert fault_of_filter(filter_)
    assert fault_of_filter("orders.*.>") is None
