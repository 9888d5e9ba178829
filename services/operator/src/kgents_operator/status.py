"""What was found of a resource → its status: what is so for every kind. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Generic, Literal, TypeVar

import msgspec
from msgspec import Struct

from kgents_operator.desired.outcome import Desired, Place, Refusal
from kgents_operator.resources.part import Condition, Part
from kgents_operator.resources.postgres import Connections
from kgents_operator.resources.server import ServerStatus

Json = dict[str, Any]
Phase = Literal["Pending", "Initializing", "Running", "Failed", "Degraded"]
S = TypeVar("S", bound=ServerStatus)
A = TypeVar("A")
"""What is asked for."""
N = TypeVar("N")
"""How the objects are called."""

TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
MESSAGE_CHARS_MAX: Final = 1000
MEASURED: Final = timedelta(minutes=5)
"""So old may the time of figures become that are still the same: each write of a status is one for all who watch."""
PAUSED: Final = "Paused"
PROGRESSING: Final = "Progressing"
ALWAYS: Final = ("Accepted", "Ready", "Drift", "MetricsAvailable")
"""The conditions that every resource has."""


class Answer(Struct, frozen=True):
    """One condition, before its times."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


class Figures(Struct, frozen=True):
    """What the stream knows of the servers; null: it does not."""

    backend: str = ""
    """What the pulses call the server."""
    connections: Connections | None = None
    memory_mb: float | None = None
    hit_rate: float | None = None
    """0 to 1."""
    collections: dict[str, int | None] | None = None
    """How many vectors are in each collection."""
    collection_count: int | None = None
    measured_at: str | None = None
    critical: str = ""
    """Why the health of a server is critical; empty: none is, or that is not known."""
    fault: str = ""
    """Why there are no figures."""


class Findings(Struct, frozen=True):
    """What came of the last run."""

    refusal: Refusal | None = None
    fault: str = ""
    """What the API server refused, or why something cannot be read."""
    contested: Sequence[str] = ()
    """Objects whose fields somebody else takes again and again."""
    foreign: Sequence[str] = ()
    """Containers that somebody added."""
    growth_fault: str = ""
    """Why the volume does not grow."""
    is_paused: bool = False


class Seen(Struct, Generic[A, N], frozen=True):
    """One resource as one run found it."""

    spec: A
    wanted: Desired[N]
    objects: Mapping[Place, Json]
    findings: Findings
    figures: Figures
    generation: int
    before: Json
    """Its status as it is."""
    now: datetime

    def condition_before(self, type_: str) -> Json:
        """As it is now; empty: there is none."""
        return conditions_of(self.before).get(type_, {})


class Lack(Struct, frozen=True):
    """What a server lacks to be ready, by Kubernetes."""

    reason: str
    message: str


def stated(
    type_: type[S],
    seen: Seen[Any, Any],
    server: Json | None,
    lack: Lack | None,
    answers: Sequence[Answer],
    *,
    has_figures: bool,
    **own: Any,
) -> S:
    """The status of a resource: all of it but the times of its conditions.

    Args:
        type_: the status of its kind.
        seen: the resource.
        server: what runs the server that takes writes; None: it is not made.
        lack: what keeps it from being ready; None: nothing.
        answers: the conditions of its kind.
        has_figures: whether the stream has any figure that is shown.
        own: the fields of its kind.
    """
    names, findings = seen.wanted.names, seen.findings
    stuck = next((each for each in answers if each.type == PROGRESSING and each.status == "False"), None)
    ready = _ready(lack, stuck, names.endpoint, findings, seen.figures)
    answers = [_accepted(findings), ready, *answers, *_common(findings, seen.figures, has_figures=has_figures)]
    return type_(
        observed_generation=seen.generation,
        phase=_phase(ready, server, is_refused=findings.refusal is not None and findings.refusal.is_final),
        ready=ready.status == "True",
        endpoint=names.endpoint if server is not None else None,
        measured_at=seen.figures.measured_at if has_figures else None,
        conditions=conditions(answers, seen.generation),
        **own,
    )


def conditions(answers: Sequence[Answer], generation: int) -> list[Condition]:
    """As they stand in a status, without their times."""
    return [
        Condition(
            type=each.type, status=each.status, reason=each.reason, message=each.message[:MESSAGE_CHARS_MAX],
            last_transition_time="", observed_generation=generation,
        )
        for each in answers
    ]  # fmt: skip


def conditions_of(status: Json) -> dict[str, Json]:
    """The conditions of a status, by their types."""
    return {str(each.get("type")): each for each in status.get("conditions") or ()}


def timed(found: Part, before: Json, now: str) -> Json:
    """As it is written: a condition keeps its time while its status is the same."""
    known = conditions_of(before)
    written: Json = _known(msgspec.to_builtins(found))
    for each in written["conditions"]:
        old = known.get(each["type"], {})
        is_same = old.get("status") == each["status"]
        each["lastTransitionTime"] = old.get("lastTransitionTime", now) if is_same else now
    return written


