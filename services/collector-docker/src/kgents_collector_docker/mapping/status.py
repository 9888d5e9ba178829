"""A container's state, health check, exit code, OOM flag, restarts and signs of its end → status and reason."""

from datetime import UTC, datetime, timedelta
from typing import Final

from kgents_collector_docker.answers import NEVER, NO_SIGN, Container, End, State
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.vocabulary.attributes import docker as attribute

LOOP_RESTARTS: Final = 3
"""Restarts after which a container that ends at once is in a loop: the first two may be a slow dependency."""
LOOP_RUN: Final = timedelta(seconds=10)
"""A container that has run for this long is no longer in a loop: the engine resets its backoff then, too."""
LOOP_PAUSE: Final = timedelta(seconds=3)
"""An engine doubles the pause before each restart of a container that did not run for LOOP_RUN, beginning at 0.1 s.
One that was just restarted after a longer pause than this has failed six times in a row. After a shorter one it may
have run for weeks before: a busy engine takes a second to end and start a container."""

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

ENDING: Final = (2, 3, 6, 9, 15)
"""Signals that are sent to end a container (INT, QUIT, ABRT, KILL, TERM); its own stop signal is another."""
_SIGNALS: Final = {
    "HUP": 1, "INT": 2, "QUIT": 3, "ABRT": 6, "KILL": 9, "USR1": 10, "USR2": 12, "TERM": 15, "WINCH": 28, "PWR": 30,
    "RTMIN": 34,
}  # fmt: skip
"""What images name as their stop signal, on Linux."""
STOP_LASTS: Final = timedelta(minutes=10)
"""A signal ends a container within this time, or the container ignored it, and its later end has another cause. A
stop with a longer timeout is known by the event at its end."""
_RESTARTING: Final = ("always", "unless-stopped")
"""Policies by which an engine restarts all that ends, except what was stopped on purpose."""
_KILLED: Final = 137
_ASKED_TO_END: Final = (130, 143)
"""128 + SIGINT, SIGTERM: it ended because it was asked to, by `docker stop` as a rule."""
NOT_OBSERVED: Final = "EndNotObserved"
"""It was killed before this collector knew it, and no event says on whose behalf: it raises nothing."""
_BY_EVENTS: Final = ("Stopped", "OOMKilled", "Killed", NOT_OBSERVED)
"""Reasons that a restarted collector cannot find out again."""

Status = tuple[str, str]


def status_of(container: Container, at: datetime, end: End = NO_SIGN, published: Entity | None = None) -> Status:
    """Status and reason now.

    A crash loop is one state, though its container runs and ends all the time: otherwise each turn would be published.

    Args:
        container: as last read.
        at: now.
        end: what events said.
        published: what is published of this container; None: it was not known before.
    """
    state = container.state
    if is_looping(container, at):
        return "failed", "CrashLoopBackOff"
    match state.status:
        case "running":
            return _running(state)
        case "exited" | "stopped":
            return _ended(container, end, published)
        case "restarting" if is_out_of_memory(state, end):
            return "pending", "OOMKilled"
        case "created" if state.exit_code:  # an exit code without a start: the engine could not start it
            return "failed", "StartError"
        case _:
            return _PLAIN.get(state.status, ("unknown", ""))


def is_looping(container: Container, at: datetime) -> bool:
    """Whether it is restarted in a loop."""
    state = container.state
    started, finished = happened(state.started_at), happened(state.finished_at)
    if (container.restart_count or 0) < LOOP_RESTARTS or started is None or finished is None:
        return False
    if state.status == "restarting":
        return finished - started < LOOP_RUN
    return state.status == "running" and at - started < LOOP_RUN and started - finished > LOOP_PAUSE


def happened(time: datetime | None) -> datetime | None:
    """The time; None if it is Go's zero time."""
    return time if time is not None and time.year > NEVER else None


def _running(state: State) -> Status:
    match state.health.status if state.health is not None else "":
        case "unhealthy":
            return "failed", "Unhealthy"
        case "starting":
            return "pending", "Starting"
        case _:
            return "running", ""


def _ended(container: Container, end: End, published: Entity | None) -> Status:
    state = container.state
    if state.exit_code == 0:
        return "succeeded", "Completed"
    # A request is before the OOM flag, which may be of a child, days ago.
    if is_stopped(container, end) or state.exit_code in _ASKED_TO_END:
        return "succeeded", "Stopped"
    if is_out_of_memory(state, end):
        return "failed", "OOMKilled"
    if published is not None and is_of_this_end(published, state) and published.reason in _BY_EVENTS:
        return published.status, published.reason
    return _killed(container, end, published) if state.exit_code == _KILLED else ("failed", "Error")


def _killed(container: Container, end: End, published: Entity | None) -> Status:
    """137 is `kill -9` from anywhere: by `docker stop` after its timeout, a person, or the kernel, unnoticed."""
    policy = container.host_config.restart_policy
    if policy is not None and policy.name in _RESTARTING:
        return "succeeded", "Stopped"
    is_known = published is not None and attribute.RESTART_COUNT in published.attributes
    return ("failed", "Killed") if is_known or _is_since(end.died_ns, container.state) else ("succeeded", NOT_OBSERVED)


def is_out_of_memory(state: State, end: End) -> bool:
    """Whether the kernel killed a process of it in its last run: by the engine's flag, or by its event."""
    return state.oom_killed or _is_since(end.oom_ns, state)


def is_stopped(container: Container, end: End) -> bool:
    """Whether events say that the last run was ended by a request to the engine."""
    state = container.state
    if _is_since(end.stopped_ns, state):
        return True
    finished = happened(state.finished_at)
    ending = {*ENDING, _number_of(container.config.stop_signal)}
    return any(
        number in ending and _is_since(sent_ns, state) and (finished is None or finished - _time(sent_ns) <= STOP_LASTS)
        for number, sent_ns in end.signals.items()
    )


def is_of_this_end(published: Entity, state: State) -> bool:
    """Whether it was published after the end that is read now."""
    return published.attributes.get(attribute.FINISHED_AT) == written(happened(state.finished_at))


def written(time: datetime | None) -> str | None:
    """A time as an attribute."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z") if time is not None else None


def _is_since(time_ns: int, state: State) -> bool:
    """Whether it was after the last start."""
    started = happened(state.started_at)
    return time_ns > 0 and started is not None and _time(time_ns) >= started


def _time(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns / 1e9, UTC)


def _number_of(name: str) -> int:
    """The number of a container's own stop signal (`SIGWINCH`, `28`, `RTMIN+3`); 0 for none."""
    if name.isdecimal():
        return int(name)
    base, _, more = name.upper().removeprefix("SIG").partition("+")
    return _SIGNALS.get(base, 0) + (int(more) if more.isdecimal() else 0)
