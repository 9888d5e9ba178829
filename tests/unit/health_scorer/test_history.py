"""State over time: crash loops, OOM kills and flapping are one lasting alert, also when the scorer restarts."""

import pytest

from kgents_shared.contract.entity import Ref, Value
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary.attributes import docker, kubernetes, otel
from support.alert_log import AlertLog
from support.health_inputs import POD, Watch, at, entity, pulse
from support.restarted import restarted

pytestmark = pytest.mark.unit

RUN_S, PAUSE_S = 10, 50
HOUR_S = 3600
CONTAINER = Ref("c1", "container", "web", "shop")


def pod(
    at_s: float, restarts: int, status: str = "running", reason: str = "", *, last: str = "Error"
) -> TopologyEntity:
    """A pod as the kubelet reports it, whose containers were restarted so often."""
    attributes: dict[str, Value] = {
        otel.K8S_POD_UID: "u1",
        otel.K8S_POD_STATUS_PHASE: "Running",
        kubernetes.POD_RESTART_COUNT: restarts,
    }
    if restarts:
        attributes[kubernetes.POD_STATUS_LAST_TERMINATED_REASON] = last
        attributes[kubernetes.POD_STATUS_LAST_TERMINATED_EXIT_CODE] = 137 if last == "OOMKilled" else 1
    return entity(status=status, reason=reason, uid="u1", attributes=attributes, at_s=at_s)


class Life:
    """A pod, the scorer that watches it, and the alerts."""

    def __init__(self) -> None:
        self.watch = Watch()
        self.log = AlertLog()
        self.levels: set[str] = set()
        self.last = pod(0, 0)
        self.see(self.last, 0)

    def see(self, what: TopologyEntity, at_s: float) -> None:
        self.last = what
        self.log.note(at_s, self.watch.entity(what, at_s))
        self.levels.add(self.watch.health().level)

    def wait(self, since_s: float, until_s: float) -> None:
        for at_s in range(int(since_s), int(until_s) + 1, 5):
            self.log.note(at_s, self.watch.tick(at_s))

    def restart(self, at_s: float) -> None:
        self.watch = restarted(self.watch, [self.last], at(at_s))
        self.log.note(at_s, self.watch.published.write(self.watch.scorer.take()))

    def crash_loop(self, minutes: int, *, restart_at: frozenset[int] = frozenset()) -> float:
        """One crash a minute; the scorer restarts in the given minutes, in both halves of them."""
        for minute in range(1, minutes + 1):
            at_s = minute * 60.0
            self.see(pod(at_s, minute - 1, "failed", "CrashLoopBackOff"), at_s)
            if minute in restart_at:
                self.restart(at_s + 1)
            self.see(pod(at_s + PAUSE_S, minute), at_s + PAUSE_S)
            if minute in restart_at:
                self.restart(at_s + PAUSE_S + 1)
        return minutes * 60.0 + PAUSE_S


@pytest.mark.parametrize("restart_at", [frozenset(), frozenset({1, 7, 30, 31})])
def test_a_crash_loop_of_an_hour_is_one_alert_that_ends_after_the_calm_time(restart_at: frozenset[int]) -> None:
    life = Life()
    end_s = life.crash_loop(60, restart_at=restart_at)
    assert life.log.counts == {("KG-020", "firing"): 1}
    assert "healthy" not in life.levels - {"healthy"}
    life.wait(end_s, end_s + 899)
    assert life.watch.health().level == "critical"
    life.wait(end_s + 900, end_s + 905)
    assert life.log.counts == {("KG-020", "firing"): 1, ("KG-020", "resolved"): 1}
    assert life.watch.health().level == "healthy"


def test_an_entity_in_a_crash_loop_is_never_healthy_between_two_crashes() -> None:
    life = Life()
    life.crash_loop(1)
    life.levels.clear()
    life.crash_loop(30)
    assert life.levels == {"critical"}


def test_the_alert_of_a_crash_loop_names_how_often_within_the_hour_and_how_it_ended() -> None:
    life = Life()
    life.crash_loop(12)
    alert = life.watch.published.alerts[POD, "KG-020"]
    assert alert.text == "pod shop/cart-7f keeps failing: restarted 8 times in 1 h, last exit 1 (Error)."
    assert "restarted 12 times in 1 h, last exit 1 (Error)" in life.watch.health().text