def _known(value: Any) -> Any:
    """Without what is null: what is not known is absent."""
    if isinstance(value, dict):
        return {key: _known(each) for key, each in value.items() if each is not None}
    return [_known(each) for each in value] if isinstance(value, list) else value


def unread(before: Json, fault: str, now: str) -> Json:
    """The status while something that it is made of cannot be read: nothing is claimed that may be true no more.

    Where clients connect stays, and so do figures, which have their own time.
    """
    known = conditions_of(before)
    said = f"{fault}; nothing is changed until it can be read"[:MESSAGE_CHARS_MAX]
    found = []
    for type_ in [*ALWAYS, *(each for each in known if each not in (*ALWAYS, PAUSED))]:
        old = known.get(type_, {})
        since = old.get("lastTransitionTime", now) if old.get("status") == "Unknown" else now
        answer = {"type": type_, "status": "Unknown", "reason": "Unreadable", "message": said}
        generation = {"observedGeneration": before.get("observedGeneration", 0)}
        found.append(answer | generation | {"lastTransitionTime": since})
    kept = {key: value for key, value in before.items() if key not in ("phase", "ready")}
    return kept | {"conditions": [*found, *(known[each] for each in known if each == PAUSED)]}


def differs(before: Json, after: Json) -> bool:
    """Whether it is to be written: not because figures that are the same were measured again, but now and then."""
    old, new = before.get("measuredAt"), after.get("measuredAt")
    if old is None or new is None or datetime.fromisoformat(new) - datetime.fromisoformat(old) >= MEASURED:
        return after != before
    return after | {"measuredAt": old} != before


def changes(before: Json, after: Json) -> Iterator[Json]:
    """The conditions whose status or reason is another one: what an event says."""
    known = conditions_of(before)
    for each in after["conditions"]:
        old = known.get(each["type"], {})
        if (old.get("status"), old.get("reason")) != (each["status"], each["reason"]):
            yield each


def _accepted(findings: Findings) -> Answer:
    """Whether all that was asked for is applied."""
    if findings.refusal is not None:
        state: Literal["False", "Unknown"] = "False" if findings.refusal.is_final else "Unknown"
        return Answer("Accepted", state, findings.refusal.reason, findings.refusal.message)
    if findings.fault:
        return Answer("Accepted", "Unknown", "NotApplied", findings.fault)
    if findings.is_paused:
        return Answer("Accepted", "Unknown", PAUSED, "what is asked for is neither compared nor applied meanwhile")
    return Answer("Accepted", "True", "Applied", "everything that it stands for is applied")


def _ready(lack: Lack | None, stuck: Answer | None, endpoint: str, findings: Findings, figures: Figures) -> Answer:
    """By what Kubernetes lacks, and lowered by a health that is critical."""
    if lack is None and figures.critical:
        lack = Lack("HealthCritical", figures.critical)
    if lack is None:
        return Answer("Ready", "True", "Running", f"connect to {endpoint}")
    if lack.reason == "NotMade" and findings.refusal is not None:
        lack = Lack(findings.refusal.reason, findings.refusal.message)
    if lack.reason == "Changing" and stuck is not None:
        lack = Lack(stuck.reason, stuck.message)
    return Answer("Ready", "False", lack.reason, lack.message)


def _phase(ready: Answer, server: Json | None, *, is_refused: bool) -> Phase:
    """By the answer on `Ready` and by what runs the server."""
    if ready.status == "True":
        return "Running"
    if server is None:
        return "Failed" if is_refused else "Pending"
    state = server.get("status") or {}
    has_run = bool(state.get("readyReplicas") or state.get("readyInstances"))
    return (
        "Initializing" if ready.reason in ("ServerNotReady", "VolumePending", "NoPod") and not has_run else "Degraded"
    )


def _common(findings: Findings, figures: Figures, *, has_figures: bool) -> Iterator[Answer]:
    """What every kind says."""
    yield _drift(findings)
    if has_figures:
        yield Answer("MetricsAvailable", "True", "Measured", "the figures are those of the stream")
    else:
        yield Answer("MetricsAvailable", "Unknown", "NoFigures", figures.fault or "no figures of this server")
    if findings.is_paused:
        yield Answer(PAUSED, "True", "Annotated", 'nothing is changed while kgents.io/paused is "true"')


def _drift(findings: Findings) -> Answer:
    """Whether somebody changes what is ours."""
    if findings.contested:
        said = (
            f"somebody changes or deletes {', '.join(findings.contested)} again and again; repairs pause: find who "
            "does, such as a second operator with another Lease"
        )
        return Answer("Drift", "True", "Contested", said)
    if findings.foreign:
        return Answer("Drift", "True", "ForeignContainers", f"somebody added {', '.join(findings.foreign)}")
    if findings.refusal is not None or findings.fault or findings.is_paused:
        return Answer("Drift", "Unknown", "NotCompared", "objects are not compared with what was applied: see Accepted")
    return Answer("Drift", "False", "AsApplied", "all fields of ours are as applied")
