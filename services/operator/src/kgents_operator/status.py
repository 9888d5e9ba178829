"""What was found → the status of a PostgresCluster: a phase, endpoints, conditions in plain words. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from kgents_operator.desired.names import Names
from kgents_operator.desired.outcome import CLAIM, STATEFULSET, Desired, Place, Refusal, left
from kgents_operator.desired.postgres import CLUSTER
from kgents_operator.resources.part import Condition, Part
from kgents_operator.resources.postgres import Connections, Spec, Status

Json = dict[str, Any]
Phase = Literal["Pending", "Initializing", "Running", "Failed", "Degraded"]

MESSAGE_CHARS_MAX: Final = 1000
PAUSED: Final = "Paused"
ALWAYS: Final = ("Accepted", "Ready", "Drift", "MetricsAvailable")
"""The conditions that every resource has."""


class Answer(Struct, frozen=True):
    """One condition, before its times."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


class Figures(Struct, frozen=True):
    """What the stream knows of the server; null: it does not."""

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
    """Why the server's health is critical; empty: it is not, or is not known."""
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


def status(
    spec: Spec,
    generation: int,
    wanted: Desired[Names],
    objects: Mapping[Place, Json],
    findings: Findings,
    figures: Figures,
) -> Status:
    """All of it but the times of its conditions."""
    ready = _ready(spec, wanted, objects, findings, figures)
    server = objects.get((CLUSTER if wanted.names.is_cnpg else STATEFULSET, wanted.names.name))
    is_refused = findings.refusal is not None
    answers = [accepted(findings), ready, *_others(spec, wanted, objects, findings, figures)]
    return Status(
        observed_generation=generation,
        phase=phase_of(ready, server, is_refused=is_refused),
        ready=ready.status == "True",
        backend=None if server is None and is_refused else "cnpg" if wanted.names.is_cnpg else "builtin",
        endpoint=wanted.names.endpoint if server is not None else None,
        pooler_endpoint=wanted.names.pooler_endpoint if server is not None and spec.pooler.enabled else None,
        connections=figures.connections,
        measured_at=figures.measured_at,
        conditions=conditions(answers, generation),
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


def timed(found: Part, before: Json, now: str) -> Json:
    """As it is written: a condition keeps its time while its status is the same."""
    known = {each.get("type"): each for each in before.get("conditions") or ()}
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
    known = {each.get("type"): each for each in before.get("conditions") or ()}
    said = f"{fault}; nothing is changed until it can be read"[:MESSAGE_CHARS_MAX]
    conditions = []
    for type_ in [*ALWAYS, *(each for each in known if each not in (*ALWAYS, PAUSED))]:
        old = known.get(type_, {})
        since = old.get("lastTransitionTime", now) if old.get("status") == "Unknown" else now
        answer = {"type": type_, "status": "Unknown", "reason": "Unreadable", "message": said}
        generation = {"observedGeneration": before.get("observedGeneration", 0)}
        conditions.append(answer | generation | {"lastTransitionTime": since})
    kept = {key: value for key, value in before.items() if key not in ("phase", "ready")}
    return kept | {"conditions": [*conditions, *(known[each] for each in known if each == PAUSED)]}


def changes(before: Json, after: Json) -> Iterator[Json]:
    """The conditions whose status or reason is another one: what an event says."""
    known = {each.get("type"): each for each in before.get("conditions") or ()}
    for each in after["conditions"]:
        old = known.get(each["type"], {})
        if (old.get("status"), old.get("reason")) != (each["status"], each["reason"]):
            yield each


def accepted(findings: Findings) -> Answer:
    """Whether all that was asked for is applied."""
    if findings.refusal is not None:
        state: Literal["False", "Unknown"] = "False" if findings.refusal.is_final else "Unknown"
        return Answer("Accepted", state, findings.refusal.reason, findings.refusal.message)
    if findings.fault:
        return Answer("Accepted", "Unknown", "NotApplied", findings.fault)
    return Answer("Accepted", "True", "Applied", "everything that it stands for is applied")


def _ready(
    spec: Spec, wanted: Desired[Names], objects: Mapping[Place, Json], findings: Findings, figures: Figures
) -> Answer:
    if wanted.names.is_cnpg:
        reason, message = _cnpg_missing(spec, objects.get((CLUSTER, wanted.names.name)))
    else:
        reason, message = _missing(spec, wanted, objects)
    return ready_answer(reason, message, wanted.names.endpoint, findings, figures)


def ready_answer(reason: str, message: str, endpoint: str, findings: Findings, figures: Figures) -> Answer:
    """`Ready`: by what Kubernetes lacks (`reason`, empty: nothing), and lowered by a health that is critical."""
    if not reason and figures.critical:
        reason, message = "HealthCritical", figures.critical
    if reason:
        refused = findings.refusal
        if refused is not None and reason == "NotMade":
            reason, message = refused.reason, refused.message
        return Answer("Ready", "False", reason, message)
    return Answer("Ready", "True", "Running", f"connect to {endpoint}")


def _missing(spec: Spec, wanted: Desired[Names], objects: Mapping[Place, Json]) -> tuple[str, str]:
    """What the built-in server lacks: a reason and a sentence; empty: nothing."""
    if (found := not_running(objects.get((STATEFULSET, wanted.names.name)), wanted.names.name)) is not None:
        return found
    pooler = objects.get(("Deployment", wanted.names.pooler))
    if spec.pooler.enabled and not ((pooler or {}).get("status") or {}).get("availableReplicas"):
        return "PoolerNotReady", f"no pod of the Deployment {wanted.names.pooler} is available"
    return "", ""


def not_running(server: Json | None, name: str) -> tuple[str, str] | None:
    """What a StatefulSet of one server lacks: a reason and a sentence."""
    if server is None:
        return "NotMade", "the server is not made yet"
    state = server.get("status") or {}
    if state.get("observedGeneration", 0) < server["metadata"].get("generation", 0):
        return "Changing", "Kubernetes has not taken over the last change of the server yet"
    is_changing = state.get("updateRevision") != state.get("currentRevision")
    if is_changing and not state.get("readyReplicas"):
        said = (
            f"no pod of {name} answers since the last change; to go back, undo it, then: kubectl delete pod {name}-0, "
            "which Kubernetes does not start again by itself"
        )
        return "ChangeNotTaken", said
    if not state.get("readyReplicas"):
        return "ServerNotReady", f"the pod {name}-0 does not answer; try: kubectl describe pod"
    if is_changing:
        return "Changing", "pods are started again, one at a time, with what is new; one that does not answer ends that"
    return None


def _cnpg_missing(spec: Spec, cluster: Json | None) -> tuple[str, str]:
    if cluster is None:
        return "NotMade", "the Cluster is not made yet"
    state = cluster.get("status") or {}
    ready = state.get("readyInstances") or 0
    if ready < spec.replicas:
        said = f": {state['phase']}" if state.get("phase") else ""
        return "ServerNotReady", f"expected {spec.replicas} ready instances, found {ready}{said}"
    return "", ""


def phase_of(ready: Answer, server: Json | None, *, is_refused: bool) -> Phase:
    """The phase, by the answer on `Ready` and by what runs the server."""
    if ready.status == "True":
        return "Running"
    if server is None:
        return "Failed" if is_refused else "Pending"
    state = server.get("status") or {}
    has_run = bool(state.get("readyReplicas") or state.get("readyInstances"))
    if ready.reason == "ServerNotReady" and not has_run:
        return "Initializing"
    return "Degraded"


def _others(
    spec: Spec, wanted: Desired[Names], objects: Mapping[Place, Json], findings: Findings, figures: Figures
) -> Iterator[Answer]:
    yield from resize(wanted, objects, findings)
    if spec.backup.enabled:
        yield backup(objects.get(("CronJob", wanted.names.backup)))
    yield from common(findings, figures, has_figures=figures.connections is not None)


def resize(wanted: Desired[Any], objects: Mapping[Place, Json], findings: Findings) -> Iterator[Answer]:
    """On volumes that are to grow."""
    for claim, size in list(wanted.growth.items())[:1]:
        found = objects.get((CLAIM, claim), {})
        said = (found.get("status") or {}).get("capacity", {}).get("storage", "unknown")
        if findings.growth_fault:
            yield Answer("StorageResize", "False", "Refused", findings.growth_fault)
        else:
            yield Answer("StorageResize", "Unknown", "Growing", f"{size} is asked for, the volume {claim} has {said}")


def volumes_left(
    wanted: Desired[Any], objects: Mapping[Place, Json], findings: Findings, component: str
) -> Iterator[Answer]:
    """On volumes of a component that no server starts on now."""
    unused = left(wanted, objects, component)
    if unused and findings.refusal is None:
        said = f"no server uses {', '.join(unused)} now; try: kubectl delete pvc {' '.join(unused)}"
        yield Answer("VolumesLeft", "True", "ScaledIn", said)


def ready_of(statefulset: Json | None) -> int:
    """How many of its pods are ready."""
    return int(((statefulset or {}).get("status") or {}).get("readyReplicas") or 0)


def common(findings: Findings, figures: Figures, *, has_figures: bool) -> Iterator[Answer]:
    """What every kind says."""
    yield drift(findings)
    if has_figures:
        yield Answer("MetricsAvailable", "True", "Measured", "the figures are those of the stream")
    else:
        yield Answer("MetricsAvailable", "Unknown", "NoFigures", figures.fault or "no figures of this server")
    if findings.is_paused:
        yield Answer(PAUSED, "True", "Annotated", 'nothing is changed while kgents.io/paused is "true"')


def drift(findings: Findings) -> Answer:
    """Whether somebody changes what is ours."""
    if findings.contested:
        said = f"somebody changes {', '.join(findings.contested)} again and again; repairs pause: find who does"
        return Answer("Drift", "True", "Contested", said)
    if findings.foreign:
        return Answer("Drift", "True", "ForeignContainers", f"somebody added {', '.join(findings.foreign)}")
    return Answer("Drift", "False", "AsApplied", "all fields of ours are as applied")


def backup(cronjob: Json | None) -> Answer:
    """How the last copies went."""
    state = (cronjob or {}).get("status") or {}
    last, begun = state.get("lastSuccessfulTime"), state.get("lastScheduleTime")
    if last is None and begun is None:
        return Answer("BackupReady", "Unknown", "NoneYet", "no copy was due yet")
    if last is None:
        return Answer("BackupReady", "False", "Failed", f"no copy has succeeded; the last one began {begun}")
    if begun is not None and last < begun and not state.get("active"):
        return Answer("BackupReady", "False", "Failed", f"the copy of {begun} failed; the last good one is of {last}")
    return Answer("BackupReady", "True", "Copied", f"the last good copy is of {last}")
