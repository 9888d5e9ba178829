"""A Disruption, what came of it so far, and the pods that there are → what is to be done now. Pure."""

from datetime import datetime, timedelta
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from kgents_operator.resources.disruption import Named, Spec, Status, Target
from kgents_operator.status import TIME

Json = dict[str, Any]

FINAL: Final = ("Ended", "Aborted")
VICTIMS_MAX: Final = 32
AT_ONCE: Final = timedelta(minutes=1)
"""A pod is deleted within this time, or not at all: what was ready when it was planned may be the last one later."""
IMPOSSIBLE: Final = (
    "a container cannot be paused through the API of Kubernetes, which has no such request, and the operator may run "
    "nothing in a pod: use DeletePod or CutNetwork, or crictl and SIGSTOP on the machine"
)


class Decision(Struct, frozen=True):
    """What is to be done, and what is said of it then."""

    status: Status
    reason: str
    message: str
    act: Literal["", "begin", "end"] = ""
    """`begin`: record it, write the status, then do it; `end`: write the status, then record that it is over."""


def decide(spec: Spec, before: Status, generation: int, pods: list[Json], refusal: str, now: datetime) -> Decision:
    """What is to be done now.

    Args:
        spec: what is asked for.
        before: the status as it is.
        generation: of the spec.
        pods: those of the component.
        refusal: why the resource can lose nothing now; empty: it can.
        now: the time.
    """
    status = replace(before, observed_generation=generation)
    if before.phase in FINAL:
        return Decision(status, before.phase, "it is over; make another one to do it again")
    if before.phase == "Running":
        return _running(spec, status, now)
    if spec.abort:
        return Decision(replace(status, phase="Aborted"), "Aborted", "it was aborted before anything was done")
    if spec.action == "PauseContainer":
        return _refused(status, "NotPossible", IMPOSSIBLE)
    if refusal:
        return _refused(status, "NotNow", refusal)
    return _planned(spec, status, pods, now)


def _running(spec: Spec, status: Status, now: datetime) -> Decision:
    if spec.abort:
        return Decision(replace(status, phase="Aborted", ends_at=_text(now)), "Aborted", "it was aborted", "end")
    if spec.action == "DeletePod":
        if now > (begun := _time(status.started_at, now)) + AT_ONCE:
            said = f"it began at {_text(begun)} and was not done at once; nothing is deleted now"
            return Decision(replace(status, phase="Ended"), "TooLate", said, "end")
        return Decision(replace(status, phase="Ended"), "Deleted", f"{_named(status.pods)} was deleted", "end")
    if now >= (ends := _time(status.ends_at, now)):
        return Decision(replace(status, phase="Ended"), "TimeOver", "its time is over: the network is as it was", "end")
    said = (
        f"nothing may connect to {_named(status.pods)} until {_text(ends)}; if no operator runs then, Kubernetes "
        f"deletes the network policy {policy_of(spec.target)} a minute later, so that everyone is let in until one does"
    )
    return Decision(status, "Cut", said)


def _planned(spec: Spec, status: Status, pods: list[Json], now: datetime) -> Decision:
    ready = sorted((each for each in pods if is_ready(each)), key=lambda each: str(each["metadata"]["name"]))
    found = [Named(name=each["metadata"]["name"], uid=each["metadata"]["uid"]) for each in ready]
    taken = found[:1] if spec.action == "DeletePod" else found[:VICTIMS_MAX]
    where = f"{spec.target.component} of {spec.target.kind} {spec.target.name}"
    if not taken:
        return _refused(status, "NoPods", f"expected a pod that is ready of {where}, found none")
    if len(taken) == len(found) and not spec.allow_last_replica:
        said = f"{_named(taken)} is all that is ready of {where}: set allowLastReplica: true if you mean it"
        return _refused(status, "LastReplica", said)
    if spec.dry_run:
        said = f"it would take {_named(taken)}, of {len(found)} that are ready; set dryRun: false to do it"
        return Decision(replace(status, phase="Planned", pods=taken), "DryRun", said)
    if status.phase != "Planned" or status.pods != taken:
        said = (
            f"expected a dry run that names {_named(taken)}, found {_named(status.pods) or 'none'}: set dryRun: true, "
        )
        return _refused(status, "DryRunFirst", f"{said}see status.pods, then set it to false")
    ends = now if spec.action == "DeletePod" else now + timedelta(seconds=spec.duration_seconds)
    running = replace(status, phase="Running", started_at=_text(now), ends_at=_text(ends))
    return Decision(running, "Begun", f"{spec.action} of {_named(taken)} has begun", "begin")


def _refused(status: Status, reason: str, message: str) -> Decision:
    return Decision(replace(status, phase="Refused", pods=[]), reason, message)


def is_cut(spec: Spec, status: Status, now: datetime) -> bool:
    """Whether nothing may connect to the pods now."""
    is_over = spec.abort or now >= _time(status.ends_at, now)
    return status.phase == "Running" and spec.action == "CutNetwork" and not is_over


def is_ready(pod: Json) -> bool:
    """Whether it serves, and is not on its way out."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return not pod["metadata"].get("deletionTimestamp") and any(
        (each["type"], each["status"]) == ("Ready", "True") for each in conditions
    )


def _named(pods: list[Named]) -> str:
    return ", ".join(each.name for each in pods)


def left_s(status: Status, now: datetime) -> float:
    """Seconds until its end."""
    return max(0.0, (_time(status.ends_at, now) - now).total_seconds())


def _time(text: str | None, now: datetime) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z") if text else now


def _text(time: datetime) -> str:
    return time.strftime(TIME)


def policy_of(target: Target) -> str:
    """The network policy of a component. The servers of a RedisCluster have one together."""
    component = "database" if target.kind == "RedisCluster" else target.component
    return f"{target.name}-{component}"
