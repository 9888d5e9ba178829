"""The law of what the builder remembers and shares: every message is what merging and resolving all at once gives.

Compared with each result as it is taken, not only with the last one: readers keep the history.
"""

from typing import Final
from unittest.mock import patch

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kgents_shared.contract.codec import encode
from kgents_shared.contract.entity import SPANS, Connection, Entity, Ref, Traffic, Value
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.topology import Difference, ResolvedConnection, TopologyEntity
from kgents_shared.contract.vocabulary.kinds import APP, SOURCE
from kgents_topology_builder import reducer as reducer_module
from kgents_topology_builder.difference import describe, differences, same
from kgents_topology_builder.merge import by_priority, merge, with_left_out
from kgents_topology_builder.reducer import Merged, Reducer
from kgents_topology_builder.sources import STALE_AFTER_NS
from support.build import NOW, NOW_NS, make_entity, make_ref, make_removal

REFS: Final = (make_ref("a"), make_ref("b"), make_ref("c", kind=APP))
SOURCES: Final = ("docker", "k8s")
PRIORITY: Final = ("k8s",)
HANDLES: Final = ("10.0.0.1:80", "svc")
ALIKE: Final[tuple[Value, ...]] = (True, 1, 1.0, "1", ["x"], None)

attributes: Final = st.dictionaries(st.sampled_from(("x", "y")), st.sampled_from(ALIKE), max_size=2)
connections: Final = st.builds(
    Connection,
    kind=st.just("depends"),
    peer=st.one_of(st.sampled_from(REFS), st.sampled_from(HANDLES)),
    direction=st.sampled_from(("out", "out", "in")),
    evidence=st.sampled_from(("", SPANS)),
    attributes=st.sampled_from(({}, {}, {"x": True}, {"x": 1})),
    traffic=st.sampled_from((None, None, None, Traffic(latency_ms=0.0))),
)
entities: Final = st.builds(
    lambda ref, source, uid, status, found, handles, peers, interval_s: make_entity(
        ref=ref,
        source=source,
        uid=uid,
        status=status,
        attributes=found,
        aliases=sorted(handles),
        connections=peers,
        report_interval_s=interval_s,
    ),
    st.sampled_from(REFS),
    st.sampled_from(SOURCES),
    st.sampled_from(("u1", "u2")),
    st.sampled_from(("running", "failed")),
    attributes,
    st.sets(st.sampled_from(HANDLES), max_size=2),
    st.lists(connections, max_size=2),
    st.sampled_from((None, None, None, 30.0)),
)
steps: Final = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(("report", "report", "alike", "other", "remove")), entities),
        st.tuples(st.sampled_from(("again", "taken")), entities),
        st.tuples(st.just("beat"), st.tuples(st.sampled_from(SOURCES), st.booleans())),
        st.tuples(st.just("take"), st.integers(0, 2)),
        st.tuples(st.just("restart"), st.none()),
    ),
    min_size=10,  # else most histories are too short for anything to be changed again
    max_size=40,
)


def beat(source: str, attests: bool) -> Heartbeat:
    return Heartbeat(
        text="", service=f"collector-{source}", instance="one", version="1", started_at=NOW,
        state="in_sync" if attests else "degraded", source=source,
    )  # fmt: skip


def alike(connection: Connection) -> Connection:
    """The same with other types and signs of zero."""
    found = {key: 1 if value is True else True for key, value in connection.attributes.items()}
    traffic = connection.traffic and Traffic(latency_ms=-(connection.traffic.latency_ms or 0.0))
    return msgspec.structs.replace(connection, attributes=found, traffic=traffic)


