"""The scorer's memory is what the streams hold, so a restart at any moment ends nothing and changes nothing."""

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgents_health_scorer.recurrence import CALM_S
from kgents_health_scorer.reducer import LOST_STAYS
from kgents_shared.contract.entity import Ref, Value
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.unread import Unread
from kgents_shared.contract.vocabulary.attributes import kubernetes, otel
from support.health_inputs import Watch, at, entity, source
from support.restarted import restarted

pytestmark = pytest.mark.property

TICK_S: Final = 10.0
NAMES: Final = ("a", "b")
CLUSTER: Final = Ref("c1", "cluster", "c1")
REASONS: Final = ("", "CrashLoopBackOff", "OOMKilled", "ImagePullBackOff")

names: Final = st.sampled_from(NAMES)
states: Final = st.tuples(
    st.sampled_from(("running", "failed", "pending")), st.sampled_from(REASONS), st.sampled_from(("u1", "u2"))
)
steps: Final = st.lists(
    st.one_of(
        st.tuples(st.just("report"), names, states),
        st.tuples(st.just("restart"), names, st.integers(1, 3)),
        st.tuples(st.sampled_from(("remove", "lose")), names, st.none()),
        st.tuples(st.just("unread"), st.booleans(), st.none()),
        st.tuples(st.just("wait"), st.sampled_from((1.0, 7.0, 20.0, 70.0, 301.0)), st.none()),
    ),
    max_size=20,
)
Step = tuple[str, object, object]


class World:
    """What the topology holds, and scorers that read it: one that never restarts, and one that may."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.scorers = [Watch(), Watch()]
        self._rows: dict[Ref, TopologyEntity] = {}
        self._lost_at_s: dict[Ref, float] = {}
        self.unclear: set[Ref] = set()
        """Lost and reported again about when it goes: one has kept its history, the other found it gone first."""

    def take(self, step: Step) -> None:
        match step:
            case ("wait", float(seconds), _):
                self.wait(seconds)
            case ("unread", bool(is_unread), _):
                self._attest(is_unread=is_unread)
            case ("report", str(name), (str(status), str(reason), str(uid))):
                self._report(name, status, reason, uid, 0)
            case ("restart", str(name), int(more)):
                known = self._rows.get(ref_of(name))
                if known is not None:
                    self._report(name, known.status, known.reason, known.uid, more)
            case (str(what), str(name), _):
                self._take_away(ref_of(name), is_removal=what == "remove")
            case _:
                raise AssertionError(f"unknown step {step}")

    def wait(self, seconds: float) -> None:
        """Time passes, and is checked every TICK_S."""
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.now_s = min(self.now_s + TICK_S, until_s)
            for each in self.scorers:
                each.tick(self.now_s)

    def restart(self) -> None:
        """The second scorer begins with what the streams hold, as a new process."""
        self.scorers[1] = restarted(self.scorers[1], self._rows.values(), at(self.now_s))
        self.scorers[1].published.write(self.scorers[1].scorer.take())

    def _attest(self, *, is_unread: bool) -> None:
        """The source of all entities is unread, since it began to be, or read again."""
        known = self._rows.get(Ref("c1", "source", "k8s"))
        before = known.unread if known is not None else []
        now = before or [Unread(since=at(self.now_s), reason="it hangs")]
        self._put(source(*(now if is_unread else []), at_s=self.now_s))

    def _report(self, name: str, status: str, reason: str, uid: str, more: int) -> None:
        ref = ref_of(name)
        if self.now_s - self._lost_at_s.pop(ref, self.now_s) >= LOST_STAYS.total_seconds() / 2:
            self.unclear |= {ref, CLUSTER}
        before = self._rows.get(ref)
        is_known = before is not None and before.uid == uid
        count = before.attributes[kubernetes.POD_RESTART_COUNT] if before is not None and is_known else 0
        assert isinstance(count, int)
        attributes: dict[str, Value] = {otel.K8S_POD_UID: uid, kubernetes.POD_RESTART_COUNT: count + more}
        self._put(entity(ref, status, reason, uid=uid, sources=["k8s"], attributes=attributes, at_s=self.now_s))

    def _put(self, message: TopologyEntity) -> None:
        self._rows[message.ref] = message
        for each in self.scorers:
            each.entity(message, self.now_s)

    def _take_away(self, ref: Ref, *, is_removal: bool) -> None:
        if self._rows.pop(ref, None) is None:
            return
        if not is_removal:
            self._lost_at_s[ref] = self.now_s
        for each in self.scorers:
            if is_removal:
                each.gone(ref, self.now_s)
            else:
                each.scorer.lose(ref)
                each.published.write(each.scorer.take())


def ref_of(name: str) -> Ref:
    return Ref("c1", "pod", name, "shop")


def entities(watch: Watch) -> set[Ref]:
    """Those with a health. That of a cluster counts what the topology holds: it may go while all of that is lost."""
    return {ref for ref in watch.published.health if ref.kind != "cluster"}


def verdicts(watch: Watch, but: set[Ref]) -> tuple[object, object]:
    """What is published, without since when: a scorer that was not there finds what is lost later."""
    health = {
        ref: (each.level, each.score, sorted(reason.check for reason in each.reasons))
        for ref, each in watch.published.health.items()
        if ref not in but
    }
    alerts = {key: (each.state, each.severity) for key, each in watch.published.alerts.items() if key[0] not in but}
    return health, alerts


@settings(max_examples=100)
@given(steps=steps, restarts=st.sets(st.integers(0, 19)))
def test_a_scorer_that_restarts_at_any_moment_ends_as_one_that_never_did(steps: list[Step], restarts: set[int]) -> None:
    world = World()
    for number, step in enumerate(steps):
        world.take(step)
        if number in restarts:
            before = entities(world.scorers[1])
            world.restart()
            assert before <= entities(world.scorers[1]), "a restart ends nothing"
    world.wait(2 * CALM_S + LOST_STAYS.total_seconds())

    never, often = world.scorers
    assert verdicts(often, world.unclear) == verdicts(never, world.unclear)


@settings(max_examples=50)
@given(steps=steps)
def test_a_restart_while_nothing_changes_publishes_nothing(steps: list[Step]) -> None:
    world = World()
    for step in steps:
        world.take(step)
    world.wait(2 * CALM_S + LOST_STAYS.total_seconds())
    before = verdicts(world.scorers[1], set())
    published = world.scorers[1].published
    rows = ({**published.health}, {**published.alerts})
    world.restart()
    world.wait(TICK_S)

    assert (published.health, published.alerts) == rows
    assert verdicts(world.scorers[1], set()) == before
