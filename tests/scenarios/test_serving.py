"""Does Kubernetes serve? Outages are critical within a minute, and planned changes that resemble them raise nothing."""

import pytest

from support import kube_objects
from support.kube_objects import Json
from support.kube_workloads import cron_job, job
from support.story import Story, critical, warning
from support.story_kubernetes import (
    NAMESPACE,
    app,
    daemons,
    endpoints,
    finished,
    node,
    not_ready,
    ready,
    starting,
    stateful,
    terminating,
)

pytestmark = pytest.mark.scenarios

WEB, SERVICE = "deployment shop/web", "service shop/web"


def test_a_total_outage_is_critical_within_a_minute() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1"), ready("web-2")))
    story.at("10m", app("web", not_ready("web-1"), not_ready("web-2")))
    story.at("20m", app("web", ready("web-1"), ready("web-2")))
    story.expect(critical("KG-040", SERVICE, "10m45s", "20m"), critical("KG-041", WEB, "10m45s", "20m"), until="1h")


def test_an_outage_of_hours_is_no_alert_of_each_pod() -> None:
    story = Story()
    names = [f"web-{n}" for n in range(10)]
    story.at("0s", app("web", *map(ready, names)))
    story.at("10m", app("web", *map(not_ready, names)))
    story.expect(
        critical("KG-040", SERVICE, "10m45s"), critical("KG-041", WEB, "10m45s"), until="90m", health="critical"
    )


def test_a_new_app_that_never_becomes_ready_is_critical_in_the_end() -> None:
    story = Story()
    story.at("0s", app("web", not_ready("web-1"), not_ready("web-2"), not_ready("web-3"), is_rolling=True))
    story.expect(
        warning("KG-004", WEB, "5m", "15m"),
        critical("KG-004", WEB, "15m"),
        warning("KG-004", SERVICE, "5m", "15m"),
        critical("KG-004", SERVICE, "15m"),
        until="1h",
        health="critical",
    )


def test_one_of_ten_that_is_not_ready_warns_and_its_workload_says_nine_of_ten() -> None:
    story = Story()
    rest = [ready(f"web-{n}") for n in range(2, 11)]
    story.at("0s", app("web", ready("web-1"), *rest))
    story.at("10m", app("web", not_ready("web-1"), *rest))
    world = story.expect(warning("KG-043", "pod shop/web-1", "25m"), until="1h", health="warning")
    assert "9 of 10 ready" in world.health(WEB).text


def test_a_new_app_that_takes_three_minutes_to_start_raises_nothing() -> None:
    story = Story()
    story.at("0s", app("web", starting("web-1"), starting("web-2"), is_rolling=True))
    story.at("2m", app("web", not_ready("web-1"), not_ready("web-2"), is_rolling=True))
    story.at("3m", app("web", ready("web-1"), ready("web-2")))
    story.expect(until="30m")


def test_an_update_that_replaces_all_pods_at_once_raises_nothing() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1"), ready("web-2")))
    old = [terminating(ready(f"web-{n}")) for n in (1, 2)]
    story.at("10m", app("web", *old, replicas=2, revision="b", is_rolling=True))
    story.at("10m30s", app("web", replicas=2, revision="b", is_rolling=True))
    new = [starting(f"web-{n}", revision="b") for n in (3, 4)]
    story.at("10m31s", app("web", *new, revision="b", is_rolling=True))
    new = [not_ready(f"web-{n}", revision="b") for n in (3, 4)]
    story.at("11m", app("web", *new, revision="b", is_rolling=True))
    new = [ready(f"web-{n}", revision="b") for n in (3, 4)]
    story.at("13m", app("web", *new, revision="b"))
    story.expect(until="1h")


def test_an_update_of_which_only_the_new_pods_are_seen_raises_nothing() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1"), ready("web-2")))
    new = [not_ready(f"web-{n}", revision="b") for n in (3, 4)]
    story.at("10m", app("web", *new, revision="b", is_rolling=True, has_service=False))
    story.at("13m", app("web", *(ready(f"web-{n}", revision="b") for n in (3, 4)), revision="b", has_service=False))
    story.expect(until="1h")


