"""What is observed, and what is not: silent collectors, unread scopes, restarts, messages from another time."""

from datetime import timedelta

import pytest
from msgspec import structs

from kgents_shared.contract.entity import Ref
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.unread import Unread
from support.story import Story, back, cannot_read, critical, restart_builder, restart_scorer, silent, warning
from support.story_docker import container
from support.story_kubernetes import app, deleted, node, not_ready, ready, uses
from support.story_world import CLUSTER, START, Step, World

pytestmark = pytest.mark.scenarios

LIMIT = 256 * 1024**2
CONTAINER = Ref(CLUSTER, "container", "web-1/main", "shop")


def sample(at_s: float, memory_bytes: int | None, **fields: object) -> ResourcePulse:
    """A pulse of web-1's container; without memory it is not known."""
    given = ResourcePulse(
        ref=CONTAINER, source="k8s", timestamp=START + timedelta(seconds=at_s), interval_s=30.0, cpu_percent=1.0,
        memory_bytes=memory_bytes, memory_limit_bytes=LIMIT, unread=["memory_bytes"] if memory_bytes is None else [],
    )  # fmt: skip
    return structs.replace(given, **fields)


def sends(pulse: ResourcePulse) -> Step:
    """A pulse is published."""

    def step(world: World) -> None:
        world.pulse(pulse)

    return step


def test_a_silent_collector_is_one_alert_and_ends_when_it_is_back() -> None:
    story = Story()
    story.at("0s", node(), app("web", ready("web-1"), ready("web-2")))
    story.at("10m", silent("k8s"))
    story.at("20m", back("k8s"))
    story.expect(warning("KG-010", "source k8s", "10m30s", "20m"), until="30m")


def test_what_is_known_of_another_source_stays_known_while_one_is_silent() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1")), container("db"))
    story.at("10m", silent("k8s"))
    world = story.run("20m")
    assert world.health("container db").level == "healthy"
    assert world.health("pod shop/web-1").level == "unknown"


def test_a_restart_of_the_collector_within_half_a_minute_raises_nothing() -> None:
    story = Story()
    story.at("0s", node(), app("web", ready("web-1"), ready("web-2")))
    story.at("10m", silent("k8s"))
    story.at("10m20s", back("k8s"))
    story.expect(until="30m")


@pytest.mark.parametrize("restarts", [[], [restart_scorer], [restart_builder, restart_scorer]])
def test_a_failure_stays_critical_while_its_source_is_silent(restarts: list[Step]) -> None:
    story = Story()
    story.at("14m", *restarts)
    story.at("0s", app("web", ready("web-1"), ready("web-2")))
    story.at("5m", app("web", not_ready("web-1"), not_ready("web-2")))
    story.at("10m", silent("k8s"))
    world = story.expect(
        critical("KG-040", "service shop/web", "5m45s"),
        critical("KG-041", "deployment shop/web", "5m45s"),
        warning("KG-010", "source k8s", "10m30s"),
        until="20m",
        health="critical",
    )
    assert world.health("deployment shop/web").level == "critical"


def test_a_kind_that_cannot_be_read_is_unknown_and_no_other() -> None:
    story = Story()
    story.at("0s", node(), app("web", ready("web-1"), ready("web-2")))
    story.at("10m", cannot_read("k8s", Unread(kind="service", reason="services: 403")))
    world = story.run("20m")
    assert world.health("service shop/web").level == "unknown"
    assert {world.health(each).level for each in ("pod shop/web-1", "deployment shop/web", "node node-1")} == {
        "healthy"
    }


def test_a_kind_that_is_read_again_is_known_at_once() -> None:
    story = Story()
    story.at("0s", node(), app("web", ready("web-1"), ready("web-2")))
    story.at("10m", cannot_read("k8s", Unread(kind="service", reason="services: 403")))
    story.at("20m", cannot_read("k8s"))
    world = story.expect(warning("KG-011", "source k8s", "10m15s", "20m"), until="20m10s")
    assert world.health("service shop/web").level == "healthy"


def test_restarts_of_the_services_raise_nothing_and_end_nothing() -> None:
    story = Story()
    story.at("0s", node(), app("web", ready("web-1"), ready("web-2")))
    for at_s in story.every("3m", since="1m", until="30m"):
        story.at(at_s, restart_builder)
        story.at(at_s + 60, restart_scorer)
    story.expect(until="30m")


