"""Compression: what is decompressed is what was compressed, whatever came before it."""

from collections.abc import Iterator
from datetime import UTC
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgents_shared.bus import compression as module
from kgents_shared.bus.compression import GROUPS_MAX, Compression
from kgents_shared.contract.codec import ENTITY, encode
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


@pytest.fixture(scope="module", autouse=True)
def soon() -> Iterator[None]:
    """The first value is kept as it is, and no later one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PLAIN_BYTES", 150)
        yield


def packed(type_: object) -> dict[str, Any]:
    return {"encode": msgspec.msgpack.Encoder().encode, "decode": msgspec.msgpack.Decoder(type_).decode}


@given(st.lists(ENTITIES, max_size=8))
def test_what_is_decompressed_is_what_was_compressed(entities: list[Entity]) -> None:
    compression: Compression[Entity] = Compression(**packed(Entity), alike=lambda entity: entity.ref.kind)
    compressed = [compression.compress(entity) for entity in entities]
    assert [compression.decompress(each) for each in compressed] == entities


@given(st.lists(ENTITIES, max_size=8))
def test_the_bytes_that_are_given_are_kept_as_they_are(entities: list[Entity]) -> None:
    """Also those of another version, with fields of its own and in another order."""
    compression: Compression[Entity] = Compression(encode, ENTITY.decode, alike=lambda entity: entity.ref.kind)
    given = [b'{"newer":1,%b' % encode(entity)[1:] for entity in entities]
    compressed = [compression.compress(entity, bytes_) for entity, bytes_ in zip(entities, given, strict=True)]
    assert [compression.encoded(each) for each in compressed] == given
    assert [compression.decompress(each) for each in compressed] == entities


def test_there_may_be_more_groups_than_a_byte_can_count() -> None:
    compression: Compression[list[str]] = Compression(**packed(list[str]), alike=lambda words: words[0])
    values = [[f"group-{number}", "word " * 50] for number in range(2 * GROUPS_MAX)]
    compressed = [compression.compress(value) for value in values]
    assert [compression.decompress(each) for each in compressed] == values


def test_what_is_alike_takes_little() -> None:
    compression: Compression[Entity] = Compression(**packed(Entity))
    names = [f"web-{number}" for number in range(100)]
    many = [
        Entity(ref=Ref("test", "pod", name, "shop"), source="k8s", uid=name, labels={"app.kubernetes.io/name": "web"})
        for name in names
    ]
    compressed = [compression.compress(entity) for entity in many]
    assert max(map(len, compressed[1:])) < 40
