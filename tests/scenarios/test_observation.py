"""What is observed: a silent collector, one that is back, messages from another time."""

from datetime import timedelta

import pytest

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import ResourcePulse
from support.story import Story, back, restart_builder, restart_scorer, silent
from support.story_kubernetes import app, node, ready, uses
from support.story_world import CLUSTER, START

pytestmark = pytest.mark.scenarios


@pytest.mark.xfail(reason="every entity of a silent source is an alert of its own")
def test_a_silent_collector_is_one_alert_and_ends_when_it_is_back() -> None:
    story = Story()
    story.at("0s", node(), app("web", ready("web-1"), ready("web-2")))
    story.at("10m", silent("k8s"))
    story.at("20m", back("k8s"))
    (alert,) = story.run("30m").fired
    assert alert.until_s is not None


def test_restarts_of_the_services_raise_nothing_and_end_nothing() -> None:
    story = Story()
    story.at("0s", node(), app("web", ready("web-1"), ready("web-2")))
    for at_s in story.every("3m", since="1m", until="30m"):
        story.at(at_s, restart_builder)
        story.at(at_s + 60, restart_scorer)
    story.expect(until="30m")


def test_a_pulse_from_the_future_hides_none_of_the_later_ones() -> None:
    future = ResourcePulse(
        ref=Ref(CLUSTER, "pod", "web-1", "shop"), source="k8s", timestamp=START + timedelta(hours=5), interval_s=30.0,
        cpu_percent=1.0, memory_bytes=1, memory_limit_bytes=256 * 1024**2,
    )  # fmt: skip
    story = Story()
    story.at("0s", app("web", ready("web-1")), uses("web-1", memory="100Mi"))
    story.at("5m", lambda world: world.pulse(future))
    story.at("10m", uses("web-1", memory="250Mi"))
    assert "KG-101" in {each.check for each in story.run("20m").fired}
