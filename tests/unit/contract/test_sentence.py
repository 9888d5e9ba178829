"""The sentences of entities and pulses, and the words for quantities."""

from datetime import timedelta

import msgspec
import pytest

from kgents_shared.contract.codec import ENTITY, META, PULSE, encode
from kgents_shared.contract.entity import Connection, Entity, Ref
from kgents_shared.contract.meta import Lease
from kgents_shared.contract.pulse import DatabasePulse, Memory, Pool, Pulse, ResourcePulse
from kgents_shared.contract.quantity import worded
from kgents_shared.contract.sentence import of_entity, of_pulse
from support.build import NOW, make_entity, make_removal

DATABASE = Ref("c1", "database", "orders", "shop")


def resource(**fields: object) -> ResourcePulse:
    return ResourcePulse(
        **{"ref": Ref("c1", "pod", "cart-7f", "shop"), "source": "k8s", "timestamp": NOW, "interval_s": 10.0, **fields}  # type: ignore[arg-type]
    )


def database(**fields: object) -> DatabasePulse:
    given = {"ref": DATABASE, "source": "db", "backend": "postgres", "timestamp": NOW, "interval_s": 10.0}
    return DatabasePulse(**{**given, "phase": "healthy", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.87, "1", "87 %"), (12.18, "1", "12.2×"), (2.0, "1", "200 %"), (0.0, "1", "0 %"), (3.14, "%", "3.1 %"),
        (900.0, "s", "15 min"), (0.0121, "s", "12.1 ms"), (86_400.0, "s", "1 d"), (0.0, "s", "0 s"),
        (2.5, "ms", "2.5 ms"), (0.02, "{message}/s", "0.02 messages/s"),
        (4.81157e7, "By", "48.1 MB"), (1.0, "MiBy", "1 MB"), (1_536.0, "By/s", "1.5 kB/s"), (12.0, "By", "12 B"),
        (1.0, "{deadlock}", "1 deadlock"), (3.0, "{deadlock}", "3 deadlocks"), (1.04, "{query}", "1 query"),
        (12_345.0, "{query}", "12,345 queries"), (2.0, "{process}", "2 processes"),
        (1.0, "{slow_consumer}/min", "1 slow consumer/min"), (7.0, "", "7"), (7.0, "/s", "7/s"),
        (float("inf"), "By", "unknown"),
    ],
)  # fmt: skip
def test_a_quantity_is_worded_as_people_say_it(value: float, unit: str, words: str) -> None:
    assert worded(value, unit) == words


@pytest.mark.parametrize(
    ("pulse", "text"),
    [
        (
            resource(cpu_percent=3.14, memory_bytes=48_100_000, memory_limit_bytes=128_000_000),
            "pod shop/cart-7f: cpu 3.1 %, memory 48.1 MB of 128 MB",
        ),
        (resource(cpu_percent=350.0, network_rx_bytes=1e3, network_tx_bytes=0.0),
         "pod shop/cart-7f: cpu 3.5 cores, receives 1 kB/s, sends 0 B/s"),
        (resource(custom={"pending_messages": 12.0, "bytes_fill_ratio": 0.87, "x": None, "cpu_limit_percent": 100.0}),
         "pod shop/cart-7f: pending messages 12, bytes fill 87 %"),
        (resource(custom={"messages_per_sec": 3.0, "queue_wait_seconds": 90.0, "rows_per_s": 2.0}),
         "pod shop/cart-7f: messages 3/s, queue wait 1.5 min, rows 2/s"),
        (resource(custom={f"figure_{n}": 1.0 for n in range(9)}),
         "pod shop/cart-7f: figure 0 1, figure 1 1, figure 2 1, figure 3 1"),
        (resource(), "pod shop/cart-7f: no figures"),
        (database(pool=Pool(active=3, utilization=0.12), performance={"qps": 42.0, "latency_ms": 1.5, "tps": None}),
         "database shop/orders is healthy: 12 % of connections used, qps 42/s, latency 1.5 ms"),
        (database(pool=Pool(active=1), memory=Memory(used_mb=50.0, max_mb=100.0)),
         "database shop/orders is healthy: 1 connection, memory 52.4 MB of 104.9 MB"),
        (database(phase="failing", cause="refused"), "database shop/orders is failing (refused)"),
    ],
)  # fmt: skip
def test_a_pulse_is_one_sentence(pulse: Pulse, text: str) -> None:
    assert of_pulse(pulse) == text


def test_an_entity_is_one_sentence_of_its_state() -> None:
    pod = make_entity(connections=[Connection(kind="runs_on", peer=Ref("test", "node", "n3"))])
    assert of_entity(pod) == "pod shop/cart-7f is running on node n3"
    assert of_entity(make_entity(status="pending", reason="ImagePullBackOff")) == (
        "pod shop/cart-7f is pending (ImagePullBackOff)"
    )
    served = make_entity(connections=[Connection(kind="runs_on", peer="10.0.0.7:5432")])
    assert of_entity(served) == "pod shop/cart-7f is running"
    assert of_entity(make_removal(pod)) == "pod shop/cart-7f is gone (deleted)"
    later = msgspec.structs.replace(pod, created_at=NOW + timedelta(days=1), labels={"a": "b"}, text="old")
    assert of_entity(later) == of_entity(pod)


@pytest.mark.parametrize("text", ["plain", 'a "quoted" \\ text\n\u00e9\u4e2d', ""])
def test_text_is_the_first_key_whatever_it_holds(text: str) -> None:
    lease = Lease(text=text, holder="i1", acquired_at=NOW)
    for message, codec in (
        (resource(text=text), PULSE), (database(text=text), PULSE), (make_entity(text=text), ENTITY), (lease, META),
    ):  # fmt: skip
        payload = encode(message)
        keys = list(msgspec.json.decode(payload))
        assert codec.decode(payload) == message
        assert ("text" in keys) == bool(text or message is lease)
        assert keys[0] == "text" or "text" not in keys


def test_a_text_is_optional_for_who_publishes_entities_and_pulses() -> None:
    ref = b'{"cluster":"c1","kind":"database","name":"orders","namespace":"shop"}'
    assert ENTITY.decode(b'{"ref":' + ref + b',"source":"shop"}') == Entity(ref=DATABASE, source="shop")
