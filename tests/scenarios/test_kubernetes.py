"""Kubernetes, every day: crashes, rollouts, outages."""

import pytest

from support.story import Story, critical, warning
from support.story_kubernetes import (
    app,
    node,
    ready,
    starting,
    terminating,
    unschedulable,
    uses,
)

pytestmark = pytest.mark.scenarios


def test_an_app_at_rest_raises_nothing() -> None:
    story = Story()
    story.at("0s", node(), app("web", ready("web-1"), ready("web-2")))
    story.expect(until="1h")


def test_a_rolling_update_raises_nothing() -> None:
    story = Story()
    old, new = [ready("web-1"), ready("web-2")], [ready(f"web-{n}", revision="b") for n in (3, 4)]
    story.at("0s", app("web", *old))
    story.at("5m", app("web", *old, starting("web-3", revision="b"), replicas=2, revision="b", is_rolling=True))
    story.at("6m", app("web", terminating(old[0]), old[1], new[0], replicas=2, revision="b", is_rolling=True))
    story.at("6m30s", app("web", old[1], *new, replicas=2, revision="b", is_rolling=True))
    story.at("7m", app("web", terminating(old[1]), *new, replicas=2, revision="b", is_rolling=True))
    story.at("7m30s", app("web", *new, revision="b"))
    story.expect(until="1h")


def test_scaling_to_zero_and_back_raises_nothing() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1"), ready("web-2")))
    story.at("10m", app("web", terminating(ready("web-1")), terminating(ready("web-2")), replicas=0))
    story.at("10m30s", app("web", replicas=0))
    story.at("2h", app("web", starting("web-3"), starting("web-4")))
    story.at("2h1m", app("web", ready("web-3"), ready("web-4")))
    story.expect(until="3h")


def test_a_pod_of_several_that_no_node_takes_warns() -> None:
    story = Story()
    rest = [ready(f"web-{n}") for n in range(2, 11)]
    story.at("0s", app("web", unschedulable("web-1"), *rest))
    story.at("30m", app("web", ready("web-1"), *rest))
    story.expect(warning("KG-004", "pod shop/web-1", "5m", "30m"), until="1h")


def test_the_only_pod_that_no_node_takes_warns_and_then_is_critical() -> None:
    story = Story()
    story.at("0s", app("web", unschedulable("web-1")))
    story.at("30m", app("web", ready("web-1")))
    story.expect(
        warning("KG-004", "deployment shop/web", "5m", "15m"),
        critical("KG-004", "deployment shop/web", "15m", "30m"),
        until="1h",
    )


def test_memory_near_its_limit() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1")), uses("web-1", memory="100Mi"))
    story.at("10m", uses("web-1", memory="230Mi"))
    story.at("20m", uses("web-1", memory="100Mi"))
    story.expect(warning("KG-101", "container shop/web-1/main", "10m30s", "21m"), until="1h")
