"""Laws of the NATS mapping, whatever servers count and however many entities exist."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kgents_collector_nats.mapping.caps import Caps
from kgents_collector_nats.mapping.rate import CALM_RATIO, rounded
from kgents_collector_nats.mapping.subject import overlap
from kgents_collector_nats.remember import remember
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.subjects import matches
from support.nats_samples import Raw, mapped, moved_on, sample, single

counts = st.integers(0, 2**40)
tokens = st.sampled_from(["a", "b", "*"])
filters = st.builds(
    lambda parts, rest: ".".join([*parts, *rest]),
    st.lists(tokens, min_size=1, max_size=3),
    st.sampled_from([[], [">"]]),
)
plain = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=4).map(".".join)

COUNTERS = ("in_msgs", "out_msgs", "in_bytes", "out_bytes", "msgs", "last_seq", "consumer_seq", "slow_consumers")
CAPPED = ("nats_stream", "nats_consumer", "nats_client", "nats_subject")


def recount(node: Any, draw: st.DataObject) -> Any:
    """The same answers with other counters, higher or lower."""
    if isinstance(node, dict):
        return {
            key: draw.draw(counts) if key in COUNTERS and isinstance(value, int) else recount(value, draw)
            for key, value in node.items()
        }
    return [recount(each, draw) for each in node] if isinstance(node, list) else node


def crowded(size: int) -> Raw:
    """`size` streams, consumers, clients and subjects more."""
    raw = single()
    account = raw["jsz"]["account_details"][0]
    template = json.dumps(account["stream_detail"][0])
    client = json.dumps(raw["connz"]["connections"][1])
    for number in range(size):
        stream = {**json.loads(template), "name": f"S{number}"}
        stream["config"]["subjects"] = [f"s{number}.>"]
        account["stream_detail"].append(stream)
        connection = {**json.loads(client), "cid": 1000 + number, "name": f"client-{number}"}
        connection["subscriptions_list_detail"][0]["subject"] = f"jobs.{number}"
        raw["connz"]["connections"].append(connection)
    return raw


def rates_of(facts: Facts) -> list[float]:
    pulses = [each for each in facts.pulses if isinstance(each, ResourcePulse)]
    rates = [value for pulse in pulses for name, value in pulse.custom.items() if "_per_" in name and value]
    rates += [rate for pulse in pulses for rate in (pulse.network_rx_bytes, pulse.network_tx_bytes) if rate]
    traffics = [each.traffic for entity in facts.entities for each in entity.connections if each.traffic]
    rates += [rate for traffic in traffics for rate in (traffic.requests_per_sec, traffic.bytes_per_sec) if rate]
    return rates


@given(draw=st.data(), seconds=st.floats(-10, 100))
def test_rates_are_never_negative(draw: st.DataObject, seconds: float) -> None:
    before = sample(recount(single(), draw))
    now = remember(before, sample(recount(moved_on(single(), seconds), draw)))
    facts = mapped(now, before, published=mapped(before))
    assert all(rate > 0 for rate in rates_of(facts))


@settings(max_examples=50)
@given(
    sizes=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    caps=st.tuples(*[st.integers(1, 10)] * 4),
    lost=st.lists(st.sampled_from(["varz", "connz", "jsz"]), max_size=2),
)
def test_caps_hold_and_what_is_shown_stays(sizes: list[int], caps: tuple[int, ...], lost: list[str]) -> None:
    limits = dict(zip(CAPPED, caps, strict=True))
    published: Facts | None = None
    for size in sizes:
        raw = {**crowded(size), **dict.fromkeys(lost)}
        facts = mapped(sample(raw), caps=Caps(**limits), published=published)
        refs = [entity.ref for entity in facts.entities]
        assert len(refs) == len(set(refs))
        for kind, limit in limits.items():
            assert sum(ref.kind == kind for ref in refs) <= limit + 1
        published = facts


@given(first=filters, second=filters, subject=plain)
def test_filters_that_share_a_subject_overlap(first: str, second: str, subject: str) -> None:
    if matches(subject, first) and matches(subject, second):
        assert overlap(first, second)
    assert overlap(first, second) == overlap(second, first)


@given(st.floats(1e-6, 1e12))
def test_two_digits_are_close_enough(value: float) -> None:
    assert abs(rounded(value) - value) <= CALM_RATIO / 4 * value
    assert float(f"{rounded(value):.1e}") == rounded(value)
