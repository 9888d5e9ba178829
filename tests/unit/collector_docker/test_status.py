from datetime import timedelta

import pytest

from kgents_collector_docker.mapping.status import status_of
from support.docker_answers import AT, make_container, make_state


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
        (make_state("exited", exit_code=137), ("failed", "Killed")),
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


@pytest.mark.parametrize(
    ("restarts", "status", "ran_s", "pause_s", "is_looping"),
    [
        (2, "restarting", 0.1, 0, False),  # may be a slow dependency
        (3, "restarting", 0.1, 0, True),
        (3, "restarting", 3600, 0, False),  # it has done its work for an hour
        (3, "running", 5, 0.4, True),  # just started, after a pause that only a row of failures makes
        (3, "running", 5, 0.1, False),  # just started for the third time in its life
        (3, "running", 11, 60, False),  # it stays
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
