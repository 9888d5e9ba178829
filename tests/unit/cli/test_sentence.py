import pytest

from kgents_cli.sentence import clean, is_departure_again, line_of, record_of
from kgents_shared.bus.delivery import Delivery
from support.build import NOW, NOW_NS

SUBJECT = "kgents.topology.prod.pod.shop.cart"


def delivered(payload: bytes, headers: dict[str, str] | None = None) -> Delivery:
    return Delivery(SUBJECT, payload, headers, seq=1, consumer_seq=1, time_ns=NOW_NS, pending=0)


@pytest.mark.parametrize(
    ("payload", "level"),
    [
        (b'{"text":"t","status":"running"}', "healthy"),
        (b'{"text":"t","status":"failed"}', "critical"),
        (b'{"text":"t","status":"failed","op":"remove"}', ""),
        (b'{"text":"t","level":"unknown","score":0.5}', "unknown"),
        (b'{"text":"t","state":"firing","severity":"critical"}', "critical"),
        (b'{"text":"t","state":"resolved","severity":"critical"}', "healthy"),
        (b'{"text":"t","state":"degraded"}', "critical"),
        (b'{"text":"t","severity":"error"}', "critical"),
        (b'{"text":"t","status":"of a newer version"}', ""),
    ],
)
def test_a_line_has_the_time_the_level_and_the_text(payload: bytes, level: str) -> None:
    line = line_of(delivered(payload))
    assert (line.at, line.level, line.text) == (NOW, level, "t")


REF = b'"ref":{"cluster":"prod","kind":"pod","name":"cart","namespace":"shop"}'


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b'{"type":"RESOURCE_PULSE","cpu_percent":12.5,%b}' % REF, "pod shop/cart: RESOURCE_PULSE cpu_percent=12.5"),
        (b'{"type":"DB_PULSE","phase":"failing",%b}' % REF, "pod shop/cart: DB_PULSE failing"),
        (b'{"op":"remove","reason":"expired",%b}' % REF, "pod shop/cart was removed (expired)"),
        (b"{}", SUBJECT),
        (b"[1]", f"{SUBJECT} holds a message that cannot be decoded"),
        (b"\xff", f"{SUBJECT} holds a message that cannot be decoded"),
    ],
)
def test_what_has_no_text_is_summed_up(payload: bytes, text: str) -> None:
    assert line_of(delivered(payload)).text == text


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b'{"text":"Unknown: no check applies","level":"unknown"}', "no check applies"),
        (b'{"text":"Critical: it failed","state":"firing","severity":"critical"}', "it failed"),
        (b'{"text":"Critical: it failed","level":"warning"}', "Critical: it failed"),
        (b'{"text":"Resolved: it failed","state":"resolved","severity":"critical"}', "Resolved: it failed"),
        (b'{"text":": odd"}', ": odd"),
    ],
)
def test_a_line_has_its_level_once(payload: bytes, text: str) -> None:
    assert line_of(delivered(payload)).text == text


@pytest.mark.parametrize(
    ("subject", "payload", "expected"),
    [
        ("kgents.health.prod.pod.shop.cart", b'{"op":"remove"}', True),
        ("kgents.alert.prod.pod.shop.cart.KG-101", b'{"op":"remove"}', True),
        ("kgents.health.prod.pod.shop.cart", b"", True),
        ("kgents.health.prod.pod.shop.cart", b'{"text":"fine"}', False),
        ("kgents.topology.prod.pod.shop.cart", b'{"op":"remove"}', False),
    ],
)
def test_topology_alone_reports_a_departure(subject: str, payload: bytes, expected: bool) -> None:
    assert is_departure_again(subject, payload) is expected


def test_an_expiry_has_a_line_and_a_record() -> None:
    marker = delivered(b"", {"Nats-Marker-Reason": "MaxAge"})
    assert line_of(marker).text == f"{SUBJECT} expired"
    assert record_of(marker) == b'{"op":"remove","reason":"MaxAge","subject":"%b"}' % SUBJECT.encode()


def test_a_record_is_one_line() -> None:
    assert record_of(delivered(b'{\n  "text": "t"\n}')) == b'{   "text": "t" }'


def test_nothing_observed_can_steer_the_terminal() -> None:
    assert clean("pod \x1b[2Jshop\n") == "pod �[2Jshop�"
