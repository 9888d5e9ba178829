"""What holds for all kinds: silence, gaps, caps."""

import msgspec
import pytest
from msgspec import structs

from kgents_collector_nats.mapping.caps import Caps
from kgents_collector_nats.remember import remember
from kgents_collector_nats.sample import Fault
from kgents_shared.contract.codec import encode
from kgents_shared.contract.unread import Unread
from support.nats_samples import (
    CAPS,
    cluster,
    mapped,
    moved_on,
    named,
    names,
    pulse,
    refs,
    sample,
    single,
    stream,
)

KINDS = ("nats_server", "nats_stream", "nats_consumer", "nats_client", "nats_subject")


def test_an_idle_server_gives_the_same_bytes_again() -> None:
    first = sample(single())
    second = sample(moved_on(single()))
    before = mapped(first)
    after = mapped(second, first, published=before)
    assert [encode(entity) for entity in after.entities] == [encode(entity) for entity in before.entities]


def test_a_restarted_collector_says_nothing_new() -> None:
    busy = moved_on(single())
    busy["connz"]["connections"][0]["in_msgs"] += 1000
    first, second = sample(single()), sample(busy)
    before = mapped(second, first, published=mapped(first))
    again = mapped(second, published=before)
    assert again.entities == before.entities
    assert again.events == []


def test_figures_never_stand_in_entities() -> None:
    raw = single()
    raw["varz"].update(cpu=55, mem=1, connections=9, in_msgs=9**9, slow_consumers=3)
    stream(raw, "ORDERS")["state"].update(messages=77, bytes=99, last_seq=1000)
    for detail in stream(raw, "ORDERS")["consumer_detail"]:
        detail.update(num_pending=7, num_ack_pending=8, delivered={"consumer_seq": 50})
    for connection in raw["connz"]["connections"]:
        connection.update(cid=connection["cid"] + 100, port=1, in_msgs=9**9, pending_bytes=17, rtt="9s")
    assert mapped(sample(raw)).entities == mapped(sample(single())).entities


def test_nothing_read_at_the_start_leaves_what_is_published() -> None:
    published = mapped(sample(single()))
    facts = mapped(sample(None), published=published)
    assert facts.entities == published.entities
    assert facts.pulses == []


@pytest.mark.parametrize(
    ("endpoint", "unsure"),
    [
        ("varz", KINDS),
        ("jsz", ("nats_stream", "nats_consumer", "nats_subject")),
        ("connz", ("nats_client", "nats_subject")),
    ],
)
def test_an_endpoint_never_read_freezes_its_kinds_only(endpoint: str, unsure: tuple[str, ...]) -> None:
    published = mapped(sample(single()))
    raw = {**single(), endpoint: None}
    facts = mapped(sample(raw), published=published)
    assert {each.kind for each in facts.unread} == set(unsure)
    for kind in KINDS:
        assert refs(facts, kind) == refs(published, kind)
    empty = mapped(sample(raw))
    assert {kind for kind in KINDS if refs(empty, kind) != refs(published, kind)} <= set(unsure)


def test_a_server_that_cannot_be_read_is_an_unread_part() -> None:
    fault = Fault("http://n3:8222", "monitoring endpoint http://n3:8222 refused")
    first = sample(*cluster())
    silent = remember(first, structs.replace(sample(*cluster()[:2], None), faults=(fault,)))
    assert mapped(silent, first, published=mapped(first)).unread == [Unread(part=fault.origin, reason=fault.text)]


def test_a_server_that_falls_silent_is_remembered_without_pulses() -> None:
    first = sample(*cluster())
    published = mapped(first)
    silent = remember(first, sample(*(moved_on(raw) for raw in cluster()[:2]), None))
    facts = mapped(silent, first, published=published)
    assert {kind: refs(facts, kind) for kind in KINDS} == {kind: refs(published, kind) for kind in KINDS}
    assert {each.ref.name for each in facts.pulses if each.ref.kind == "nats_server"} == {"n1", "n2"}


def test_a_server_that_left_the_cluster_is_gone() -> None:
    first = sample(*cluster())
    left = remember(first, sample(*(moved_on(raw) for raw in cluster()[:2]), expected=2))
    facts = mapped(left, first, published=mapped(first))
    assert names(facts, "nats_server") == {"n1", "n2"}


def test_a_server_missing_from_the_answers_is_not_gone() -> None:
    first = sample(*cluster())
    partial = remember(first, sample(*(moved_on(raw) for raw in cluster()[:2]), expected=3))
    facts = mapped(partial, first, published=mapped(first))
    assert names(facts, "nats_server") == {"n1", "n2", "n3"}


def test_jetstream_that_shuts_down_takes_no_stream_with_it() -> None:
    first = sample(single())
    raw = moved_on(single())
    raw["jsz"] = {"server_id": raw["jsz"]["server_id"], "now": raw["jsz"]["now"], "disabled": True}
    facts = mapped(remember(first, sample(raw)), first, published=mapped(first))
    assert names(facts, "nats_stream") == {"ORDERS", "MIRR"}
    assert not [each for each in facts.pulses if each.ref.kind == "nats_stream"]


def test_jetstream_switched_off_by_a_restart_does() -> None:
    first = sample(single())
    raw = moved_on(single())
    raw["jsz"] = {"server_id": "NEW", "now": raw["jsz"]["now"], "disabled": True}
    raw["varz"]["server_id"] = raw["connz"]["server_id"] = "NEW"
    facts = mapped(remember(first, sample(raw)), first, published=mapped(first))
    assert names(facts, "nats_stream") == set()


def test_over_a_cap_one_entity_counts_the_rest() -> None:
    caps = Caps(nats_stream=1, nats_consumer=1, nats_client=1, nats_subject=1)
    facts = mapped(sample(single()), caps=caps)
    for kind in KINDS[1:]:
        assert len(refs(facts, kind)) == 2
        assert named(facts, kind, "overflow").attributes == {"kgents.overflow": True}
    assert pulse(facts, "nats_consumer", "overflow").custom == {"entities_left_out": 2.0}


def test_what_is_shown_stays_when_others_come() -> None:
    caps = msgspec.structs.replace(CAPS, nats_stream=2)
    first = sample(single())
    published = mapped(first, caps=caps)
    raw = moved_on(single())
    details = raw["jsz"]["account_details"][0]["stream_detail"]
    details.append({**stream(raw, "MIRR"), "name": "AAA"})
    facts = mapped(sample(raw), first, caps=caps, published=published)
    assert names(facts, "nats_stream") == {"ORDERS", "MIRR", "overflow"}
