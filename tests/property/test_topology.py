"""The law of the topology: whatever came in whatever order, it is the merge of the last facts."""

from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from kgents_shared.contract.entity import Connection, Entity, Ref
from kgents_shared.contract.topology import TopologyEntity
from kgents_topology_builder.merge import merge
from kgents_topology_builder.reducer import Reducer
from support.build import NOW_NS, make_entity, make_ref, make_removal

NAMES = ("a", "b", "c")
SOURCES = ("docker", "k8s", "nats")
HANDLES = ("10.0.0.1", "10.0.0.1:80", "svc")

peers = st.one_of(st.sampled_from(NAMES).map(make_ref), st.sampled_from(HANDLES))
entities = st.builds(
    lambda name, source, uid, status, handles, peers: make_entity(
        name,
        source=source,
        uid=uid,
        status=status,
        aliases=sorted(handles),
        connections=[Connection(kind="depends", peer=peer) for peer in peers],
    ),
    st.sampled_from(NAMES),
    st.sampled_from(SOURCES),
    st.sampled_from(("", "u1", "u2")),
    st.sampled_from(("running", "failed", "unknown")),
    st.sets(st.sampled_from(HANDLES), max_size=2),
    st.lists(peers, max_size=3),
)
messages = st.lists(st.tuples(st.booleans(), entities), max_size=25)


def apply(reducer: Reducer, is_removal: bool, entity: Entity) -> None:
    if is_removal:
        reducer.remove(make_removal(entity), time_ns=NOW_NS)
    else:
        reducer.upsert(entity, time_ns=NOW_NS)


def take(reducer: Reducer, published: dict[Ref, TopologyEntity]) -> None:
    for merged in reducer.take():
        if merged.entity is None:
            published.pop(merged.ref, None)
        else:
            published[merged.ref] = merged.entity


def merged_of(facts: list[Entity]) -> dict[Ref, TopologyEntity]:
    reducer = Reducer(("k8s",), now_ns=NOW_NS)
    for fact in facts:
        reducer.upsert(fact, time_ns=NOW_NS)
    published: dict[Ref, TopologyEntity] = {}
    take(reducer, published)
    return published


@given(messages=messages, random=st.randoms())
def test_the_published_topology_is_that_of_the_last_facts_in_any_order(
    messages: list[tuple[bool, Entity]], random: Random
) -> None:
    reducer = Reducer(("k8s",), now_ns=NOW_NS)
    published: dict[Ref, TopologyEntity] = {}
    for is_removal, entity in messages:
        apply(reducer, is_removal, entity)
        take(reducer, published)

    facts = [fact for by_source in reducer.graph.facts.values() for fact in by_source.values()]
    random.shuffle(facts)

    assert merged_of(facts) == published


@given(messages=messages)
def test_no_published_connection_leads_nowhere(messages: list[tuple[bool, Entity]]) -> None:
    reducer = Reducer(("k8s",), now_ns=NOW_NS)
    published: dict[Ref, TopologyEntity] = {}
    for is_removal, entity in messages:
        apply(reducer, is_removal, entity)
    take(reducer, published)

    assert {edge.peer for entity in published.values() for edge in entity.connections} <= published.keys()


@given(messages=messages)
def test_delivering_every_message_twice_changes_nothing(messages: list[tuple[bool, Entity]]) -> None:
    once, twice = Reducer(("k8s",), now_ns=NOW_NS), Reducer(("k8s",), now_ns=NOW_NS)
    after_once: dict[Ref, TopologyEntity] = {}
    after_twice: dict[Ref, TopologyEntity] = {}
    for is_removal, entity in messages:
        apply(once, is_removal, entity)
        apply(twice, is_removal, entity)
        apply(twice, is_removal, entity)
    take(once, after_once)
    take(twice, after_twice)

    assert after_once == after_twice


@given(messages=messages)
def test_names_no_longer_in_use_take_no_memory(messages: list[tuple[bool, Entity]]) -> None:
    reducer = Reducer(("k8s",), now_ns=NOW_NS)
    for is_removal, entity in messages:
        apply(reducer, is_removal, entity)
    for by_source in list(reducer.graph.facts.values()):
        for fact in list(by_source.values()):
            reducer.remove(msgspec.structs.replace(fact, op="remove"), time_ns=NOW_NS)

    assert not reducer.graph.facts
    assert not reducer.graph._claims
    assert not reducer.graph._waiting


@given(entity=entities)
def test_one_source_alone_is_merged_like_several(entity: Entity) -> None:
    """The short way for a single fact says what the long way would."""
    silent = make_entity(entity.ref.name, source="zz", status="unknown", uid="", ref=entity.ref)

    def merged(facts: list[Entity]) -> TopologyEntity:
        merged = merge(entity.ref, facts, lambda connection, _: make_ref("b"), time_ns=NOW_NS)
        return msgspec.structs.replace(merged, sources=[], reason="")

    assert merged([entity]) == merged([entity, silent])
