"""What ends and is started again: one lasting alert while it is not well, and none for what is meant or over."""

import json
from pathlib import Path

import pytest

from support.kube_workloads import cron_job, job
from support.story import Story, critical, restart_builder, restart_scorer, warning
from support.story_kubernetes import (
    NAMESPACE,
    app,
    crash_looping,
    deleted,
    ended,
    evicted,
    finished,
    pod,
    ready,
    stateful,
)

pytestmark = pytest.mark.scenarios

DATA = Path(__file__).parents[1] / "data" / "scenarios"
WEB_1 = "pod shop/web-1"
REST = [ready(f"web-{n}") for n in range(2, 11)]


def crash_loop(story: Story, *, since: str = "5m", until: str = "1h5m", because: str = "Error") -> int:
    """web-1 crashes every two minutes and runs for one of them; returns how often."""
    restarts = 0
    for restarts, at_s in enumerate(story.every("2m", since=since, until=until), start=1):
        story.at(at_s, app("web", crash_looping("web-1", restarts, because=because), *REST))
        story.at(at_s + 60, app("web", ready("web-1", restarts=restarts, last=because), *REST))
    return restarts


def test_a_crash_loop_of_an_hour_is_one_alert_that_ends_after_a_calm() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1"), *REST))
    crash_loop(story)
    story.expect(warning("KG-020", WEB_1, "5m", "1h19m"), until="3h")


def test_a_crash_loop_outlives_restarts_of_the_services() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1"), *REST))
    crash_loop(story)
    for at_s in story.every("7m", since="3m30s", until="2h"):
        story.at(at_s, restart_scorer)
        story.at(at_s + 90, restart_builder)
    story.expect(warning("KG-020", WEB_1, "5m", "1h19m"), until="3h")


def test_the_only_pod_of_a_database_in_a_crash_loop_is_critical() -> None:
    story = Story()
    story.at("0s", stateful("db", ready("db-0")))
    for restarts in range(1, 6):
        story.at(f"{restarts * 4}m", stateful("db", crash_looping("db-0", restarts)))
        story.at(f"{restarts * 4 + 3}m", stateful("db", ready("db-0", restarts=restarts)))
    found = story.run("2h").fired
    assert {("KG-041", "statefulset shop/db"), ("KG-040", "service shop/db")} <= {(e.check, e.entity) for e in found}
    assert [each.check for each in found if each.entity == "pod shop/db-0"][:1] == ["KG-020"]
    assert all(each.until_s is not None for each in found)


def test_an_out_of_memory_kill_every_ten_minutes_is_one_alert() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1"), *REST))
    for restarts in range(1, 7):
        story.at(f"{restarts * 10}m", app("web", ended("web-1", "OOMKilled", 137, restarts=restarts - 1), *REST))
        story.at(f"{restarts * 10}m3s", app("web", ready("web-1", restarts=restarts, last="OOMKilled"), *REST))
    story.expect(warning("KG-021", WEB_1, "10m", "1h15m"), until="3h")


def test_one_restart_after_a_failure_raises_nothing() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1"), *REST))
    story.at("10m", app("web", ended("web-1"), *REST))
    story.at("10m2s", app("web", ready("web-1", restarts=1), *REST))
    story.expect(until="1h")


def test_a_restart_storm_without_any_back_off_is_one_alert() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1"), *REST))
    for restarts in range(1, 9):
        story.at(f"{restarts * 5}m", app("web", ready("web-1", restarts=restarts), *REST))
    found = story.run("3h").fired
    assert {(each.check, each.entity) for each in found} == {("KG-020", WEB_1)}
    assert [each.until_s is not None for each in found] == [True] * len(found)
    assert found[0].since_s == 15 * 60


def test_an_image_that_cannot_be_pulled_is_one_alert() -> None:
    waiting = pod("web-1", {"waiting": {"reason": "ImagePullBackOff"}}, phase="Pending")
    story = Story()
    story.at("0s", app("web", ready("web-1"), *REST))
    story.at("10m", app("web", waiting, *REST))
    story.at("40m", app("web", ready("web-1"), *REST))
    story.expect(warning("KG-002", WEB_1, "10m", "40m"), until="1h")


# Tombstones


def test_evicted_pods_of_a_complete_app_raise_nothing() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1"), ready("web-2")))
    story.at("10m", app("web", evicted("web-1"), ready("web-2"), ready("web-3"), replicas=2))
    story.expect(until="2h")


def test_the_failed_first_try_of_a_job_that_completed_raises_nothing() -> None:
    top = job("report", NAMESPACE)
    story = Story()
    story.at("0s", top, finished("report-1", has_failed=True, owner=top))
    story.at("1m", finished("report-2", owner=top))
    story.expect(until="2h")


def test_a_job_that_failed_for_good_is_critical_until_it_is_deleted() -> None:
    top = job("report", NAMESPACE, has_failed=True)
    story = Story()
    story.at("10m", top, finished("report-1", has_failed=True, owner=top))
    story.at("1h", deleted("Job", "report"), deleted("Pod", "report-1"))
    story.at("1h", app("web", ready("web-1")))
    story.expect(critical("KG-001", "job shop/report", "10m", "1h"), until="2h")


def test_the_failed_run_of_a_cronjob_is_over_with_the_next_good_one() -> None:
    top = cron_job("nightly", NAMESPACE, schedule="0 0 1 1 *")
    story = Story()
    story.at("0s", top)
    story.at("10m", job("nightly-1", NAMESPACE, owner=top, has_failed=True))
    story.at("20m", job("nightly-2", NAMESPACE, owner=top))
    story.expect(warning("KG-022", "cronjob shop/nightly", "10m", "20m"), until="2h")


def test_a_sidecar_that_was_killed_when_its_job_completed_raises_nothing() -> None:
    story = Story()
    story.at("10m", json.loads((DATA / "completed-job-sidecar-137.json").read_text()))
    story.expect(until="1h")
