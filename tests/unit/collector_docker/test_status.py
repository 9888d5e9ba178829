from datetime import timedelta

import pytest
from msgspec import structs

from kgents_collector_docker.answers import NO_SIGN, End, HostConfig, RestartPolicy, Settings
from kgents_collector_docker.mapping.status import status_of
from support.docker_answers import AT, STARTED, make_container, make_inventory, make_state, mapped


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (make_state(), ("running", "")),
        (make_state(health="none"), ("running", "")),
        (make_state(health="healthy"), ("running", "")),
        (make_state(health="starting"), ("pending", "Starting")),
        (make_state(health="unhealthy"), ("failed", "Unhealthy")),
        (make_state("paused"), ("pending", "Paused")),
        (make_state("created"), ("pending", "Created")),
        (make_state("created", exit_code=127), ("failed", "StartError")),
        (make_state("restarting", exit_code=1), ("pending", "Restarting")),
        (make_state("removing"), ("terminating", "Removing")),
        (make_state("dead"), ("failed", "Dead")),
        (make_state("exited"), ("succeeded", "Completed")),
        (make_state("exited", oom_killed=True), ("succeeded", "Completed")),  # a child was killed, and it coped
        (make_state("exited", exit_code=1), ("failed", "Error")),
        (make_state("exited", exit_code=137), ("succeeded", "EndNotObserved")),
        (make_state("exited", exit_code=137, oom_killed=True), ("failed", "OOMKilled")),
        (make_state("exited", exit_code=1, oom_killed=True), ("failed", "OOMKilled")),
        (make_state("exited", exit_code=143), ("succeeded", "Stopped")),
        (make_state("exited", exit_code=130), ("succeeded", "Stopped")),
        (make_state("exited", exit_code=143, oom_killed=True), ("succeeded", "Stopped")),  # a child, some time before
        (make_state("hibernating"), ("unknown", "")),
    ],
)
def test_state_health_exit_code_and_oom_flag_make_the_status(state: object, expected: tuple[str, str]) -> None:
    assert status_of(make_container(state=state), AT) == expected


def at_s(seconds: float) -> int:
    """Nanoseconds of an event, this long after the start."""
    return int((STARTED.timestamp() + seconds) * 1e9)


ENDED = make_state("exited", exit_code=137, finished_at=STARTED + timedelta(seconds=100))


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (End(died_ns=at_s(100)), ("failed", "Killed")),  # from outside
        (End(died_ns=at_s(100), signals={9: at_s(99.9)}), ("succeeded", "Stopped")),  # docker kill, docker rm -f
        (End(died_ns=at_s(100), signals={15: at_s(90), 9: at_s(99.9)}), ("succeeded", "Stopped")),  # docker stop
        (End(died_ns=at_s(100), signals={15: at_s(90)}), ("succeeded", "Stopped")),
        (End(died_ns=at_s(100), stopped_ns=at_s(100.1)), ("succeeded", "Stopped")),  # whatever its stop signal is
        (End(died_ns=at_s(100), signals={1: at_s(99)}), ("failed", "Killed")),  # to read its configuration again
        (End(died_ns=at_s(100), signals={10: at_s(99)}), ("succeeded", "Stopped")),  # its own stop signal
        (End(died_ns=at_s(100), signals={15: at_s(-1)}, stopped_ns=at_s(-1)), ("failed", "Killed")),  # the run before
        (End(died_ns=at_s(100), oom_ns=at_s(99.9)), ("failed", "OOMKilled")),  # its flag comes late, or not at all
        (End(died_ns=at_s(100), oom_ns=at_s(-1)), ("failed", "Killed")),
        (End(died_ns=at_s(100), oom_ns=at_s(20), signals={9: at_s(99)}), ("succeeded", "Stopped")),
        (NO_SIGN, ("succeeded", "EndNotObserved")),
    ],
)
def test_events_say_whether_an_end_was_requested(end: End, expected: tuple[str, str]) -> None:
    container = make_container(state=ENDED, config=Settings("x", stop_signal="SIGUSR1"))
    assert status_of(container, AT, end) == expected


def test_a_signal_that_a_container_ignored_is_no_request_for_its_later_end() -> None:
    for after_s, expected in ((500.0, "Stopped"), (700.0, "Error")):
        state = make_state("exited", exit_code=1, finished_at=STARTED + timedelta(seconds=after_s))
        assert status_of(make_container(state=state), AT, End(signals={15: at_s(0)}))[1] == expected


@pytest.mark.parametrize("end", [End(died_ns=at_s(100)), End(stopped_ns=at_s(101)), End(oom_ns=at_s(99)), NO_SIGN])
def test_a_restarted_collector_keeps_what_events_said_of_an_end(end: End) -> None:
    container = make_container(state=ENDED)
    before = mapped(structs.replace(make_inventory(container), ends={container.id: end}))
    after = mapped(make_inventory(container), published=list(before.values()))
    assert after == before


def test_a_container_that_ran_when_it_was_last_seen_and_was_killed_has_failed() -> None:
    before = list(mapped(make_inventory(make_container())).values())
    assert mapped(make_inventory(make_container(state=ENDED)), published=before)["container web"].reason == "Killed"


@pytest.mark.parametrize(
    ("policy", "expected"), [("always", "Stopped"), ("unless-stopped", "Stopped"), ("no", "Killed")]
)
def test_an_engine_leaves_ended_only_what_was_stopped_if_it_restarts_the_rest(policy: str, expected: str) -> None:
    limits = HostConfig(restart_policy=RestartPolicy(policy))
    container = make_container(state=ENDED, host_config=limits)
    assert status_of(container, AT, End(died_ns=at_s(100)))[1] == expected


def test_an_oom_kill_is_shown_until_the_restart_and_its_time_beyond() -> None:
    state = make_state("restarting", exit_code=137)
    assert status_of(make_container(state=state), AT, End(oom_ns=at_s(1))) == ("pending", "OOMKilled")
    container = make_container()
    ends = {container.id: End(oom_ns=at_s(-5))}
    before = mapped(structs.replace(make_inventory(container), ends=ends))
    assert before["container web"].attributes["kgents.docker.oom_killed_at"] == "2026-11-21T07:59:55Z"
    assert mapped(make_inventory(container), published=list(before.values())) == before


@pytest.mark.parametrize(
    ("restarts", "status", "ran_s", "pause_s", "is_looping"),
    [
        (2, "restarting", 0.1, 0, False),  # may be a slow dependency
        (3, "restarting", 0.1, 0, True),
        (3, "restarting", 3600, 0, False),  # it has done its work for an hour
        (6, "running", 5, 3.3, True),  # just started, after a pause that only a row of failures makes
        (3, "running", 5, 0.1, False),  # just started for the third time in its life
        (3, "running", 5, 1.5, False),  # likewise, by a busy engine
        (6, "running", 11, 60, False),  # it stays
    ],
)
def test_a_crash_loop_differs_from_restarts(
    restarts: int, status: str, ran_s: float, pause_s: float, is_looping: bool
) -> None:
    if status == "running":
        started = AT - timedelta(seconds=ran_s)
        state = make_state(status, started_at=started, finished_at=started - timedelta(seconds=pause_s))
    else:
        state = make_state(status, started_at=AT - timedelta(seconds=ran_s), finished_at=AT)
    found = status_of(make_container(state=state, restart_count=restarts), AT)
    assert (found == ("failed", "CrashLoopBackOff")) is is_looping
