"""Laws of entities that own one another: neither their order nor a restart changes what is found and who alerts."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from kgents_shared.contract.entity import Ref, Value
from kgents_shared.contract.topology import ResolvedConnection, TopologyEntity
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes, otel
from support.health_inputs import Watch, at, entity
from support.restarted import restarted

pytestmark = pytest.mark.property

END_S = 50.0
"""Before anything is found by time alone."""
STATES = (
    ("running", "", "Running"),
    ("running", "NotReady", "Running"),
    ("failed", "CrashLoopBackOff", "Running"),
    ("failed", "ImagePullBackOff", "Pending"),
    ("failed", "Evicted", "Failed"),
    ("succeeded", "", "Succeeded"),
    ("terminating", "", "Running"),
)


def ref(kind: str, name: str) -> Ref:
    return Ref("c1", kind, name, "shop")


def owned(what: TopologyEntity, owner: Ref) -> TopologyEntity:
    return structs.replace(what, connections=[ResolvedConnection(kind=edges.OWNS, peer=owner, direction="in")])


def workload(number: int, desired: int, states: list[tuple[str, str, str]]) -> list[TopologyEntity]:
    """A Deployment, its pods, and their containers in the same state."""
    top = ref(kinds.DEPLOYMENT, f"web{number}")
    counts: dict[str, Value] = {
        kubernetes.DEPLOYMENT_READY_PODS: sum(state == STATES[0] for state in states),
        otel.K8S_DEPLOYMENT_DESIRED_PODS: desired,
    }
    found = [entity(top, attributes=counts)]
    for index, (status, reason, phase) in enumerate(states):
        pod = ref(kinds.POD, f"web{number}-{index}")
        own: dict[str, Value] = {otel.K8S_POD_UID: f"u{number}{index}"}
        found.append(owned(entity(pod, status, reason, attributes={**own, otel.K8S_POD_STATUS_PHASE: phase}), top))
        found.append(owned(entity(ref(kinds.CONTAINER, f"{pod.name}/main"), status, reason, attributes=own), pod))
    return found


def runs(statuses: list[str]) -> list[TopologyEntity]:
    """A CronJob and its Jobs, one an hour."""
    top = ref(kinds.CRONJOB, "backup")
    jobs = [
        owned(structs.replace(entity(ref(kinds.JOB, f"backup-{hour}"), status), created_at=at(hour * 3600)), top)
        for hour, status in enumerate(statuses)
    ]
    return [entity(top), *jobs]


families = st.builds(
    lambda one, other, jobs: [*workload(1, 1, one), *workload(2, 3, other), *runs(jobs)],
    st.lists(st.sampled_from(STATES), max_size=1),
    st.lists(st.sampled_from(STATES), max_size=3),
    st.lists(st.sampled_from(["running", "failed", "succeeded"]), max_size=4),
)


def seen(watch: Watch) -> object:
    """What is found of each, and which alerts fire."""
    found = {row.ref: (row.level, [each.check for each in row.reasons]) for row in watch.published.health.values()}
    firing = {key for key, alert in watch.published.alerts.items() if alert.state == "firing"}
    return found, firing


def play(entities: Iterable[TopologyEntity]) -> Watch:
    watch = Watch()
    for each in entities:
        watch.entity(each)
    watch.tick(END_S)
    return watch


@settings(max_examples=200)
@given(families, st.randoms(use_true_random=False))
def test_order_of_relatives_does_not_matter(family: list[TopologyEntity], order: object) -> None:
    shuffled = [*family]
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert seen(play(shuffled)) == seen(play(family))


@given(families, st.randoms(use_true_random=False))
def test_a_restart_that_reads_relatives_in_another_order_publishes_nothing(
    family: list[TopologyEntity], order: object
) -> None:
    watch = play(family)
    shuffled = [*family]
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    again = restarted(watch, shuffled, at(END_S))
    assert again.published.write(again.scorer.take()) == []


@given(families, st.data())
def test_what_is_gone_is_judged_as_if_it_had_never_been(family: list[TopologyEntity], data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.sampled_from([each.ref for each in family])))
    watch = play(family)
    for each in gone:
        watch.gone(each, END_S)
    watch.tick(END_S)
    assert seen(watch) == seen(play(each for each in family if each.ref not in gone))


@given(families)
def test_no_cause_is_an_alert_of_a_pod_and_of_its_container(family: list[TopologyEntity]) -> None:
    firing = {of for (of, _), alert in play(family).published.alerts.items() if alert.state == "firing"}
    pods = {(each.namespace, each.name) for each in firing if each.kind == kinds.POD}
    assert not {(each.namespace, each.name.partition("/")[0]) for each in firing if each.kind == kinds.CONTAINER} & pods
