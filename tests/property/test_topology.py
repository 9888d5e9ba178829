"""The law of the topology: whatever came in whatever order, it is the merge of the last facts."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from kgents_shared.contract.entity import Connection, Entity, Ref
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary.kinds import SOURCE
from kgents_topology_builder.reducer import Reducer
from kgents_topology_builder.sources import STALE_AFTER_NS
from support.build import NOW, NOW_NS, make_entity, make_ref, make_removal
from support.plain_topology import plain_topology

NAMES = ("a", "b", "c")
SOURCES = ("docker", "k8s", "nats")
PRIORITY = ("k8s",)
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
    st.sampled_from(("running", "failed", "succeeded", "unknown", "of a newer version")),
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


@given(messages=messages, observed=st.lists(st.tuples(st.sampled_from(SOURCES), st.booleans()), max_size=6))
def test_whatever_happened_the_topology_is_that_of_the_last_facts_merged_plainly(
    messages: list[tuple[bool, Entity]], observed: list[tuple[str, bool]]
) -> None:
    """Indexes, shortcuts and what is touched by a change: all of them publish what the rules say.

    Between the messages sources fall silent and are back; what is stale is what the topology says of them.
    """
    reducer = Reducer(PRIORITY, now_ns=NOW_NS)
    published: dict[Ref, TopologyEntity] = {}
    now_ns = NOW_NS
    for number, (is_removal, entity) in enumerate(messages):
        apply(reducer, is_removal, entity)
        take(reducer, published)
        if number < len(observed):
            source, attests = observed[number]
            now_ns += 2 * STALE_AFTER_NS
            reducer.heartbeat("test", "one", beat(source, attests), time_ns=now_ns)
            reducer.tick(now_ns)
            reducer.tick(now_ns + STALE_AFTER_NS)
            take(reducer, published)

    facts = [fact for by_source in reducer.graph.facts.values() for fact in by_source.values()]
    stale = {(ref.cluster, ref.name) for ref, each in published.items() if ref.kind == SOURCE and each.unread}
    found = {ref: structs.replace(each, at=None) for ref, each in published.items() if ref.kind != SOURCE}
    expected = plain_topology(facts, PRIORITY, stale)
    assert found == {ref: structs.replace(each, at=None) for ref, each in expected.items()}


def beat(source: str, attests: bool) -> Heartbeat:
    return Heartbeat(
        text="",
        service=f"collector-{source}",
        instance="one",
        version="1",
        started_at=NOW,
        state="in_sync" if attests else "degraded",
        source=source,
    )


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
        take(reducer, {})
    for by_source in list(reducer.graph.facts.values()):
        for fact in list(by_source.values()):
            reducer.remove(msgspec.structs.replace(fact, op="remove"), time_ns=NOW_NS)

    assert not reducer.graph.facts
    assert not reducer.graph._claims
    assert not reducer.graph._waiting
    assert not reducer.graph.shared
    assert not reducer._resolved
