"""The law of what is stale: an entity is so while it has been unattested for long enough, whatever heartbeats say."""

from datetime import timedelta
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.unread import Unread
from kgents_topology_builder.difference import same
from kgents_topology_builder.reducer import Reducer
from kgents_topology_builder.sources import FIRST_START_NS, HEARTBEAT_TTL_NS, STALE_AFTER_NS
from support.attested import stale_of
from support.build import NOW, NOW_NS, make_ref, make_removal

SECOND_NS: Final = 1_000_000_000
SOURCE: Final = make_ref("k8s", kind="source", namespace="")
WORDS = st.sampled_from(["", "a", "b"])
NAMES = st.sampled_from(["a", "b"])
SCOPES = st.builds(Unread, WORDS, WORDS, WORDS, WORDS, reason=WORDS)
ENTITIES = st.builds(
    lambda kind, namespace, name, part, interval_s: Entity(
        ref=Ref("test", kind, name, namespace), source="k8s", part=part, report_interval_s=interval_s
    ),
    NAMES,
    NAMES,
    NAMES,
    WORDS,
    st.sampled_from([None, None, 86_400.0]),
)
BEATS = st.builds(
    lambda instance, age_s, state, unread: Heartbeat(
        text="",
        service="collector-k8s",
        instance=instance,
        version="1",
        started_at=NOW - timedelta(seconds=age_s),
        state=state,
        source="k8s",
        unread=unread,
    ),
    NAMES,
    st.integers(0, 2),
    st.sampled_from(["in_sync", "degraded", "degraded", "syncing"]),
    st.lists(SCOPES, max_size=3),
)


class Attested(RuleBasedStateMachine):
    """A builder of one source, beside the history of what was unattested."""

    @initialize()
    def start(self) -> None:
        self.now_ns = NOW_NS
        self.reducer = Reducer((), now_ns=NOW_NS)
        self.published: dict[Ref, TopologyEntity] = {}
        self.entities: dict[Ref, Entity] = {}
        self.beats: dict[str, Heartbeat] = {}
        self.stored_ns: dict[str, int] = {}
        """When the heartbeat of each instance was."""
        self.history: list[tuple[int, list[Unread]]] = []
        self.begun_ns: int | None = None
        """Since when the source reads everything for the first time."""

    @rule(beat=BEATS)
    def beat(self, beat: Heartbeat) -> None:
        self.beats[beat.instance], self.stored_ns[beat.instance] = beat, self.now_ns
        self.reducer.heartbeat("test", beat.instance, beat, time_ns=self.now_ns)
        self.note()

    @rule(instance=NAMES)
    def expire(self, instance: str) -> None:
        if self.beats.pop(instance, None) is not None:
            self.reducer.silence("test", "k8s", instance, time_ns=self.now_ns)
            self.note()

    @rule(entity=ENTITIES)
    def upsert(self, entity: Entity) -> None:
        was_empty = self.is_empty
        self.entities[entity.ref] = entity
        self.reducer.upsert(entity, time_ns=self.now_ns)
        self.take() if self.is_empty == was_empty else self.note()

    @rule(entity=ENTITIES)
    def remove(self, entity: Entity) -> None:
        was_empty = self.is_empty
        if self.entities.pop(entity.ref, None) is not None:
            self.reducer.remove(make_removal(entity), time_ns=self.now_ns)
            self.take() if self.is_empty == was_empty else self.note()

    @rule(seconds=st.sampled_from([1, 5, 10, 14, 15, 100]))
    def wait(self, seconds: int) -> None:
        """Heartbeats lose their meaning by age, also while the server drops none."""
        self.now_ns += seconds * SECOND_NS
        self.reducer.tick(self.now_ns)
        old = [each for each in self.beats if self.now_ns - self.stored_ns[each] > HEARTBEAT_TTL_NS]
        for instance in old:
            del self.beats[instance]
        if old:
            self.note()

    @rule()
    def restart(self) -> None:
        """What was stale stays so; what was only about to be begins again."""
        stale, before = self.published.get(SOURCE), self.stale
        self.reducer = Reducer((), now_ns=self.now_ns)
        self.history = [(0, stale.unread if stale is not None else [])]
        for message in self.published.values():
            self.reducer.restore(message)
        for beat in self.beats.values():
            self.stored_ns[beat.instance] = self.now_ns
            self.reducer.heartbeat("test", beat.instance, beat, time_ns=self.now_ns)
        for entity in self.entities.values():
            self.reducer.upsert(entity, time_ns=self.now_ns)
        self.begun_ns = None
        self.history.append((self.now_ns, self.unattested()))
        assert self.take() == 0
        assert self.stale == before

    @invariant()
    def is_the_fold_of_what_came_in(self) -> None:
        self.take()
        expected = {ref for ref, entity in self.entities.items() if self.is_stale(entity)}
        assert self.stale == expected
        source = self.published.get(SOURCE)
        assert (source.unread_entities if source is not None else 0) == len(expected)

    def is_stale(self, entity: Entity) -> bool:
        """The law itself."""
        begin_ns = None
        for time_ns, scopes in reversed(self.history):
            if not any(scope.covers(entity.ref, entity.part) for scope in scopes):
                break
            begin_ns = time_ns
        is_late = begin_ns is not None and self.now_ns - begin_ns >= STALE_AFTER_NS
        return is_late and entity.report_interval_s is None

    def note(self) -> None:
        self.take()
        self.history.append((self.now_ns, self.unattested()))

    @property
    def is_empty(self) -> bool:
        return all(each.report_interval_s is not None for each in self.entities.values())

    def unattested(self) -> list[Unread]:
        attesting = [each for each in self.beats.values() if all(any(scope.place) for scope in each.unattested)]
        if not self.beats:
            return [] if self.is_empty else [Unread()]
        newest = max(attesting or self.beats.values(), key=lambda each: (each.started_at, each.instance))
        if newest.state != "syncing":
            self.begun_ns = None
        elif self.begun_ns is None and self.is_empty and SOURCE not in self.published:
            self.begun_ns = self.now_ns
        is_first_start = self.begun_ns is not None and self.now_ns - self.begun_ns < FIRST_START_NS
        return [] if is_first_start else newest.unattested

    @property
    def stale(self) -> set[Ref]:
        return {ref for ref, sources in stale_of(self.published.values()).items() if sources}

    def take(self) -> int:
        """Publish what differs; returns how many messages that are."""
        count = 0
        for merged in self.reducer.take():
            if merged.entity is None:
                count += self.published.pop(merged.ref, None) is not None
            elif merged.ref not in self.published or not same(self.published[merged.ref], merged.entity):
                self.published[merged.ref] = merged.entity
                count += 1
        return count


Attested.TestCase.settings = settings(stateful_step_count=40)
TestAttested = Attested.TestCase