def test_a_single_database_that_is_updated_raises_nothing() -> None:
    story = Story()
    story.at("0s", stateful("db", ready("db-0")))
    story.at("10m", stateful("db", terminating(ready("db-0")), replicas=1, is_rolling=True))
    story.at("10m30s", stateful("db", replicas=1, is_rolling=True))
    story.at("10m31s", stateful("db", starting("db-0"), is_rolling=True))
    story.at("11m", stateful("db", not_ready("db-0"), is_rolling=True))
    story.at("13m", stateful("db", ready("db-0")))
    story.expect(until="1h")


def test_a_single_database_that_fails_its_probe_is_down() -> None:
    story = Story()
    story.at("0s", stateful("db", ready("db-0")))
    story.at("10m", stateful("db", not_ready("db-0")))
    story.expect(
        critical("KG-040", "service shop/db", "10m45s"),
        critical("KG-041", "statefulset shop/db", "10m45s"),
        until="20m",
        health="critical",
    )


def test_scaling_to_zero_during_an_outage_ends_it() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1")))
    story.at("10m", app("web", not_ready("web-1")))
    story.at("15m", app("web", terminating(not_ready("web-1")), replicas=0))
    story.at("15m30s", app("web", replicas=0))
    story.expect(critical("KG-040", SERVICE, "10m45s", "15m30s"), critical("KG-041", WEB, "10m45s", "15m"), until="1h")


def test_a_quota_that_refuses_some_pods_warns() -> None:
    def refused() -> Json:
        found = kube_objects.deployment("web", NAMESPACE, replicas=3)[0]
        counts = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
        failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}
        found["status"] |= {**counts, "conditions": [*found["status"]["conditions"], failure]}
        return found

    story = Story()
    story.at("0s", kube_objects.deployment("web", NAMESPACE, replicas=3)[0])
    story.at("10m", refused())
    story.at("30m", kube_objects.deployment("web", NAMESPACE, replicas=3)[0])
    story.expect(warning("KG-053", WEB, "15m", "30m"), until="1h")


def test_a_rollout_that_is_stuck_warns_while_the_old_pods_serve() -> None:
    story = Story()
    old = [ready("web-1"), ready("web-2")]
    story.at("0s", app("web", *old))
    bad = not_ready("web-3", revision="b")
    story.at("10m", app("web", *old, bad, replicas=2, revision="b", is_rolling=True))
    story.at("20m", app("web", *old, bad, replicas=2, revision="b", is_rolling=True, is_over_deadline=True))
    story.at("40m", app("web", *old))
    story.expect(warning("KG-052", WEB, "20m", "40m"), warning("KG-043", "pod shop/web-3", "25m", "40m"), until="1h")


def test_a_service_whose_selector_matches_nothing_warns_after_an_hour() -> None:
    story = Story()
    story.at("0s", *endpoints("web", []))
    story.at("3h", app("web", ready("web-1")))
    story.expect(warning("KG-042", SERVICE, "1h", "3h"), until="4h")


def test_a_service_of_what_is_scaled_to_zero_raises_nothing() -> None:
    story = Story()
    story.at("0s", app("web", replicas=0))
    story.expect(until="4h")


def test_a_service_says_how_many_of_its_endpoints_are_ready() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1"), ready("web-2"), not_ready("web-3")))
    assert "2 of 3 ready" in story.run("1m").health(SERVICE).text


# Nodes


def test_a_node_that_is_lost_is_critical_after_a_minute() -> None:
    story = Story()
    story.at("0s", node())
    story.at("10m", node(is_ready=False))
    story.at("20m", node())
    story.expect(critical("KG-044", "node node-1", "11m", "20m"), until="1h")


def test_a_node_that_is_drained_rebooted_and_put_back_raises_nothing() -> None:
    story = Story()
    story.at("0s", node(), app("web", ready("web-1"), ready("web-2")))
    story.at("10m", node(is_cordoned=True))
    story.at("10m10s", app("web", terminating(ready("web-1")), ready("web-2"), starting("web-3"), replicas=2))
    story.at("10m40s", app("web", ready("web-2"), ready("web-3")))
    story.at("12m", node(is_ready=False, is_cordoned=True))
    story.at("20m", node(is_cordoned=True))
    story.at("21m", node())
    story.expect(until="1h")


