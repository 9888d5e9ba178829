"""Docker: what stops by itself, what is stopped, and what is started again and again."""

from itertools import pairwise

import pytest

from support.story import Story, critical, warning
from support.story_docker import container, died, engine_is_down, hangs, removed, stopped, uses

pytestmark = pytest.mark.scenarios

MIB = 1024**2
WEB = "container web"


@pytest.mark.parametrize("exit_code", [0, 137, 143])
@pytest.mark.parametrize("policy", ["no", "always"])
def test_a_container_that_is_stopped_raises_nothing_however_it_ends(exit_code: int, policy: str) -> None:
    story = Story()
    story.at("0s", container("web", policy=policy))
    story.at("10m", stopped("web", exit_code=exit_code, policy=policy))
    story.expect(until="30m")


@pytest.mark.parametrize("exit_code", [0, 1])
def test_a_container_that_is_started_after_a_while_is_not_unknown_until_its_first_sample(exit_code: int) -> None:
    story = Story()
    story.at("0s", container("web", policy="no"))
    story.at("10m", died("web", exit_code=exit_code, policy="no"))
    story.at("20m3s", container("web", policy="no"))
    assert story.run("20m5s").health(WEB).level == "healthy"


def test_compose_recreates_a_container_that_does_not_listen_to_its_signal() -> None:
    story = Story()
    story.at("0s", container("web", policy="no"))
    story.at("10m", stopped("web", exit_code=137, policy="no"))
    story.at("10m2s", removed("web"))
    story.at("10m3s", container("web", policy="no", incarnation=2))
    story.expect(until="30m")


def test_a_container_that_fails_and_is_started_by_hand() -> None:
    story = Story()
    story.at("0s", container("web", policy="no"))
    story.at("10m", died("web", exit_code=1, policy="no"))
    story.at("20m", container("web", policy="no"))
    story.expect(critical("KG-001", WEB, "10m", "20m"), until="30m")


def test_a_container_that_is_killed_from_outside_has_failed() -> None:
    story = Story()
    story.at("0s", container("web", policy="no"))
    story.at("10m", died("web", exit_code=137, policy="no"))
    story.expect(critical("KG-001", WEB, "10m"), until="30m", health="critical")


def test_a_job_that_ends_well_raises_nothing() -> None:
    story = Story()
    story.at("0s", container("backup", policy="no"))
    story.at("10m", died("backup", exit_code=0, policy="no"))
    story.expect(until="2h")


def test_a_crash_loop_of_half_an_hour_is_one_alert_that_ends_after_a_calm() -> None:
    story = Story()
    story.at("0s", container("web"))
    for restarts, at_s in enumerate(story.every("15s", since="10m", until="40m"), start=1):
        story.at(at_s, container("web", "restarting", started="before", ended_s=0, exit_code=1, restarts=restarts))
        story.at(at_s + 7, container("web", ended_s=7, restarts=restarts))
    found = story.run("2h").fired
    assert {(each.check, each.entity) for each in found} == {("KG-020", WEB)}
    assert found[-1].until_s is not None
    assert all(one.until_s == other.since_s for one, other in pairwise(found))  # it only becomes worse


def test_a_container_that_is_killed_for_its_memory_and_restarted_is_one_alert() -> None:
    story = Story()
    story.at("0s", container("web"))
    story.at("10m", died("web", "restarting", exit_code=137, is_out_of_memory=True))
    story.at("10m1s", container("web", restarts=1, ended_s=1))
    found = story.run("1h").fired
    assert {(each.check, each.entity) for each in found} == {("KG-021", WEB)}
    assert found[-1].until_s is not None


def test_a_container_that_fails_its_health_check() -> None:
    story = Story()
    story.at("0s", container("web", health="healthy"))
    story.at("10m", container("web", health="unhealthy", started="before"))
    story.at("20m", container("web", health="healthy", started="before"))
    story.expect(critical("KG-001", WEB, "10m", "20m"), until="30m")


def test_a_container_that_needs_a_minute_to_become_healthy_raises_nothing() -> None:
    story = Story()
    story.at("0s", container("web", health="starting"))
    story.at("1m", container("web", health="healthy", started="before"))
    story.expect(until="30m")


def test_a_container_near_its_memory_limit() -> None:
    story = Story()
    story.at("0s", container("web", memory_limit=100 * MIB))
    story.at("10m", uses("web", memory=90 * MIB))
    story.at("20m", uses("web", memory=50 * MIB))
    story.expect(warning("KG-101", WEB, "10m10s", "20m20s"), until="30m")


def test_a_container_whose_limit_is_full_of_cached_files_raises_nothing() -> None:
    story = Story()
    story.at("0s", container("db", memory_limit=100 * MIB))
    story.at("10m", uses("db", memory=99 * MIB, cache=70 * MIB))
    story.at("20m", uses("db", memory=99 * MIB, cache=2 * MIB))
    story.expect(critical("KG-101", "container db", "20m10s"), until="30m", health="critical")


def test_an_old_container_that_was_killed_before_anyone_observed_it_raises_nothing() -> None:
    story = Story()
    story.at("0s", container("old", "exited", exit_code=137, ended_s=86_400, policy="no"))
    story.expect(until="30m")


def test_a_container_that_hangs_is_unknown_alone_and_fresh_again_at_once() -> None:
    story = Story()
    story.at("0s", container("web"), container("db"))
    story.at("10m", hangs("db"))
    world = story.run("20m")
    assert (world.health("container db").level, world.health(WEB).level) == ("unknown", "healthy")
    story.at("20m", hangs("db", ""))
    world = story.run("21m")
    assert {world.health(f"container {name}").level for name in ("web", "db")} == {"healthy"}
    (alert,) = world.fired
    assert (alert.check, alert.until_s is not None) == ("KG-011", True)


def test_a_stopped_engine_is_one_alert() -> None:
    story = Story()
    story.at("0s", *(container(f"web{number}") for number in range(5)))
    story.at("10m", engine_is_down())
    story.at("20m", engine_is_down(""))
    (alert,) = story.run("30m").fired
    assert (alert.check in ("KG-010", "KG-011"), alert.until_s is not None) == (True, True)


def test_a_container_that_is_killed_from_outside_once_and_restarted_raises_nothing() -> None:
    story = Story()
    story.at("0s", container("web"))
    story.at("10m", died("web", "restarting", exit_code=137))
    story.at("10m1s", container("web", restarts=1, ended_s=1))
    story.expect(until="1h")
