import msgspec
import pytest

from kgents_collector_nats.mapping.subject import overlap
from support.nats_samples import CAPS, mapped, moved_on, named, names, pulse, sample, single


def test_subjects_are_what_is_subscribed_to_and_what_streams_capture() -> None:
    facts = mapped(sample(single()))
    assert names(facts, "nats_subject") == {"orders.>", "ord.*", "foo.*", "q.work"}
    assert named(facts, "nats_subject", "foo.*").attributes == {"kgents.nats.wildcard": True}
    assert named(facts, "nats_subject", "q.work").attributes == {}


@pytest.mark.parametrize("subject", ["world.infra.topology", "world.v1.entity.health", "$SRV.PING", "_INBOX.a.b"])
def test_what_no_application_subscribes_to_is_not_shown(subject: str) -> None:
    raw = single()
    raw["connz"]["connections"][1]["subscriptions_list_detail"][0]["subject"] = subject
    shown = names(mapped(sample(single())), "nats_subject")
    assert subject not in names(mapped(sample(raw)), "nats_subject") < shown


def test_deliveries_per_second() -> None:
    raw = moved_on(single())
    raw["connz"]["connections"][1]["subscriptions_list_detail"][0]["msgs"] += 30
    facts = mapped(sample(raw), sample(single()))
    custom = pulse(facts, "nats_subject", "foo.*").custom
    assert custom == {"delivered_msgs_per_sec": pytest.approx(3), "subscriptions": 1}
    assert pulse(facts, "nats_subject", "orders.>").custom == {"delivered_msgs_per_sec": 0, "subscriptions": 0}
    first = pulse(mapped(sample(single())), "nats_subject", "foo.*")
    assert "delivered_msgs_per_sec" not in first.custom


def test_captured_subjects_come_first_then_the_busiest_and_the_shown_stay() -> None:
    caps = msgspec.structs.replace(CAPS, nats_subject=3)
    published = mapped(sample(single()), caps=caps)
    assert names(published, "nats_subject") == {"orders.>", "ord.*", "foo.*", "overflow"}
    assert pulse(published, "nats_subject", "overflow").custom == {"entities_left_out": 1}
    raw = moved_on(single())
    raw["connz"]["connections"][1]["subscriptions_list_detail"][2]["msgs"] = 10**6
    facts = mapped(sample(raw), caps=caps, published=published)
    assert names(facts, "nats_subject") == names(published, "nats_subject")
    del raw["connz"]["connections"][1]["subscriptions_list_detail"][0]
    assert names(mapped(sample(raw), caps=caps, published=facts), "nats_subject") == {"orders.>", "ord.*", "q.work"}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.*", "*.b", True),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        (">", "a.b", True),
        ("a.*", "a.b.c", False),
        ("a.*.c", "a.>", True),
        ("b.>", "a.*", False),
    ],
)
def test_filters_overlap_when_a_subject_matches_both(one: str, other: str, expected: bool) -> None:
    assert overlap(one, other) is expected
    assert overlap(other, one) is expected
