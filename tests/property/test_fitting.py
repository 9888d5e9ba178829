"""The law of size: what a server cannot take whole fits in part, names what is missing, keeps identity and state."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgents_shared.contract.alert import Alert
from kgents_shared.contract.codec import BY_SIGNAL, encode
from kgents_shared.contract.entity import Connection, Entity
from kgents_shared.contract.event import Event
from kgents_shared.contract.fitting import fitted, is_cut, with_room
from kgents_shared.contract.health import Health, Reason
from kgents_shared.contract.pulse import ALL, DatabasePulse, ResourcePulse
from kgents_shared.contract.wire import Wire
from kgents_topology_builder.difference import describe
from kgents_topology_builder.merge import merge
from support.build import NOW_NS, make_entity, make_ref

REF = make_ref("cart-7f")
AT = datetime(2026, 1, 1, tzinfo=UTC)

sizes = st.sampled_from((0, 1, 100, 2_000, 30_000, 200_000))
texts = st.builds(lambda size, mark: mark * size, sizes, st.sampled_from(("x", "é", "\x01", '"', "😀")))
keys = st.builds(lambda text, n: f"{text[:300]}{n}", texts, st.integers(0, 5))
mappings = st.dictionaries(keys, texts, max_size=4)
lists = st.lists(texts, max_size=4)
limits = st.sampled_from((32_768, 65_536, 1_048_576))
entities = st.builds(
    lambda reason, labels, annotations, addresses, count, uid: make_entity(
        reason=reason,
        uid=uid[:2_000],
        labels=labels,
        annotations=annotations,
        addresses=addresses,
        connections=[Connection(kind="depends", peer=make_ref(f"p{n}")) for n in range(count)],
    ),
    texts, mappings, mappings, lists, st.sampled_from((0, 1, 5_000)), texts,
)  # fmt: skip
reasons = st.builds(lambda text: Reason(check="KG-1", text=text, severity=1, value=text), texts)
messages: st.SearchStrategy[Wire] = st.one_of(
    entities,
    st.builds(lambda t, r: Health(text=t, ref=REF, level="critical", score=0, reasons=r), texts, st.lists(reasons)),
    st.builds(lambda t: Alert(text=t, ref=REF, check="KG-1", state="firing", severity="critical", value=t), texts),
    st.builds(
        lambda t, r: Event(t, "id", REF, "k8s", "Warning", r, "error", AT, AT, message=t), texts, texts
    ),
    st.builds(
        lambda t, n: ResourcePulse(
            text=t, ref=REF, source="k8s", timestamp=AT, interval_s=5, custom={f"figure_{i}": 1.0 for i in range(n)}
        ),
        texts,
        st.sampled_from((0, 3, 90_000)),
    ),
    st.builds(
        lambda t, u: DatabasePulse(
            text=t, ref=REF, source="db", backend="redis", timestamp=AT, interval_s=5, phase="failing", cause=t,
            unread=u,
        ),
        texts,
        lists,
    ),
)  # fmt: skip


@given(messages, limits)
def test_every_message_fits_and_is_cut_the_same_way_each_time(message: Wire, limit: int) -> None:
    found = fitted(message, limit)

    assert len(encode(found)) <= limit
    assert is_cut(found) or found is message
    assert found is message or len(encode(message)) > limit // 2
    assert fitted(message, limit) == found
    assert getattr(found, "ref") == REF  # noqa: B009 - messages of six types
    for field in ("op", "status", "level", "score", "state", "severity", "source", "phase", "type"):
        assert getattr(found, field, None) == getattr(message, field, None)
    signal = {Entity: "entity", Health: "health", Alert: "alert", Event: "event"}.get(type(message), "pulse")
    assert BY_SIGNAL[signal].decode(encode(found)) == found


@given(st.lists(entities, min_size=1, max_size=3), st.lists(entities, min_size=1, max_size=3), limits)
def test_what_the_builder_makes_of_accepted_entities_is_accepted(
    before: list[Entity], after: list[Entity], limit: int
) -> None:
    """Its message repeats what several sources report, and what it was before."""
    old, new = (_merged(entities, limit) for entities in (before, after))

    message = describe(old, new)
    if len(encode(message)) > limit:
        message = with_room(describe(fitted(old, limit), fitted(new, limit)), limit)

    assert len(encode(message)) <= limit
    assert (message.status, message.ref) == (new.status, REF)


def test_a_sentence_that_makes_a_message_too_large_by_a_few_bytes_costs_a_part_of_it() -> None:
    limit = 32_768
    bare = _merged([make_entity(reason="x" * 2_000, annotations={"a": ""})], limit)
    new = msgspec.structs.replace(bare, annotations={"a": "y" * (limit - len(encode(bare)) - 10)})
    assert len(encode(new)) <= limit < len(encode(describe(None, new)))

    message = with_room(describe(None, fitted(new, limit)), limit)

    assert len(encode(message)) <= limit
    assert "annotations.a" in message.cut


def _merged(entities: list[Entity], limit: int):  # type: ignore[no-untyped-def]
    facts = [fitted(msgspec.structs.replace(each, ref=REF, source=f"s{n}"), limit) for n, each in enumerate(entities)]
    return merge(REF, facts, lambda connection, _: connection.peer, time_ns=NOW_NS)  # type: ignore[arg-type,return-value]


def test_the_largest_is_left_out_and_named() -> None:
    entity = make_entity(labels={"app": "cart"}, annotations={"big": "x" * 100_000, "small": "y"})

    found = fitted(entity, 65_536)

    assert found.cut == ["annotations.big"]
    assert (found.labels, found.annotations) == ({"app": "cart"}, {"small": "y"})
    assert "without annotations.big" in found.text


def test_of_a_hub_the_connections_that_fit_are_kept() -> None:
    peers = [Connection(kind="depends", peer=make_ref(f"p{n}")) for n in range(5_000)]

    found = fitted(make_entity(connections=peers), 65_536)

    assert 0 < len(found.connections) < 5_000
    assert found.cut == [f"connections ({5_000 - len(found.connections):,} of 5,000)"]


@pytest.mark.parametrize("count", [10, 90_000])
def test_figures_that_a_pulse_leaves_out_are_not_known_rather_than_ended(count: int) -> None:
    figures: dict[str, float | None] = {f"figure_{n}": 1.0 for n in range(count)}
    pulse = ResourcePulse(ref=REF, source="k8s", timestamp=AT, interval_s=5, custom=figures)

    assert fitted(pulse, 65_536).unread == ([ALL] if count > 10 else [])