@pytest.mark.parametrize("restart_at", [(), (1, 2, 9)])
def test_an_oom_kill_every_ten_minutes_is_one_alert(restart_at: tuple[int, ...]) -> None:
    life = Life()
    for kill in range(1, 13):
        at_s = kill * 600.0
        life.see(pod(at_s, kill - 1, "failed", "OOMKilled", last="OOMKilled"), at_s)
        life.see(pod(at_s + 1, kill, last="OOMKilled"), at_s + 1)
        if kill in restart_at:
            life.restart(at_s + 2)
        life.wait(at_s + 5, at_s + 595)
    assert life.log.counts == {("KG-021", "firing"): 1}
    assert life.watch.published.alerts[POD, "KG-021"].severity == "critical"
    life.wait(12 * 600 + 600, 12 * 600 + 905)
    assert life.log.counts == {("KG-021", "firing"): 1, ("KG-021", "resolved"): 1}


def test_one_or_two_restarts_are_no_finding_and_the_third_within_the_hour_is() -> None:
    life = Life()
    for restarts, at_s in ((1, 60), (2, 120)):
        life.see(pod(at_s - 1, restarts - 1, "failed", "Error"), at_s - 1)
        life.see(pod(at_s, restarts), at_s)
    assert life.log.counts == {}
    life.see(pod(180, 3), 180)
    assert life.log.counts == {("KG-020", "firing"): 1}
    assert life.watch.published.alerts[POD, "KG-020"].severity == "warning"


def test_three_restarts_in_a_day_are_no_finding() -> None:
    life = Life()
    for restarts in range(1, 4):
        at_s = restarts * 8 * HOUR_S
        life.see(pod(at_s, restarts), at_s)
    assert life.log.counts == {}


def test_restarts_before_the_first_message_are_no_finding() -> None:
    watch = Watch()
    watch.entity(pod(0, 57))
    assert watch.checks() == []


def test_a_failed_container_that_its_pod_does_not_restart_is_found_after_five_minutes() -> None:
    life = Life()
    life.see(pod(10, 0, "failed", "Error"), 10)
    life.wait(15, 305)
    assert life.log.counts == {}
    life.restart(306)
    life.wait(310, 310)
    assert life.log.counts == {("KG-001", "firing"): 1}


def test_a_pod_in_a_crash_loop_that_is_deleted_ends_its_alert_at_once() -> None:
    life = Life()
    end_s = life.crash_loop(10)
    life.see(pod(end_s + 1, 10, "terminating"), end_s + 1)
    assert life.log.counts == {("KG-020", "firing"): 1, ("KG-020", "resolved"): 1}
    assert life.watch.health().level == "healthy"


def docker_container(at_s: float, restarts: int, status: str, reason: str, **more: Value) -> TopologyEntity:
    attributes = {docker.RESTART_COUNT: restarts, **{f"kgents.docker.{name}": value for name, value in more.items()}}
    return entity(CONTAINER, status, reason, uid="c1", attributes=attributes, at_s=at_s)


def test_a_docker_container_that_is_restarted_every_15_s_is_one_alert() -> None:
    watch, log = Watch(), AlertLog()
    for restarts in range(60):
        at_s = restarts * 15.0
        log.note(at_s, watch.entity(docker_container(at_s, restarts, "running", ""), at_s))
        is_looping = restarts % 4 == 3
        status = ("failed", "CrashLoopBackOff") if is_looping else ("running", "")
        log.note(at_s + 5, watch.entity(docker_container(at_s + 5, restarts, *status), at_s + 5))
    assert log.counts == {("KG-020", "firing"): 1}
    # A recreated container is another one, and counts from zero.
    log.note(1_000, watch.entity(entity(CONTAINER, uid="c2", at_s=1_000), 1_000))
    assert log.counts == {("KG-020", "firing"): 1, ("KG-020", "resolved"): 1}


def test_a_docker_container_that_the_kernel_killed_runs_out_of_memory() -> None:
    watch = Watch()
    watch.entity(docker_container(0, 0, "running", ""))
    killed = {"oom_killed_at": "2026-01-01T00:09:58Z", "finished_at": "2026-01-01T00:10:00Z"}
    watch.entity(docker_container(600, 0, "pending", "OOMKilled", exit_code=137, **killed), 600)
    assert watch.states(CONTAINER) == {"KG-021": "firing"}
    watch.entity(docker_container(601, 1, "running", "", **killed), 601)
    assert watch.health(CONTAINER).text == (
        "Warning: container shop/web runs out of memory: restarted 1 time in 1 h, last: OOMKilled."
    )
    # A later end has another cause.
    later = killed | {"finished_at": "2026-01-01T00:20:00Z"}
    watch.entity(docker_container(1_200, 4, "running", "", **later), 1_200)
    assert watch.checks(CONTAINER) == ["KG-020", "KG-021"]


