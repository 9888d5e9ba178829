"""What people are told: what is planned opens no incident, and what is not opens one, also beside what is planned."""

from collections.abc import Callable
from functools import partial

import pytest

from support.story import Story, silent
from support.story_docker import container, died, removed, stopped
from support.story_incidents import causes, incidents, planned, unsilenced
from support.story_kubernetes import (
    app,
    crash_looping,
    daemons,
    deleted,
    drained,
    node,
    not_ready,
    ready,
    starting,
    stateful,
    terminating,
)

pytestmark = pytest.mark.scenarios


def two_nodes() -> Story:
    story = Story()
    story.at("0s", node(), node("node-2"))
    return story


def drain(story: Story) -> None:
    """Node-1 is cordoned, and its pod of web moves; the other pod stays where it is."""
    story.at("0s", app("web", ready("web-1"), ready("web-2", node="node-2")))
    story.at("5m", node(is_cordoned=True))
    moving = starting("web-3", node="node-2")
    story.at("5m10s", app("web", terminating(ready("web-1")), ready("web-2", node="node-2"), moving, replicas=2))
    story.at("5m40s", app("web", ready("web-2", node="node-2"), ready("web-3", node="node-2")))
    story.at("8m", node(is_cordoned=True, is_ready=False))
    story.at("20m", node())


def drain_of_the_only_pod(story: Story) -> None:
    """Its new one takes four minutes to start."""
    story.at("0s", app("web", ready("web-1")))
    story.at("5m", node(is_cordoned=True))
    moving = starting("web-2", node="node-2")
    story.at("5m10s", app("web", drained(ready("web-1")), moving, replicas=1))
    story.at("5m40s", app("web", not_ready("web-2", node="node-2")))
    story.at("9m10s", app("web", ready("web-2", node="node-2")))
    story.at("20m", node())


def rollout(story: Story) -> None:
    """The only pod is replaced, and its image takes four minutes."""
    story.at("0s", app("web", ready("web-1")))
    old, new = terminating(ready("web-1")), starting("web-2", revision="b")
    story.at("5m", app("web", old, replicas=1, revision="b", is_rolling=True))
    story.at("5m30s", app("web", new, replicas=1, revision="b", is_rolling=True))
    story.at("9m30s", app("web", ready("web-2", revision="b"), revision="b"))


def stateful_rollout(story: Story) -> None:
    """Each pod of a StatefulSet takes three minutes to start."""
    first, second = ready("db-0"), ready("db-1")
    rolling = partial(stateful, "db", replicas=2, is_rolling=True)
    story.at("0s", stateful("db", first, second))
    story.at("5m", rolling(first, terminating(second)))
    story.at("6m", rolling(first, starting("db-1")))
    story.at("9m", rolling(terminating(first), second))
    story.at("10m", rolling(starting("db-0"), second))
    story.at("13m", stateful("db", first, second))


def scale_to_zero(story: Story) -> None:
    story.at("0s", app("web", ready("web-1")))
    story.at("5m", app("web", terminating(ready("web-1")), replicas=0))
    story.at("5m30s", app("web", replicas=0))


def autoscaler(story: Story) -> None:
    """A node is taken away: it is not ready for five minutes before it is deleted, and its daemon with it."""
    agents = ready("agent-1"), not_ready("agent-2", node="node-2")
    story.at("0s", daemons("agent", ready("agent-1"), ready("agent-2", node="node-2")))
    story.at("5m", node("node-2", is_cordoned=True))
    story.at("6m", node("node-2", is_cordoned=True, is_ready=False), daemons("agent", *agents))
    story.at("11m", deleted("Node", "node-2", ""), daemons("agent", agents[0]))


def compose(story: Story) -> None:
    """A recreate, between whose halves an image is pulled for two minutes."""
    story.at("0s", container("web", policy="no"))
    story.at("5m", stopped("web", exit_code=137, policy="no"))
    story.at("5m2s", removed("web"))
    story.at("7m", container("web", policy="no", incarnation=2))


PLANNED = [drain, drain_of_the_only_pod, rollout, stateful_rollout, scale_to_zero, autoscaler, compose]


