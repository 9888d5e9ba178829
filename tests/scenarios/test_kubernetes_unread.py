"""What collector-k8s cannot read, or has not listed yet: a start raises nothing, and the rest stays watched."""

import pytest

from support.k8s_readings import ALL, Readings
from support.story import Story, cannot_read, silent
from support.story_kubernetes import app, node, not_ready, ready
from support.story_world import Step

pytestmark = pytest.mark.scenarios


def reads(*, but: dict[str, str]) -> Step:
    """Heartbeats of a collector that has listed everything but these resources; resource → why not, if it failed."""
    readings = Readings(*ALL)
    readings.list_all(*but)
    for resource, fault in but.items():
        if fault:
            readings[resource].fails(f"{resource}: {fault}")
    readings.scopes.update()
    return cannot_read("k8s", *readings.scopes.unread())


def test_the_first_lists_of_a_restart_raise_nothing() -> None:
    story = Story()
    story.at("0s", node(), app("web", ready("web-1"), ready("web-2")))
    story.at("10m", silent("k8s"))
    story.at("10m10s", reads(but=dict.fromkeys(ALL, "")))
    story.at("10m15s", reads(but={"pods": "", "replicasets": ""}))
    story.at("10m20s", reads(but={}))
    story.expect(until="30m")


def test_refusals_of_an_api_server_that_has_just_started_raise_nothing() -> None:
    story = Story()
    story.at("0s", node(), app("web", ready("web-1"), ready("web-2")))
    for minute in (5, 10, 15):
        story.at(f"{minute}m", reads(but=dict.fromkeys(ALL, "403 Forbidden")))
        story.at(f"{minute}m12s", reads(but={}))
    story.expect(until="30m")


def test_pods_over_a_slow_link_are_one_alert_until_they_are_listed() -> None:
    story = Story()
    story.at("0s", node(), app("web", ready("web-1"), ready("web-2")))
    story.at("10m", silent("k8s"))
    story.at("10m20s", reads(but={"pods": ""}))
    story.at("20m", reads(but={}))
    world = story.run("30m")
    assert [(each.check, each.entity) for each in world.fired] == [("KG-011", "source k8s")]
    assert "pods: not listed yet" in world.fired[0].text
    assert world.fired[0].until_s is not None


@pytest.mark.parametrize("resource", ["endpointslices", "replicasets", "networkpolicies", "nodes"])
def test_a_failure_is_found_while_another_resource_cannot_be_read(resource: str) -> None:
    story = Story()
    story.at("0s", node(), app("web", ready("web-1"), ready("web-2")))
    story.at("5m", reads(but={resource: "403 Forbidden"}))
    story.at("10m", app("web", not_ready("web-1"), not_ready("web-2")))
    world = story.run("20m")
    assert "deployment shop/web" in {each.entity for each in world.fired if each.severity == "critical"}
    assert world.health("pod shop/web-1").level != "unknown"
    assert world.health("deployment shop/web").level == "critical"