def test_a_container_that_its_engine_gave_up_is_one_alert() -> None:
    watch, log = Watch(), AlertLog()
    log.note(0, watch.entity(docker_container(0, 0, "running", "")))
    log.note(10, watch.entity(docker_container(10, 3, "failed", "Error", exit_code=1), 10))
    assert (watch.checks(CONTAINER), log.counts) == (["KG-001", "KG-020"], {("KG-020", "firing"): 1})
    assert watch.published.alerts[CONTAINER, "KG-020"].severity == "critical"
    for at_s in (909, 910):
        log.note(at_s, watch.tick(at_s))
    assert watch.states(CONTAINER) == {"KG-020": "resolved", "KG-001": "firing"}


def test_a_status_that_comes_and_goes_is_one_alert_from_the_third_time_on() -> None:
    watch, log = Watch(), AlertLog()
    for turn in range(60):
        at_s = turn * 60.0
        log.note(at_s, watch.entity(entity(status="failed", reason="Unhealthy", at_s=at_s), at_s))
        log.note(at_s + 30, watch.entity(entity(at_s=at_s + 30), at_s + 30))
    assert log.counts == {("KG-001", "firing"): 3, ("KG-001", "resolved"): 2}
    assert watch.health().text == "Critical: pod shop/cart-7f is unstable: failed 60 times in 1 h, last Unhealthy."
    end_s = 59 * 60 + 30
    watch.tick(end_s + 899)
    assert watch.states() == {"KG-001": "firing"}
    watch.tick(end_s + 900)
    assert (watch.states(), watch.health().level) == ({"KG-001": "resolved"}, "healthy")


def test_memory_that_fills_up_before_each_kill_is_one_alert_from_the_third_time_on() -> None:
    watch, log = Watch(), AlertLog()
    for run in range(18):
        start_s, uid = run * 600.0, f"run{run}"
        container = entity(CONTAINER, uid=uid, attributes={otel.K8S_POD_UID: "u1"}, at_s=start_s)
        log.note(start_s, watch.entity(container, start_s))
        for sample in range(1, 60):
            at_s = start_s + sample * 10
            memory = pulse(at_s, CONTAINER, memory=sample / 60, uid=uid)
            log.note(at_s, watch.pulse(memory))
    assert log.counts[("KG-101", "firing")] == 3


def test_a_figure_that_does_not_apply_any_more_ends_its_finding_also_when_it_came_and_went() -> None:
    watch = Watch()
    watch.entity(entity())
    for turn in range(3):
        for sample, memory in enumerate((0.99, 0.99, 0.99, 0.5, 0.5, 0.5)):
            watch.pulse(pulse(turn * 60 + sample * 10, memory=memory))
    assert watch.states() == {"KG-101": "firing"}
    watch.pulse(pulse(200))
    assert watch.states() == {"KG-101": "resolved"}


def test_a_figure_that_came_and_went_is_well_from_when_it_was_also_after_a_restart() -> None:
    watch = Watch()
    watch.entity(entity())
    for turn in range(3):
        for sample, memory in enumerate((0.99, 0.99, 0.99, 0.5, 0.5, 0.5)):
            watch.pulse(pulse(turn * 60 + sample * 10, memory=memory))
    again = restarted(watch, [entity()], at(171))
    again.pulse(pulse(180, memory=0.5))
    again.tick(170 + 899)
    assert again.states() == {"KG-101": "firing"}
    again.tick(170 + 900)
    assert again.states() == {"KG-101": "resolved"}


def test_an_alert_says_how_long_it_has_been_so_to_within_a_factor_of_two() -> None:
    watch = Watch()
    watch.entity(entity(status="pending", at_s=0))
    for at_s in range(5, 3_600, 5):
        watch.tick(at_s)
        if (alert := watch.published.alerts.get((POD, "KG-004"))) is not None:
            assert isinstance(alert.value, float)
            assert at_s / 2 <= alert.value <= at_s


def test_a_health_text_does_not_outlive_its_state() -> None:
    watch = Watch()
    watch.entity(entity(status="pending", at_s=0))
    assert watch.health().text == "pod shop/cart-7f is healthy (pending)"
    watch.entity(entity(at_s=12), 12)
    assert watch.health().text == "pod shop/cart-7f is healthy"
    watch.entity(entity(status="failed", reason="Error", at_s=20), 20)
    watch.entity(entity(status="failed", reason="Evicted", at_s=21), 21)
    assert watch.health().text == "Critical: pod shop/cart-7f has failed: Evicted."