@pytest.mark.parametrize(
    ("pressure", "check"), [("DiskPressure", "KG-046"), ("MemoryPressure", "KG-047"), ("PIDPressure", "KG-048")]
)
def test_a_node_under_pressure_warns_and_is_critical_in_the_end(pressure: str, check: str) -> None:
    story = Story()
    story.at("0s", node())
    story.at("10m", node(pressure=pressure))
    story.at("40m", node())
    story.expect(warning(check, "node node-1", "11m", "25m"), critical(check, "node node-1", "25m", "40m"), until="1h")


def test_a_daemon_that_is_down_on_all_nodes_is_an_outage() -> None:
    story = Story()
    story.at("0s", daemons("agent", ready("agent-1"), ready("agent-2")))
    story.at("10m", daemons("agent", not_ready("agent-1"), not_ready("agent-2")))
    story.at("14m", daemons("agent", ready("agent-1"), ready("agent-2")))
    story.expect(critical("KG-041", "daemonset shop/agent", "10m45s", "14m"), until="30m")


# What ends, and what should begin


def test_a_pod_that_does_not_end_warns_ten_minutes_after_its_grace_period() -> None:
    story = Story()
    story.at("0s", app("web", ready("web-1"), ready("web-2")))
    story.at("10m", app("web", terminating(ready("web-1")), ready("web-2"), ready("web-3"), replicas=2))
    story.at("2h", app("web", ready("web-2"), ready("web-3")))
    story.expect(warning("KG-050", "pod shop/web-1", "20m30s", "2h"), until="3h")


def nightly(last: str | None, *, schedule: str = "0 * * * *", **spec: object) -> Json:
    """A CronJob whose last run was due at this time of the first day."""
    found = cron_job("nightly", NAMESPACE, schedule=schedule)
    found["spec"] |= spec
    found["status"] = {"lastScheduleTime": f"2026-01-01T{last}:00Z"} if last else {}
    return found


def test_a_cronjob_that_runs_every_hour_raises_nothing_between_its_runs() -> None:
    story = Story()
    story.at("0s", nightly(None))
    for hour in range(1, 6):
        name = f"nightly-{hour}"
        story.at(hour * 3600 + 2, nightly(f"{hour:02}:00"), job(name, NAMESPACE, owner=nightly(None)))
    story.expect(until="5h30m")


def test_a_cronjob_that_does_not_run_has_missed_its_schedule_until_it_runs() -> None:
    story = Story()
    story.at("0s", nightly(None))
    story.at("1h2s", nightly("01:00"))
    story.at("2h", nightly("01:00", concurrencyPolicy="Replace"))  # it is judged in the moment that it is due
    story.at("3h30m", nightly("03:00"))
    story.expect(warning("KG-051", "cronjob shop/nightly", "2h5m", "3h30m"), until="3h50m")


def test_a_cronjob_that_is_suspended_misses_nothing_nor_does_it_when_it_is_resumed() -> None:
    story = Story()
    story.at("0s", nightly(None))
    story.at("30m", nightly(None, suspend=True))
    story.at("10h30m", nightly(None))
    story.at("10h30m2s", nightly("10:00"))
    story.expect(until="10h50m")


def test_a_cronjob_that_waits_for_its_last_job_misses_nothing() -> None:
    running = nightly("01:00")
    running["status"]["active"] = [{"kind": "Job", "name": "nightly-1"}]
    story = Story()
    story.at("0s", nightly(None))
    story.at("1h2s", running)
    story.at("3h30m", nightly("01:00"))
    story.at("3h30m2s", nightly("03:00"))
    story.expect(until="3h50m")


def test_a_job_that_needs_two_tries_raises_nothing() -> None:
    top = job("report", NAMESPACE)
    story = Story()
    story.at("0s", finished("report-1", has_failed=True, owner=top), top)
    story.at("1m", finished("report-2", owner=top))
    story.expect(until="2h")
