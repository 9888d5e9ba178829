"""A container's state, health check, exit code, OOM flag and restarts → status and reason."""

from datetime import datetime, timedelta
from typing import Final

from kgents_collector_docker.answers import NEVER, Container, State

LOOP_RESTARTS: Final = 3
"""Restarts after which a container that ends at once is in a loop: the first two may be a slow dependency."""
LOOP_RUN: Final = timedelta(seconds=10)
"""A container that has run for this long is no longer in a loop: the engine resets its backoff then, too."""
LOOP_PAUSE: Final = timedelta(seconds=0.35)
"""An engine doubles the pause before each restart of a container that did not run for LOOP_RUN, beginning at 0.1 s.
One that was just restarted after a longer pause than this has failed three times in a row."""

_PLAIN: Final = {
    "created": ("pending", "Created"),
    "configured": ("pending", "Created"),
    "initialized": ("pending", "Created"),
    "restarting": ("pending", "Restarting"),
    "paused": ("pending", "Paused"),
    "stopping": ("terminating", "Stopping"),
    "removing": ("terminating", "Removing"),
    "dead": ("failed", "Dead"),
}
"""States that need no further reason; some are Podman's."""

_ASKED_TO_END: Final = (130, 143)
"""128 + SIGINT, SIGTERM: it ended because it was asked to, by `docker stop` as a rule."""


def status_of(container: Container, at: datetime) -> tuple[str, str]:
    """Status and reason now.

    A crash loop is one state, though its container runs and ends all the time: otherwise each turn would be published.
    """
    state = container.state
    if is_looping(container, at):
        return "failed", "CrashLoopBackOff"
    match state.status:
        case "running":
            return _running(state)
        case "exited" | "stopped":
            return _ended(state)
        case "created" if state.exit_code:  # an exit code without a start: the engine could not start it
            return "failed", "StartError"
        case _:
            return _PLAIN.get(state.status, ("unknown", ""))


def is_looping(container: Container, at: datetime) -> bool:
    """Whether it is restarted in a loop."""
    state = container.state
    started, finished = happened(state.started_at), happened(state.finished_at)
    if container.restart_count < LOOP_RESTARTS or started is None or finished is None:
        return False
    if state.status == "restarting":
        return finished - started < LOOP_RUN
    return state.status == "running" and at - started < LOOP_RUN and started - finished > LOOP_PAUSE


def happened(time: datetime | None) -> datetime | None:
    """The time; None if it is Go's zero time."""
    return time if time is not None and time.year > NEVER else None


def _running(state: State) -> tuple[str, str]:
    match state.health.status if state.health is not None else "":
        case "unhealthy":
            return "failed", "Unhealthy"
        case "starting":
            return "pending", "Starting"
        case _:
            return "running", ""


def _ended(state: State) -> tuple[str, str]:
    if state.exit_code == 0:
        return "succeeded", "Completed"
    if state.exit_code in _ASKED_TO_END:  # before the OOM flag, which may be of a child, days ago
        return "succeeded", "Stopped"
    if state.oom_killed:
        return "failed", "OOMKilled"
    # 137 alone is any `kill -9`, that of `docker stop` after its timeout included.
    return "failed", "Killed" if state.exit_code == 137 else "Error"
