"""Manifests and the cluster: what is applied late, what is changed by hand, and what cannot be read."""

import copy

import pytest

from kgents_shared.contract.unread import Unread
from support import kube_objects
from support.kube_objects import Json
from support.story import Story, warning
from support.story_kubernetes import applied, deleted, stated
from support.story_world import Step, World

pytestmark = pytest.mark.scenarios

WEB = "deployment shop/web"


def web(image: str = "shop/web:1", replicas: int = 2) -> Json:
    """A Deployment at rest."""
    found = copy.deepcopy(kube_objects.deployment("web", "shop", replicas=replicas)[0])
    found["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return found


def said(world: World) -> object:
    """What its entity says of its drift."""
    return next(each for ref, each in world.topology.items() if str(ref) == WEB).attributes.get("kgents.k8s.drift")


def says(expected: object) -> Step:
    """A step that looks."""

    def step(world: World) -> None:
        assert said(world) == expected, world.now_s

    return step


def unread(*scopes: Unread) -> Step:
    """From now on collector-k8s cannot read these."""

    def step(world: World) -> None:
        world.unread["k8s"] = list(scopes)

    return step


def test_a_rollout_that_follows_its_commit_raises_nothing() -> None:
    """The manifests are ahead for ten minutes, and then the cluster is."""
    story = Story()
    story.at("0s", applied(web()), stated(web()))
    story.at("5m", says("none"))
    story.at("10m", stated(web("shop/web:2")))
    story.at("12m", says(None))
    story.at("20m", applied(web("shop/web:2")))
    story.at("22m", says("none"))
    story.at("1h", applied(web("shop/web:3")))
    story.at("1h10m", stated(web("shop/web:3")))
    story.expect(until="2h")


def test_what_is_changed_by_hand_and_stays_is_drift_until_it_is_undone() -> None:
    story = Story()
    story.at("0s", applied(web()), stated(web()))
    story.at("10m", applied(web("shop/web:9", replicas=3)))
    story.at("40m", says("image main: expected shop/web:1, found shop/web:9; replicas: expected 2, found 3"))
    story.at("1h", applied(web()))
    story.expect(warning("KG-059", WEB, "25m", "1h"), until="2h")


def test_what_is_missing_is_drift_of_the_manifests() -> None:
    story = Story()
    story.at("0s", applied(web(), kube_objects.deployment("other", "shop")[0]), stated(web()))
    story.at("10m", deleted("Deployment", "web"))
    story.at("1h", applied(web()))
    story.expect(warning("KG-059", "manifests deploy", "25m", "1h"), until="2h")


def test_manifests_that_cannot_be_read_neither_begin_drift_nor_end_it() -> None:
    story = Story()
    story.at("0s", applied(web()), stated(web()))
    story.at("10m", stated(fault="expected YAML"), applied(web("shop/web:9")))
    story.at("40m", says(None), stated(web()))
    story.at("1h", says("image main: expected shop/web:1, found shop/web:9"), stated(fault="expected YAML"))
    story.at("1h10m", says(None), applied(web()))
    story.at("2h", says(None), stated(web()))
    story.expect(warning("KG-059", WEB, "55m", "2h"), until="3h")


def test_a_cluster_that_cannot_be_read_has_not_drifted() -> None:
    story = Story()
    story.at("0s", applied(web()), stated(web(), kube_objects.deployment("other", "shop")[0]))
    story.at("5m", unread(Unread(kind="deployment", reason="403 Forbidden")))
    story.at("1h", unread())
    story.expect(
        warning("KG-011", "source k8s", "5m15s", "1h"),
        warning("KG-059", "manifests deploy", "1h15m"),
        until="2h",
        health="warning",
    )