class World:
    """A builder, what it has published, and the last reports."""

    def __init__(self, at_once_every: int) -> None:
        """`at_once_every`: one of so many reports goes the short way."""
        self._at_once_every = at_once_every
        self._reports = 0
        self.reports: dict[tuple[object, str], Entity] = {}
        self.published: dict[Ref, TopologyEntity] = {}
        self.now_ns = NOW_NS
        self.reducer = Reducer(PRIORITY, now_ns=NOW_NS)

    def do(self, step: tuple[str, object]) -> None:
        """One step; what is due may be left for a later one."""
        match step:
            case ("beat", (str(source), bool(attests))):
                self.now_ns += STALE_AFTER_NS
                self.reducer.heartbeat("test", "one", beat(source, attests), time_ns=self.now_ns)
                self.reducer.tick(self.now_ns + STALE_AFTER_NS)
            case ("take", int(count)):
                self.take(count)
            case ("restart", _):
                self.restart()
            case ("remove", Entity() as entity):
                self.reports.pop((entity.ref, entity.source), None)
                self.reducer.remove(make_removal(entity), time_ns=self.now_ns)
            case ("taken", Entity() as entity):  # nothing waits: so it goes the short way
                self.take()
                self.report(self.changed(entity, "again"))
            case (str(what), Entity() as entity):
                self.report(self.changed(entity, what))
            case _:
                raise AssertionError(step)

    def changed(self, entity: Entity, what: str) -> Entity:
        """A report, or the last one of the same entity with another status, as a reader decodes it."""
        last = self.reports.get((entity.ref, entity.source))
        if what == "again":
            last = last or next(iter(self.reports.values()), None)
        if what == "report" or last is None:
            return entity
        found = msgspec.structs.replace(last, status=entity.status, attributes=entity.attributes)
        if what == "alike":  # equal to Python, not to a reader
            found = msgspec.structs.replace(found, connections=[alike(each) for each in last.connections])
        if what == "other":
            source = next(each for each in SOURCES if each != entity.source)
            found = msgspec.structs.replace(found, source=source, connections=entity.connections)
        return msgspec.json.decode(encode(found), type=Entity)

    def report(self, entity: Entity) -> None:
        self.reports[entity.ref, entity.source] = entity
        self._reports += 1
        before = encode(entity)
        if self._reports % self._at_once_every:
            self.reducer.upsert(entity, time_ns=self.now_ns)
        elif (merged := self.reducer.upsert_at_once(entity, time_ns=self.now_ns)) is not None:
            found = Merged(entity.ref, merged, "", self.now_ns, {})
            self.compare(found)
            self.publish(found)
        assert encode(entity) == before, "what is shared is equal"

    def restart(self) -> None:
        self.reducer = Reducer(PRIORITY, now_ns=self.now_ns)
        for each in self.published.values():
            self.reducer.restore(each)
        for entity in self.reports.values():
            self.reducer.upsert(entity, time_ns=self.now_ns)

    def take(self, count: int | None = None) -> None:
        """Take so many results, each compared with what all that is known now gives."""
        for number, found in enumerate(self.reducer.take(), 1):
            if found.ref.kind != SOURCE:
                self.compare(found)
            self.publish(found)
            if number == count:
                break

    def compare(self, found: Merged) -> None:
        graph = self.reducer.graph
        facts = graph.facts.get(found.ref)
        if not facts:
            assert found.entity is None
            return
        stale = self.reducer._stale_sources(found.ref, facts)
        ordered = by_priority(facts, PRIORITY, stale)
        expected = with_left_out(
            merge(found.ref, ordered, graph.resolve, time_ns=found.time_ns),
            graph.ambiguous(ordered),
            graph.unresolved(ordered),
        )
        assert found.entity is not None
        assert encode(found.entity) == encode(expected)

    def compare_all(self) -> None:
        """Whoever is touched by a change of another one was taken, too."""
        graph = self.reducer.graph
        assert graph.facts.keys() == {ref for ref in self.published if ref.kind != SOURCE}
        for ref, facts in graph.facts.items():
            ordered = by_priority(facts, PRIORITY, self.reducer._stale_sources(ref, facts))
            merged = merge(ref, ordered, graph.resolve, time_ns=0)
            expected = with_left_out(merged, graph.ambiguous(ordered), graph.unresolved(ordered))
            assert same(self.published[ref], expected)

    def publish(self, found: Merged) -> None:
        old = self.published.get(found.ref)
        if found.entity is None:
            self.published.pop(found.ref, None)
        elif old is None or not same(old, found.entity):
            self.published[found.ref] = describe(old, found.entity)


