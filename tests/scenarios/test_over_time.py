"""State over time: what fails again and again is one alert, and what was replaced or stopped on purpose is none."""

from typing import Any

import pytest

from support import kube_workloads
from support.kube_objects import Json, pod_spec
from support.story import Story, critical, restart_scorer, warning
from support.story_docker import container, removed
from support.story_kubernetes import (
    NAMESPACE,
    app,
    crash_looping,
    deleted,
    ended,
    evicted,
    finished,
    node,
    ready,
    starting,
    terminating,
)
from support.story_world import World

pytestmark = pytest.mark.scenarios

WEB = "pod shop/web-1"


def others(number: int = 9) -> list[Json]:
    return [ready(f"web-{each}") for each in range(2, 2 + number)]


def running_job(name: str, *, failed: int = 0, owner: Json | None = None) -> Json:
    found = kube_workloads.job(name, NAMESPACE, owner=owner)
    found["status"] = {"startTime": found["status"]["startTime"], "active": 1, "failed": failed}
    return found


def health(world: World, entity: str) -> str:
    return world.health(entity).level


# Crashes


@pytest.mark.parametrize("is_scorer_restarted", [False, True])
def test_a_crash_loop_of_the_only_pod_is_one_critical_alert(is_scorer_restarted: bool) -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1")))
    for restarts, at_s in enumerate(story.every("5m", since="5m", until="1h5m"), start=1):
        story.at(at_s - 1, app("web", ended("web-1", restarts=restarts - 1)))
        story.at(at_s, app("web", crash_looping("web-1", restarts)))
        story.at(at_s + 280, app("web", ready("web-1", restarts=restarts)))
        if is_scorer_restarted:
            story.at(at_s + 7, restart_scorer)
            story.at(at_s + 285, restart_scorer)
    # The last run begins at 1h4m40s.
    world = story.run("2h")
    of_pod = [each for each in world.fired if each.entity == WEB]
    assert [(each.check, each.severity) for each in of_pod] == [("KG-020", "critical")]
    assert "restarted" in of_pod[0].text
    assert of_pod[0].until_s == pytest.approx(64 * 60 + 40 + 900, abs=15)
    assert health(world, "cluster c1") == "healthy"


def test_one_crashing_pod_of_ten_degrades_its_workload_and_is_no_critical_alert() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1"), *others()))
    story.at("5m", app("web", crash_looping("web-1", 1), *others()))
    world = story.run("20m")
    assert [(each.check, each.entity, each.severity) for each in world.fired] == [("KG-020", WEB, "warning")]
    assert world.health("deployment shop/web").text == "Warning: deployment shop/web is degraded: 9 of 10 ready."
    assert world.health("service shop/web").text == "service shop/web is healthy, 9 of 10 ready"
    assert health(world, "cluster c1") == "warning"


def test_an_oom_kill_every_ten_minutes_is_one_alert_that_becomes_critical() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1")))
    for kill, at_s in enumerate(story.every("10m", since="10m", until="2h10m"), start=1):
        story.at(at_s, app("web", ended("web-1", "OOMKilled", 137, restarts=kill - 1, last="OOMKilled")))
        story.at(at_s + 1, app("web", ready("web-1", restarts=kill, last="OOMKilled")))
    story.expect(warning("KG-021", WEB, "10m", "30m"), critical("KG-021", WEB, "30m", "2h15m"), until="3h")


def test_restarts_by_a_liveness_probe_are_one_alert_from_the_third_on() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1"), *others()))
    for restarts, at_s in enumerate(story.every("8m", since="10m", until="1h10m"), start=1):
        story.at(at_s, app("web", ready("web-1", restarts=restarts, last="Error"), *others()))
    story.expect(warning("KG-020", WEB, "26m", "1h21m"), until="2h")


def test_two_restarts_until_a_dependency_is_there_raise_nothing() -> None:
    story = Story()
    story.at("0s", app("web", starting("web-1")))
    for restarts in (0, 1):
        story.at(30.0 + restarts * 20, app("web", ended("web-1", restarts=restarts)))
        story.at(31.0 + restarts * 20, app("web", ready("web-1", restarts=restarts + 1)))
    story.expect(until="1h")


def test_a_rollout_that_fixes_a_crash_loop_ends_its_alert_at_once() -> None:
    story = Story()
    broken = crash_looping("web-1", 7)
    story.at("0s", app("web", ready("web-1"), *others()))
    story.at("5m", app("web", broken, *others()))
    story.at("20m", app("web", terminating(broken), *others(), ready("web-11", revision="b"), replicas=10))
    story.at("20m30s", app("web", *others(), ready("web-11", revision="b"), replicas=10))
    story.expect(warning("KG-020", WEB, "5m", "20m"), until="1h")


# What is planned


def test_a_drain_raises_nothing() -> None:
    story = Story()
    old = [ready("web-1"), ready("web-2")]
    new = [ready("web-3", node="node-2"), ready("web-4", node="node-2")]
    story.at("0s", node(), node("node-2"), app("web", *old))
    story.at("5m", node(is_cordoned=True))
    story.at("5m10s", app("web", terminating(old[0]), old[1], starting("web-3", node="node-2"), replicas=2))
    story.at("5m40s", app("web", terminating(old[1]), new[0], starting("web-4", node="node-2"), replicas=2))
    story.at("6m10s", app("web", *new))
    story.at("20m", deleted("Node", "node-1", ""))
    story.expect(until="1h")


