"""The only pod is evicted on purpose: no alert for five minutes, and after these it is the outage that it is."""

import pytest

from kgents_shared.contract.unread import Unread
from support.kube_objects import Json
from support.story import Story, cannot_read, critical
from support.story_kubernetes import (
    app,
    crash_looping,
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

WEB, SERVICE = "deployment shop/web", "service shop/web"


def drain(*, old: Json, new: Json, is_cordoned: bool = True) -> Story:
    """At 10m the only pod of web is evicted, at 10m30s it is gone; the new one gets no further."""
    story = Story()
    story.at("0s", node(), node("node-2"), app("web", ready("web-1")))
    story.at("9m50s", node(is_cordoned=is_cordoned))
    story.at("10m", app("web", old, starting("web-2", node="node-2"), replicas=1))
    story.at("10m30s", app("web", new))
    return story


MOVED = drained(ready("web-1"))
UP, DOWN = ready("web-2", node="node-2"), not_ready("web-2", node="node-2")


@pytest.mark.parametrize("old", [MOVED, terminating(ready("web-1"))], ids=["evicted", "deleted from a cordoned node"])
def test_the_only_pod_that_moves_within_five_minutes_raises_nothing_and_is_not_called_healthy(old: Json) -> None:
    story = drain(old=old, new=DOWN)
    world = story.run("12m")
    assert [each.check for each in world.health(WEB).reasons] == ["KG-058"]
    assert world.health(SERVICE).level == "warning", "nothing behind it answers"
    story.at("14m50s", app("web", UP))
    story.at("30m", node())
    story.expect(until="1h")


def test_what_has_not_come_back_in_five_minutes_is_down() -> None:
    story = drain(old=MOVED, new=DOWN)
    story.at("40m", app("web", UP))
    story.expect(critical("KG-041", WEB, "15m", "40m"), critical("KG-040", SERVICE, "15m30s", "40m"), until="1h")


@pytest.mark.parametrize("because", ["DeletionByTaintManager", "PreemptionByScheduler"])
def test_a_pod_that_the_cluster_gives_up_is_no_planned_eviction(because: str) -> None:
    """Though its node is cordoned, too."""
    story = drain(old=drained(ready("web-1"), because), new=DOWN)
    story.at("14m", app("web", UP))
    story.expect(critical("KG-041", WEB, "10m45s", "14m"), critical("KG-040", SERVICE, "11m15s", "14m"), until="1h")


def test_a_pod_that_is_deleted_from_a_node_in_service_is_no_planned_eviction() -> None:
    story = drain(old=terminating(ready("web-1")), new=DOWN, is_cordoned=False)
    story.at("12m", app("web", UP))
    story.expect(critical("KG-041", WEB, "10m45s", "12m"), critical("KG-040", SERVICE, "11m15s", "12m"), until="1h")


def test_a_drain_neither_ends_an_outage_nor_hides_the_next_one() -> None:
    story = Story()
    story.at("0s", node(), node("node-2"), app("web", ready("web-1"), has_service=False))
    story.at("5m", app("web", not_ready("web-1"), has_service=False))
    story.at("9m50s", node(is_cordoned=True))
    old = drained(not_ready("web-1"))
    story.at("10m", app("web", old, starting("web-2", node="node-2"), replicas=1, has_service=False))
    story.at("10m30s", app("web", UP, has_service=False))
    story.at("12m", app("web", DOWN, has_service=False))
    story.at("13m", app("web", UP, has_service=False))
    story.expect(critical("KG-041", WEB, "5m45s", "10m30s"), critical("KG-041", WEB, "12m45s", "13m"), until="1h")


def test_a_pod_that_crashes_while_another_is_moved_is_no_part_of_the_plan() -> None:
    """Neither for the workload nor for its Service, which serves until the pod that moves is gone."""
    story = Story()
    stays = ready("web-9", node="node-2")
    story.at("0s", node(), node("node-2"), app("web", ready("web-1"), stays))
    story.at("9m50s", node(is_cordoned=True))
    broken, new = crash_looping("web-9", 5, node="node-2"), starting("web-2", node="node-2")
    story.at("10m", app("web", MOVED, broken, new, replicas=2))
    story.at("10m30s", app("web", broken, new, replicas=2))
    story.at("12m", app("web", broken, UP))
    since_s = {each.check: each.since_s for each in story.run("15m").fired if each.entity in (WEB, SERVICE)}
    assert since_s == pytest.approx({"KG-041": 645, "KG-040": 675}, abs=10)


def test_while_pods_cannot_be_read_the_five_minutes_go_on() -> None:
    """Only the eviction is not seen any more; the workload is."""
    story = drain(old=MOVED, new=DOWN)
    story.at("11m", cannot_read("k8s", Unread(kind="pod", reason="Forbidden")))
    fired = story.run("30m").fired
    [down] = [each for each in fired if each.entity == WEB]
    assert down.check == "KG-041"
    assert down.since_s == pytest.approx(900, abs=10)


def test_a_database_that_serves_until_the_end_of_its_grace_period_has_five_minutes_from_then_on() -> None:
    story = Story()
    story.at("0s", node(), node("node-2"), stateful("db", ready("db-0")))
    going = drained(ready("db-0"))
    going["metadata"]["deletionGracePeriodSeconds"] = 600
    story.at("10m", stateful("db", going, replicas=1))
    story.at("19m30s", stateful("db", drained(not_ready("db-0")), replicas=1))
    story.at("20m", stateful("db", not_ready("db-0", node="node-2")))
    story.at("24m", stateful("db", ready("db-0", node="node-2")))
    story.at("30m", deleted("Node", "node-1", ""))
    story.expect(until="1h")
