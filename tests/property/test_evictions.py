"""What is planned of an eviction is bounded, and a restart of the scorer at any moment changes nothing of it."""

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from kgents_health_scorer.eviction import AROUND, PLANNED_S
from kgents_shared.contract.entity import Ref, Value
from kgents_shared.contract.topology import ResolvedConnection, TopologyEntity
from kgents_shared.contract.vocabulary.attributes import kubernetes
from support.health_inputs import Watch, at, entity
from support.restarted import restarted

pytestmark = pytest.mark.property

WEB: Final = Ref("c1", "deployment", "web", "shop")
PODS: Final = ("web-1", "web-2")
TICK_S: Final = 5.0
OUT: Final = ("pending", "PodsNotReady")
states: Final = st.sampled_from((("running", ""), OUT, ("pending", "Updating"), ("running", "ScaledToZero")))
steps: Final = st.lists(
    st.one_of(
        st.tuples(st.just("becomes"), states),
        st.tuples(st.sampled_from(("starts", "evicted", "given up", "gone")), st.sampled_from(PODS)),
        st.tuples(st.just("wait"), st.sampled_from((1.0, 20.0, 50.0, 100.0, 310.0))),
    ),
    max_size=8,
)
drains: Final = st.permutations(
    [("evicted", PODS[0]), ("gone", PODS[0]), ("becomes", OUT), ("wait", 1.0), ("wait", 20.0), ("wait", 50.0)]
)
REASONS: Final = {"starts": "", "evicted": "EvictionByEvictionAPI", "given up": "DeletionByTaintManager"}


class World:
    """A Deployment and its pods, and scorers that read them: one that never restarts, and one that may."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.scorers = [Watch(), Watch()]
        self.out_since_s: float | None = None
        self._rows: dict[Ref, TopologyEntity] = {}
        self._put(entity(WEB, sources=["k8s"]))

    def take(self, step: tuple[str, object]) -> None:
        match step:
            case ("wait", float(seconds)):
                self.wait(seconds)
            case ("becomes", (str(status), str(reason))):
                self._put(entity(WEB, status, reason, sources=["k8s"], at_s=self.now_s))
            case ("gone", str(name)):
                if self._rows.pop(ref := Ref("c1", "pod", name, "shop"), None) is not None:
                    for each in self.scorers:
                        each.gone(ref, self.now_s)
            case (str(what), str(name)):
                attributes: dict[str, Value] = {kubernetes.POD_DISRUPTION_REASON: REASONS[what]}
                if what != "starts":
                    attributes[kubernetes.DELETION_GRACE_PERIOD] = 30
                status = "terminating" if what != "starts" else "running"
                ref = Ref("c1", "pod", name, "shop")
                found = entity(ref, status, sources=["k8s"], attributes=attributes, at_s=self.now_s)
                self._put(structs.replace(found, connections=[ResolvedConnection("owns", WEB, "in")]))
            case _:
                raise AssertionError(f"unknown step {step}")

    def wait(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.now_s = min(self.now_s + TICK_S, until_s)
            for each in self.scorers:
                each.tick(self.now_s)

    def restart(self) -> None:
        self.scorers[1] = restarted(self.scorers[1], self._rows.values(), at(self.now_s))
        self.scorers[1].published.write(self.scorers[1].scorer.take())

    def _put(self, message: TopologyEntity) -> None:
        self._rows[message.ref] = message
        for each in self.scorers:
            each.entity(message, self.now_s)


def found(watch: Watch) -> tuple[object, object]:
    health = watch.published.health[WEB]
    alerts = {key: (each.state, each.severity) for key, each in watch.published.alerts.items()}
    return (health.level, [each.check for each in health.reasons]), alerts


@settings(max_examples=150)
@given(before=steps, drain=drains, after=steps, restarts=st.sets(st.integers(0, 20), min_size=1))
def test_a_restart_at_any_moment_changes_nothing(
    before: list[tuple[str, object]],
    drain: list[tuple[str, object]],
    after: list[tuple[str, object]],
    restarts: set[int],
) -> None:
    world = World()
    for number, step in enumerate([*before, ("becomes", ("running", "")), *drain, *after]):
        world.take(step)
        if number in restarts:
            world.restart()
        assert found(world.scorers[1]) == found(world.scorers[0])


@settings(max_examples=100)
@given(before=steps, evictions=st.lists(st.sampled_from(PODS), min_size=1, max_size=3))
def test_whatever_was_evicted_an_outage_is_an_alert_after_five_minutes(
    before: list[tuple[str, object]], evictions: list[str]
) -> None:
    """Also one in which pods go on being evicted."""
    world = World()
    for step in before:
        world.take(step)
    world.take(("becomes", ("running", "")))
    world.take(("becomes", OUT))
    for name in evictions:
        world.take(("evicted", name))
        world.wait(AROUND.total_seconds() * 2)
    world.wait(PLANNED_S - 2 * AROUND.total_seconds() * len(evictions) + TICK_S)
    assert world.scorers[0].published.alerts[WEB, "KG-041"].state == "firing"