def test_an_outage_outlives_restarts_of_the_services() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1"), ready("web-2")))
    story.at("10m", app("web", not_ready("web-1"), not_ready("web-2")))
    for at_s in story.every("61s", since="10m20s", until="19m"):
        story.at(at_s, restart_scorer)
        story.at(at_s + 20, restart_builder)
    story.at("20m", app("web", ready("web-1"), ready("web-2")))
    story.expect(
        critical("KG-040", "service shop/web", "10m45s", "20m"),
        critical("KG-041", "deployment shop/web", "10m45s", "20m"),
        until="30m",
    )


def test_an_outage_that_begins_while_the_scorer_is_away_is_critical_within_a_minute() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1"), ready("web-2")), app("api", ready("api-1"), ready("api-2")))
    story.at("9m", app("api", ready("api-1"), not_ready("api-2")))
    outage = [app(name, not_ready(f"{name}-1"), not_ready(f"{name}-2")) for name in ("web", "api")]
    story.at("10m", *outage, restart_scorer)
    story.at("20m", *(app(name, ready(f"{name}-1"), ready(f"{name}-2")) for name in ("web", "api")))
    story.expect(
        *(critical("KG-040", f"service shop/{name}", "10m45s", "20m") for name in ("web", "api")),
        *(critical("KG-041", f"deployment shop/{name}", "10m45s", "20m") for name in ("web", "api")),
        until="30m",
    )


def test_a_container_that_is_killed_for_its_memory_while_the_scorer_is_away_is_an_alert() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1"), ready("web-2")))
    story.at("10m", app("web", ready("web-1", restarts=1, last="OOMKilled"), ready("web-2")), restart_scorer)
    story.expect(warning("KG-021", "pod shop/web-1", "10m", "25m"), until="1h")


def test_a_start_and_a_scale_up_that_begin_while_the_scorer_is_away_raise_nothing() -> None:
    story = Story()
    story.at("0s", app("web", replicas=0))
    story.at("10m", app("web", not_ready("web-1"), is_rolling=True), app("api", not_ready("api-1")), restart_scorer)
    story.at("14m", app("web", ready("web-1")), app("api", ready("api-1")))
    story.expect(until="30m")


def test_a_pulse_from_the_future_hides_none_of_the_later_ones() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1")), uses("web-1", memory="100Mi"))
    story.at("5m", sends(sample(5 * 3600, 1)))
    story.at("10m", uses("web-1", memory="230Mi"))
    story.expect(warning("KG-101", "container shop/web-1/main", "10m30s"), until="20m", health="warning")


def test_pulses_of_the_container_before_say_nothing_of_the_new_one() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1")))
    for at_s in story.every("30s", since="1m", until="10m"):
        story.at(at_s, sends(sample(at_s, LIMIT, uid="another")))
    story.expect(until="20m")


def test_a_figure_that_is_not_known_for_long_is_no_longer_a_finding_but_unknown() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1")))
    for at_s in story.every("30s", since="30s", until="5m"):
        story.at(at_s, sends(sample(at_s, int(0.9 * LIMIT))))
    for at_s in story.every("30s", since="5m", until="20m"):
        story.at(at_s, sends(sample(at_s, None)))
    for at_s in story.every("30s", since="20m", until="30m"):
        story.at(at_s, sends(sample(at_s, LIMIT // 2)))
    story.expect(
        warning("KG-101", "container shop/web-1/main", "1m", "10m"),
        warning("KG-007", "container shop/web-1/main", "10m", "20m"),
        until="30m",
        is_restarted=False,  # until the figure is unknown for long, a restart begins to count again
    )


def test_a_limit_that_is_taken_away_ends_its_finding() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1")))
    for at_s in story.every("30s", since="30s", until="5m"):
        story.at(at_s, sends(sample(at_s, int(0.9 * LIMIT))))
    for at_s in story.every("30s", since="5m", until="10m"):
        story.at(at_s, sends(sample(at_s, int(0.9 * LIMIT), memory_limit_bytes=None)))
    story.expect(warning("KG-101", "container shop/web-1/main", "1m", "5m"), until="10m")


def test_what_is_deleted_leaves_no_alert_behind() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1")), node())
    story.at("10m", node(is_ready=False))
    story.at("20m", deleted("Node", "node-1", ""))
    story.expect(critical("KG-044", "node node-1", "11m", "20m"), until="30m")
