"""The builder's memory is what the streams hold, so a restart at any moment changes nothing."""

from typing import Final

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from kgents_shared.contract.entity import Connection, Entity, Ref
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary.kinds import SOURCE
from kgents_topology_builder.reducer import CONTESTED_NS
from support.build import make_entity, make_ref, make_removal, subject_of
from support.builder_runs import INTERVAL_NS, SECOND_NS, Builder, Streams

NAMES: Final = ("a", "b")
SOURCES: Final = ("docker", "k8s")
PRIORITY: Final = ("k8s",)

reports = st.builds(
    lambda name, source, uid, status, aliases, peers, interval_s: make_entity(
        name,
        source=source,
        uid=uid,
        status=status,
        aliases=sorted(aliases),
        connections=[Connection(kind="depends", peer=peer) for peer in peers],
        report_interval_s=interval_s,
    ),
    st.sampled_from(NAMES),
    st.sampled_from(SOURCES),
    st.sampled_from(("", "u1", "u2")),
    st.sampled_from(("running", "failed", "succeeded")),
    st.sets(st.sampled_from(("one", "two")), max_size=2),
    st.lists(st.one_of(st.sampled_from(NAMES).map(make_ref), st.sampled_from(("one", "two"))), max_size=2),
    st.sampled_from((None, None, 4.0, 30.0)),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(("report", "report", "remove", "remove another", "poison", "purge")), reports),
        st.tuples(
            st.just("beat"),
            st.tuples(st.sampled_from(SOURCES), st.sampled_from(("in_sync", "degraded", "standby", "dead"))),
        ),
        st.tuples(st.just("wait"), st.sampled_from((1, 7, 20, 70))),
        st.tuples(st.just("remake"), st.booleans()),
    ),
    max_size=20,
)


class World:
    """Streams, the heartbeats that go on by themselves, and builders that read both."""

    def __init__(self, *, drops: bool = True) -> None:
        """`drops`: the server drops heartbeats that are not renewed, which it cannot while its disk is full."""
        self.streams = Streams()
        self._drops = drops
        self.builders = [Builder(self.streams, PRIORITY) for _ in range(2)]
        self.unseen: set[Ref] = set()
        """Who may be held for a message that has no row, unreadable or late, and was purged: no restart knows of it."""
        self._beating: dict[str, str] = {}

    def take(self, step: tuple[str, object]) -> None:
        """One thing happens; then everything is read and published."""
        match step:
            case ("wait", int(seconds)):
                self.wait(seconds)
            case ("beat", (str(source), str(state))):
                self._beating[source] = state
                self._beat()
            case ("remake", bool(is_reported_again)):
                self._remake(is_reported_again=is_reported_again)
            case (str(what), Entity() as entity):
                self._write(what, entity)
            case _:
                raise AssertionError(f"unknown step {step}")
        for builder in self.builders:
            builder.publish()

    def wait(self, seconds: int) -> None:
        """Time passes; who is alive beats every INTERVAL_NS."""
        until_ns = self.streams.now_ns + seconds * SECOND_NS
        while self.streams.now_ns < until_ns:
            self.streams.now_ns = min(self.streams.now_ns + INTERVAL_NS, until_ns)
            self._beat()
            for gone in [*self.streams.expire()] if self._drops else ():
                for builder in self.builders:
                    builder.on_beat(gone)
            for builder in self.builders:
                builder.tick()

    def _beat(self) -> None:
        for source, state in self._beating.items():
            if state != "dead":
                change = self.streams.beat(source, state)
                for builder in self.builders:
                    builder.on_beat(change)

    def _write(self, what: str, entity: Entity) -> None:
        if what == "purge":
            stored = self.streams.entities.get(subject_of(entity))
            if stored is not None and (stored.message is None or stored.message.is_removal):
                self.unseen.add(entity.ref)
            change = self.streams.purge(subject_of(entity))
        else:
            change = self.streams.write(subject_of(entity), self._message(what, entity))
        for builder in self.builders:
            if change is not None:
                builder.on_entity(change)

    def _remake(self, *, is_reported_again: bool) -> None:
        """The entity stream is made again; its writers may find that, and publish again what stands."""
        held = {subject: each.message for subject, each in self.streams.entities.items()}
        contested = [each for each in held.values() if each is None or each.is_removal]
        self.unseen.update(each.ref for each in contested if each is not None)
        published = [{*builder.published} for builder in self.builders]
        changes = [*self.streams.remake()]
        for builder in self.builders:
            for change in changes:
                builder.on_entity(change)
            builder.publish()
        assert published == [{*builder.published} for builder in self.builders], "a stream made again removes nothing"
        for subject, message in held.items() if is_reported_again else ():
            if message is not None and not message.is_removal:
                change = self.streams.write(subject, message)
                for builder in self.builders:
                    builder.on_entity(change)

    def _message(self, what: str, entity: Entity) -> Entity | None:
        """What is written, of the entity that is stored under the same name if there is one."""
        stored = self.streams.entities.get(subject_of(entity))
        known = stored.message if stored is not None and stored.message is not None else entity
        if what == "report":
            return entity
        if what == "remove":
            return make_removal(known)
        return make_removal(msgspec.structs.replace(known, uid=f"not {known.uid}")) if what != "poison" else None


def said(published: dict[Ref, TopologyEntity]) -> dict[Ref, TopologyEntity]:
    """Without times: a builder that was not there cannot know for how long a source had been silent.

    For the same reason one may have found a silence long enough that the other has not; when it is over, nothing of it
    is left but the message that says so.
    """
    return {
        ref: msgspec.structs.replace(
            each, at=None, unread=[msgspec.structs.replace(scope, since=None) for scope in each.unread]
        )
        for ref, each in published.items()
        if each.unread or ref.kind != SOURCE
    }


@settings(max_examples=300)
@given(steps=steps, restarts=st.sets(st.integers(0, 19)))
def test_a_builder_that_restarts_at_any_moment_publishes_what_one_does_that_never_did(
    steps: list[tuple[str, object]], restarts: set[int]
) -> None:
    world = World()
    never, often = world.builders
    for number, step in enumerate(steps):
        world.take(step)
        if number in restarts:
            before = often.published.keys() - world.unseen
            often.restart()
            assert before - often.published.keys() <= before - never.published.keys(), "a restart is no removal"
    world.wait(2 * CONTESTED_NS // SECOND_NS)

    assert said(often.published) == said(never.published)


@settings(max_examples=200)
@given(steps=steps)
def test_a_restart_while_nothing_changes_publishes_nothing(steps: list[tuple[str, object]]) -> None:
    world = World()
    for step in steps:
        world.take(step)
    world.wait(2 * CONTESTED_NS // SECOND_NS)
    (builder, _) = world.builders
    written = builder.written
    builder.restart()
    world.wait(2 * CONTESTED_NS // SECOND_NS)

    assert builder.written == written


@given(steps=steps, restarts=st.sets(st.integers(0, 19)))
def test_a_heartbeat_that_the_server_does_not_drop_is_judged_by_its_age(
    steps: list[tuple[str, object]], restarts: set[int]
) -> None:
    worlds = World(drops=True), World(drops=False)
    for number, step in enumerate(steps):
        for world in worlds:
            world.take(step)
            if number in restarts:
                world.builders[0].restart()
    for world in worlds:
        world.wait(2 * CONTESTED_NS // SECOND_NS)

    found, expected = (said(world.builders[0].published) for world in worlds)
    assert found == expected