@pytest.mark.parametrize("exit_code", [137, 143])
def test_a_pod_that_is_deleted_and_ends_by_the_signal_raises_nothing(exit_code: int) -> None:
    story = Story()
    bare = ready("once")
    story.at("0s", bare)
    story.at("5m", terminating(bare))
    story.at("5m20s", terminating(ended("once", "Error", exit_code, phase="Failed")))
    story.at("5m25s", deleted("Pod", "once"))
    story.at("10m", ready("other"))
    story.expect(until="20m")


# What was replaced


def test_a_job_that_completes_at_its_second_try_raises_nothing() -> None:
    story = Story()
    job = running_job("migrate")
    first = finished("migrate-1", has_failed=True, owner=job)
    story.at("0s", job, ready("migrate-1", owner=job))
    story.at("1m", first, running_job("migrate", failed=1))
    story.at("2m", ready("migrate-2", owner=job))
    story.at("3m", finished("migrate-2", owner=job), kube_workloads.job("migrate", NAMESPACE))
    world = story.expect(until="1h")
    assert world.health("pod shop/migrate-1").text == "pod shop/migrate-1 is healthy (failed, which does not count now)"
    assert health(world, "container shop/migrate-1/main") == "healthy"


def test_a_job_that_gives_up_is_one_alert() -> None:
    story = Story()
    job = running_job("migrate")
    story.at("0s", job, ready("migrate-1", owner=job))
    story.at("1m", finished("migrate-1", has_failed=True, owner=job))
    story.at("1m", kube_workloads.job("migrate", NAMESPACE, has_failed=True))
    story.expect(critical("KG-001", "job shop/migrate", "1m"), until="1h", health="critical")


def test_a_failed_run_of_a_cronjob_is_its_alert_until_a_run_completes() -> None:
    story = Story()
    cron = kube_workloads.cron_job("backup", NAMESPACE, schedule="0 * * * *")

    def run(number: int, *, has_failed: bool) -> list[Json]:
        job = kube_workloads.job(f"backup-{number}", NAMESPACE, has_failed=has_failed, owner=cron)
        return [job, finished(f"backup-{number}-x", has_failed=has_failed, owner=job)]

    story.at("0s", cron, *run(1, has_failed=False))
    story.at("1h", *run(2, has_failed=True))
    story.at("2h", *run(3, has_failed=True))
    story.at("3h", *run(4, has_failed=False))
    world = story.run("6h")
    of_runs = [each for each in world.fired if each.check in ("KG-001", "KG-022")]
    assert [(each.check, each.entity, each.severity) for each in of_runs] == [
        ("KG-022", "cronjob shop/backup", "warning")
    ]
    assert of_runs[0].since_s == pytest.approx(3_600, abs=15)
    assert of_runs[0].until_s == pytest.approx(10_800, abs=15)
    assert {health(world, f"job shop/backup-{number}") for number in (1, 2, 3, 4)} == {"healthy"}


def test_evicted_pods_of_a_complete_deployment_raise_nothing() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1"), ready("web-2")))
    story.at("5m", app("web", evicted("web-1"), ready("web-2"), starting("web-3"), replicas=2))
    story.at("6m", app("web", evicted("web-1"), ready("web-2"), ready("web-3"), replicas=2))
    story.expect(until="1h")


def test_a_sidecar_that_was_killed_when_its_job_completed_raises_nothing() -> None:
    story = Story()
    job = kube_workloads.job("report", NAMESPACE)
    sidecar: Json = {"name": "proxy", "image": "registry.example/proxy:1", "restartPolicy": "Always"}
    pod = finished("report-1", owner=job)
    pod["spec"] = pod_spec(restartPolicy="Never", initContainers=[sidecar], nodeName="node-1")
    killed = {"reason": "Error", "exitCode": 137, "startedAt": None, "finishedAt": None}
    pod["status"]["initContainerStatuses"] = [
        {"name": "proxy", "ready": False, "started": False, "restartCount": 0, "image": "", "imageID": "",
         "state": {"terminated": killed}}
    ]  # fmt: skip
    story.at("0s", job, pod)
    story.expect(until="1h")


# Docker


def test_a_docker_container_that_is_restarted_every_15_s_is_one_alert() -> None:
    story = Story()
    story.at("0s", container("web"))
    for restarts, at_s in enumerate(story.every("15s", since="5m", until="35m"), start=1):
        story.at(at_s, container("web", "restarting", started="before", ended_s=0, exit_code=1, restarts=restarts - 1))
        story.at(at_s + 2, container("web", restarts=restarts, ended_s=2))
    (*_, alert) = fired = story.run("2h").fired
    assert {(each.check, each.entity) for each in fired} == {("KG-020", "container web")}
    assert len(fired) <= 2  # it may become critical
    assert alert.severity == "critical"
    assert "last exit 1" in alert.text
    assert alert.until_s == pytest.approx(34 * 60 + 47 + 900, abs=30)


def test_a_compose_recreate_raises_nothing() -> None:
    story = Story()
    labels: dict[str, Any] = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
    story.at("0s", container("web", labels=labels))
    story.at("5m", container("web", "exited", started="before", ended_s=0, exit_code=143, labels=labels))
    story.at("5m2s", removed("web"))
    story.at("5m3s", container("web", incarnation=2, labels=labels))
    story.expect(until="30m")
