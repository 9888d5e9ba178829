"""Packing: what is unpacked is what was packed, whatever came before it."""

from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st

from kgents_shared.bus.packing import GROUPS_MAX, Packing
from kgents_shared.contract.entity import Connection, Entity, Ref

WORDS = st.text(max_size=40)
REFS = st.builds(Ref, WORDS, WORDS, WORDS, WORDS)
ENTITIES = st.builds(
    Entity,
    ref=REFS,
    source=WORDS,
    uid=WORDS,
    labels=st.dictionaries(WORDS, WORDS, max_size=3),
    attributes=st.dictionaries(
        WORDS, st.one_of(WORDS, st.booleans(), st.integers(-(2**53), 2**53), st.lists(WORDS, max_size=2)), max_size=3
    ),
    connections=st.lists(st.builds(Connection, kind=WORDS, peer=st.one_of(REFS, WORDS)), max_size=2),
    created_at=st.none() | st.datetimes(timezones=st.just(UTC)),
)


@given(st.lists(ENTITIES, max_size=8))
def test_what_is_unpacked_is_what_was_packed(entities: list[Entity]) -> None:
    packing: Packing[Entity] = Packing(Entity, alike=lambda entity: entity.ref.kind)
    packed = [packing.pack(entity) for entity in entities]
    assert [packing.unpack(each) for each in packed] == entities


def test_there_may_be_more_groups_than_a_byte_can_count() -> None:
    packing: Packing[list[str]] = Packing(list[str], alike=lambda words: words[0])
    values = [[f"group-{number}", "word " * 50] for number in range(2 * GROUPS_MAX)]
    packed = [packing.pack(value) for value in values]
    assert [packing.unpack(each) for each in packed] == values


def test_what_is_alike_takes_little() -> None:
    packing: Packing[Entity] = Packing(Entity)
    names = [f"web-{number}" for number in range(100)]
    many = [
        Entity(ref=Ref("test", "pod", name, "shop"), source="k8s", uid=name, labels={"app.kubernetes.io/name": "web"})
        for name in names
    ]
    packed = [packing.pack(entity) for entity in many]
    assert max(map(len, packed[1:])) < 40