@pytest.mark.parametrize("plan", PLANNED)
def test_what_is_planned_opens_no_incident_and_hides_none(plan: Callable[[Story], None]) -> None:
    """Beside each of them another app begins to crash: that one is an incident, whole and alone."""
    story = two_nodes()
    plan(story)
    story.at("0s", app("api", ready("api-1", node="node-2"), has_service=False))
    for restarts in range(7):
        story.at(360.0 + 60 * restarts, app("api", crash_looping("api-1", 4 + restarts), has_service=False))
    found = incidents(story, until="45m")
    assert causes(found) == ["pod shop/api-1 KG-020"]
    assert {each.ref.name for each in found[0].affected} == {"api", "api-1"}


def test_a_crash_loop_with_its_deployment_and_service_is_one_incident() -> None:
    """Also of an app that has never served, whose Service waits."""
    story = Story()
    story.at("0s", node(), app("web", crash_looping("web-1", 5)))
    assert causes(incidents(story, until="20m")) == ["pod shop/web-1 KG-020"]
    story.at("15m", app("web", replicas=0))
    found = incidents(story, until="45m")
    assert [each.state for each in found] == ["resolved"], "and scaling it to zero ends it"


def test_a_window_silences_what_it_names_and_nothing_else() -> None:
    story = two_nodes()
    story.at("0s", app("web", ready("web-1")), container("db", policy="no"))
    story.at("10m", node("node-2", is_ready=False))
    story.at("12m", died("db", exit_code=1, policy="no"), silent("k8s"))
    for window, told in {
        "node-2": ["container db KG-001", "source k8s KG-010"],
        "node-1": ["container db KG-001", "node node-2 KG-044", "source k8s KG-010"],
    }.items():
        found = incidents(story, planned("5m", "40m", kind="node", name=window), until="30m")
        assert sorted(unsilenced(found)) == told
    found = incidents(story, planned("5m", "20m", kind="node", name="node-2"), until="30m")
    assert "node node-2 KG-044" in unsilenced(found), "what still fires when its window ends is told"


def test_a_maintenance_of_a_node_covers_what_is_unwell_because_of_it_and_nothing_else() -> None:
    """The node is switched off. Of web one pod stays elsewhere and fails by itself; api and its Service go with it."""
    story = two_nodes()
    gone = partial(not_ready, node="node-2")
    story.at("0s", app("api", ready("api-1", node="node-2")), app("web", ready("web-1"), ready("web-2", node="node-2")))
    story.at("0s", daemons("agent", ready("agent-1"), ready("agent-2", node="node-2")))
    story.at("10m", node("node-2", is_cordoned=True, is_ready=False))
    story.at("10m", app("api", gone("api-1")), app("web", ready("web-1"), gone("web-2")))
    story.at("10m", daemons("agent", ready("agent-1"), gone("agent-2")))
    window = planned("5m", "50m", kind="node", name="node-2")
    all_of_it = ["deployment shop/api KG-041", "pod shop/agent-2 KG-043", "pod shop/web-2 KG-043"]
    assert sorted(causes(incidents(story, until="40m"))) == all_of_it
    assert unsilenced(incidents(story, window, until="40m")) == []
    assert sorted(unsilenced(incidents(story, window, until="55m"))) == all_of_it, "when it is over"
    story.at("42m", app("web", not_ready("web-1"), gone("web-2")))
    assert unsilenced(incidents(story, window, until="48m")) == ["pod shop/web-2 KG-043"], "web is down elsewhere, too"


def test_what_is_found_late_of_a_node_that_went_is_part_of_its_incident() -> None:
    """A pod that stays there counts as not ready 14 minutes after its node does."""
    story = two_nodes()
    daemon = {"node": "node-2"}
    story.at("0s", daemons("agent", ready("agent-1"), ready("agent-2", **daemon)))
    story.at("10m", node("node-2", is_ready=False), daemons("agent", ready("agent-1"), not_ready("agent-2", **daemon)))
    [found] = incidents(story, until="40m")
    assert (str(found.root.ref), {each.ref.name for each in found.affected}) == ("node node-2", {"node-2", "agent-2"})
