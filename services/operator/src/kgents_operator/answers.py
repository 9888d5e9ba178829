"""What several kinds say of their servers: whether they run, take a change, grow, are copied. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from kgents_operator.desired.outcome import CLAIM, STATEFULSET, Place, claimed, left
from kgents_operator.status import PROGRESSING, Answer, Lack, Seen, conditions_of
from kgents_shared.kubernetes.quantity import number

Json = dict[str, Any]

CHANGE: Final = timedelta(minutes=10)
"""A change that pods have not taken after this time has stopped: as long as Kubernetes gives a Deployment."""


def not_running(seen: Seen[Any, Any], name: str) -> Lack | None:
    """What a StatefulSet lacks of which one pod is enough; None: nothing."""
    server = seen.objects.get((STATEFULSET, name))
    if server is None:
        return Lack("NotMade", "the server is not made yet")
    state = server.get("status") or {}
    if state.get("observedGeneration", 0) < server["metadata"].get("generation", 0):
        return Lack("Changing", "Kubernetes has not taken over the last change of the server yet")
    if _is_behind((STATEFULSET, name), server):
        return Lack(
            "Changing", "pods are started again, one at a time, with what is new; one that does not answer ends that"
        )
    if not state.get("readyReplicas"):
        return _not_ready(seen, name, state)
    return None


def _not_ready(seen: Seen[Any, Any], name: str, state: Json) -> Lack:
    """Why no pod answers, as far as it can be seen without reading pods."""
    for claim, statefulset in seen.wanted.claims.items():
        phase = (seen.objects.get((CLAIM, claim), {}).get("status") or {}).get("phase")
        if statefulset == name and phase == "Pending":
            said = f"the volume {claim} of {name} is not there yet; try: kubectl describe pvc {claim}"
            return Lack("VolumePending", said)
    if state.get("replicas") == 0:
        said = f"Kubernetes makes no pod of {name}, as a quota or a policy may want; try: kubectl describe sts {name}"
        return Lack("NoPod", said)
    said = (
        f"the pod {name}-0 does not answer; try: kubectl describe pod {name}-0, kubectl logs {name}-0; after a change "
        f"that was undone: kubectl delete pod {name}-0"
    )
    return Lack("ServerNotReady", said)


def progress(seen: Seen[Any, Any], *places: Place) -> Iterator[Answer]:
    """On a change that not all pods run with yet: under way, or stopped. Of none that is under way nothing is said.

    Nothing is undone by itself: a server that ran with what is new may have written in its format.
    """
    behind = [place for place in places if _is_behind(place, seen.objects.get(place))]
    if not behind:
        return
    named = ", ".join(" ".join(each) for each in behind)
    if _time_left(seen) > timedelta():
        yield Answer(PROGRESSING, "True", "Changing", f"pods of {named} are started again with what is new")
        return
    said = (
        f"{named}: after {CHANGE.seconds // 60} minutes not every pod answers with what is new, and no other is "
        "started again; see its log; to go back undo the change, then kubectl delete pod the one that does not answer, "
        "which Kubernetes does not start again by itself"
    )
    yield Answer(PROGRESSING, "False", "ChangeNotTaken", said)


def _time_left(seen: Seen[Any, Any]) -> timedelta:
    old = seen.condition_before(PROGRESSING)
    if old.get("observedGeneration") != seen.generation or old.get("status") not in ("True", "False"):
        return CHANGE
    if old["status"] == "False":
        return timedelta()
    return _time_of(old) + CHANGE - seen.now


def again_s(status: Json, now: datetime) -> float | None:
    """After how many seconds a status may be another one without a change of any object; None: never."""
    under_way = conditions_of(status).get(PROGRESSING, {})
    if under_way.get("status") != "True":
        return None
    return max(1.0, (_time_of(under_way) + CHANGE - now).total_seconds() + 1)


def _time_of(condition: Json) -> datetime:
    return datetime.fromisoformat(condition["lastTransitionTime"])


def _is_behind(place: Place, found: Json | None) -> bool:
    """Whether it has pods of an earlier revision, which are to become newer ones."""
    state = (found or {}).get("status") or {}
    if place[0] == STATEFULSET:
        return bool(state.get("updateRevision") != state.get("currentRevision"))
    return int(state.get("replicas") or 0) > int(state.get("updatedReplicas") or 0)


def resize(seen: Seen[Any, Any]) -> Iterator[Answer]:
    """On volumes that are to grow, until they have."""
    if seen.findings.growth_fault:
        yield Answer("StorageResize", "False", "Refused", seen.findings.growth_fault)
        return
    for claim in seen.wanted.claims:
        found = seen.objects.get((CLAIM, claim), {})
        state = found.get("status") or {}
        size, has = seen.wanted.growth.get(claim) or claimed(found), state.get("capacity", {}).get("storage")
        if has is not None and (number(has) or 0) < (number(size) or 0):
            why = "".join(f"; {each['message']}" for each in state.get("conditions") or () if each.get("message"))
            yield Answer(
                "StorageResize", "Unknown", "Growing", f"{size} is asked for, the volume {claim} has {has}{why}"
            )
            return


def volumes_left(seen: Seen[Any, Any], component: str) -> Iterator[Answer]:
    """On volumes of a component that no server starts on now."""
    unused = left(seen.wanted, seen.objects, component)
    if unused and seen.findings.refusal is None:
        said = f"no server uses {', '.join(unused)} now; try: kubectl delete pvc {' '.join(unused)}"
        yield Answer("VolumesLeft", "True", "ScaledIn", said)


def ready_of(statefulset: Json | None) -> int:
    """How many of its pods are ready."""
    return int(((statefulset or {}).get("status") or {}).get("readyReplicas") or 0)


def backup(seen: Seen[Any, Any]) -> Iterator[Answer]:
    """How the last copies went, if any are asked for."""
    if not seen.spec.backup.enabled:
        return
    state = seen.objects.get(("CronJob", seen.wanted.names.backup), {}).get("status") or {}
    last, begun = state.get("lastSuccessfulTime"), state.get("lastScheduleTime")
    if last is None and begun is None:
        yield Answer("BackupReady", "Unknown", "NoneYet", "no copy was due yet")
    elif last is None and state.get("active"):
        yield Answer("BackupReady", "Unknown", "NoneYet", f"the first copy is being made since {begun}")
    elif last is None:
        yield Answer("BackupReady", "False", "Failed", f"no copy has succeeded; the last one began {begun}")
    elif begun is not None and last < begun and not state.get("active"):
        said = f"the copy of {begun} failed; the last good one is of {last}"
        yield Answer("BackupReady", "False", "Failed", said)
    else:
        yield Answer("BackupReady", "True", "Copied", f"the last good copy is of {last}")