@settings(max_examples=300)
@given(steps=steps, at_once_every=st.integers(1, 2))
@example(  # an entity is taken while it is still to be found out that its peer is gone
    steps=[
        ("report", make_entity("a", aliases=["svc"])),
        ("report", make_entity("b", connections=[Connection(kind="depends", peer="svc")])),
        ("take", 2),
        ("report", make_entity("b", status="failed", connections=[Connection(kind="depends", peer="svc")])),
        ("remove", make_entity("a")),
        ("take", 1),
    ],
    at_once_every=2,
)
@example(  # another source reports the entity, too
    steps=[
        ("report", make_entity("a")),
        ("taken", make_entity("a", status="failed")),
        ("report", make_entity("a", source="docker")),
        ("taken", make_entity("a")),
    ],
    at_once_every=1,
)
@example(  # the name that another one uses leads elsewhere by the change
    steps=[
        ("report", make_entity("a", aliases=["svc"])),
        ("report", make_entity("b", aliases=["svc"])),
        ("report", make_entity("c", connections=[Connection(kind="depends", peer="svc")])),
        ("taken", make_entity("a", status="failed")),
    ],
    at_once_every=1,
)
@example(  # that a name leads elsewhere is still to be found out
    steps=[
        ("report", make_entity("a", aliases=["svc"])),
        ("report", make_entity("b", connections=[Connection(kind="depends", peer="svc")])),
        ("take", 99),
        ("remove", make_entity("a")),
        ("again", make_entity("b", status="failed")),
    ],
    at_once_every=1,
)
def test_each_message_is_what_all_that_is_known_gives(steps: list[tuple[str, object]], at_once_every: int) -> None:
    with patch.object(reducer_module, "SPREAD_MAX", 1):  # so that results are taken while names still lead elsewhere
        world = World(at_once_every)
        for step in steps:
            world.do(step)
        world.take()
        world.compare_all()


def plainly_listed(old: TopologyEntity, new: TopologyEntity) -> list[str]:
    """The fields that differ, as their rule says it: by name, value and type."""
    found = [
        field
        for field in ("status", "reason", "uid", "created_at", "aliases", "cut")
        if getattr(old, field) != getattr(new, field)
    ]
    for field in ("labels", "annotations", "attributes"):
        before, after = getattr(old, field), getattr(new, field)
        found += [
            f"{field}.{key}" for key in sorted({*before, *after}) if encoded(before.get(key)) != encoded(after.get(key))
        ]
    return found


def encoded(value: Value) -> bytes:
    return msgspec.json.encode(value)


words: Final = st.dictionaries(st.sampled_from(("x", "y")), st.sampled_from(("1", "2")), max_size=2)
merged: Final = st.builds(
    TopologyEntity,
    text=st.just(""),
    ref=st.just(make_ref()),
    status=st.sampled_from(("running", "failed")),
    reason=st.sampled_from(("", "why")),
    uid=st.sampled_from(("", "u")),
    labels=words,
    annotations=words,
    attributes=attributes,
    aliases=st.lists(st.sampled_from(("one", "two")), max_size=1),
    cut=st.lists(st.just("labels"), max_size=1),
)


@given(old=merged, new=merged)
def test_what_differs_is_listed_field_by_field_and_nothing_else(old: TopologyEntity, new: TopologyEntity) -> None:
    listed = [each.field for each in differences(old, new)]

    assert listed == plainly_listed(old, new)
    assert same(old, new) == (not listed)


def test_scopes_and_lists_are_listed_as_text() -> None:
    edge = ResolvedConnection(kind="depends", peer=make_ref("peer"), attributes={"x": True})
    old = TopologyEntity(text="", ref=make_ref(), connections=[edge], sources=["k8s"])
    new = TopologyEntity(
        text="", ref=make_ref(), connections=[msgspec.structs.replace(edge, attributes={"x": 1})], sources=["docker"]
    )

    assert differences(old, new)[0] == Difference(field="sources", old=["k8s"], new=["docker"])
    assert [each.field for each in differences(old, new)] == ["sources", "connections.depends → pod shop/peer"]
