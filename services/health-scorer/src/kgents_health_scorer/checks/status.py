"""KG-0xx, the state of any entity: topology entity → failed, stuck, or not known. Part of the catalogue."""

from typing import Final

from kgents_health_scorer.checks.check import AgeCheck, Check, State, StateCheck, Thresholds
from kgents_health_scorer.checks.kubernetes import OWN_REASONS
from kgents_health_scorer.checks.restarts import CRASH_LOOP, OOM_KILLED
from kgents_shared.contract.health import STALE, UnknownFigure
from kgents_shared.contract.vocabulary import kinds

FAILED: Final = "KG-001"
PENDING: Final = "KG-004"
SILENT: Final = "KG-006"
UNKNOWN: Final = "KG-007"

CANNOT_START: Final = frozenset(
    {
        "ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError",
        "CreateContainerConfigError", "CreateContainerError",
    }
)  # fmt: skip
"""Reasons of a container that cannot be started, and does not get better by waiting."""

JUDGED: Final = CANNOT_START | OWN_REASONS | {CRASH_LOOP}
"""Reasons that another check judges."""

RESTART_S: Final = 300.0
"""How long a failed container of a pod that is not over may wait for its restart: the kubelet's longest pause."""

DESIRED: Final = frozenset({"paused", "suspended", "schedulinggated"})
"""Reasons, in lower case, of an entity that waits on purpose."""

NOT_KNOWN: Final = 0.2
"""As bad as a warning: not knowing is not a failure, and it is never health."""


def _failed(state: State) -> str | None:
    if state.entity.status != "failed" or state.is_ending or state.word in JUDGED:
        return None
    if state.may_restart and (state.word == OOM_KILLED or state.reason_age_s < RESTART_S):
        return None
    return state.entity.reason or "failed"


def _failing(state: State) -> str | None:
    return state.entity.reason if state.word in CANNOT_START and not state.is_ending else None


def _stale(state: State) -> str | None:
    return ", ".join(state.entity.stale) or None


def _pending_s(state: State) -> float:
    entity = state.entity
    is_waiting = entity.status == "pending" and entity.reason.lower() not in DESIRED and state.word not in JUDGED
    return state.status_age_s if is_waiting and not state.lost_service else 0.0


def _unknown(state: State) -> str | None:
    # The wire's set of statuses is open: one that a newer peer sends is not known here.
    known = ("running", "pending", "failed", "terminating", "succeeded")
    is_known = state.entity.status in known or state.entity.ref.kind == kinds.SOURCE  # of that, KG-010 says more
    return None if is_known else state.entity.reason or state.entity.status or "unknown"


def _silent(state: State) -> str | None:
    return None if state.is_ending else ", ".join(state.silent) or None


def _lapsed(state: State) -> str | None:
    return None if state.is_ending else ", ".join(map(_worded, state.unknown)) or None


def _worded(figure: UnknownFigure) -> str:
    return f"{figure.figure} ({figure.check}) since {figure.since:%Y-%m-%dT%H:%M:%SZ}"


CHECKS: Final[tuple[Check, ...]] = (
    StateCheck(
        id=FAILED,
        name="failed",
        find=_failed,
        severity=1.0,
        turns_s=(RESTART_S,),
        text="{entity} has failed: {value}.",
        why="It does not run, whatever its last figures say. Read its logs and events.",
        source="The platform itself reports it. A container that its pod may still restart has five minutes, the "
        "longest pause of the kubelet.",
    ),
    StateCheck(
        id="KG-002",
        name="cannot start",
        find=_failing,
        severity=0.7,
        text="{entity} cannot start: {value}.",
        why="Its image cannot be pulled (ImagePullBackOff: check the image's name and the pull secret), or it cannot "
        "be created (CreateContainerConfigError: a ConfigMap or Secret is missing). Its events say which.",
        source="Waiting reasons of the kubelet. 0.7: it serves no one, yet it starts as soon as the cause is gone, "
        "which a failed entity does not.",
    ),
    StateCheck(
        id=STALE,
        name="source silent",
        find=_stale,
        severity=NOT_KNOWN,
        means_unknown=True,
        alerts=False,
        text="{value} does not attest {entity}: what is known of it may be out of date.",
        why="The collector of this source is down, or cannot read this entity. The entity itself may be healthy. "
        "Readers show it of every entity that is stale; the one alert is KG-010 or KG-011 of the source.",
        source="As for KG-010 and KG-011.",
    ),
    AgeCheck(
        id=PENDING,
        name="pending for too long",
        age_s=_pending_s,
        thresholds=Thresholds(warn=300.0, crit=900.0),
        unit="s",
        text="{entity} has been pending for {value} (threshold {threshold}).",
        why="It waits for something that does not come: room on a node, a volume, an image. Its events name it.",
        source="Five minutes: pulling a large image takes that long. Fifteen: Prometheus' kubernetes-mixin, "
        "KubePodNotReady.",
    ),
    StateCheck(
        id="KG-005",
        name="status unknown",
        find=_unknown,
        severity=NOT_KNOWN,
        means_unknown=True,
        alerts=False,
        text="The status of {entity} is unknown: {value}.",
        why="Its source does not know it, as for a pod on a lost node, or its collector has no access to it: then the "
        "alert of the source (KG-011) has the reason and a command to try.",
        source="No threshold is involved.",
    ),
    StateCheck(
        id=SILENT,
        name="no samples",
        find=_silent,
        severity=NOT_KNOWN,
        means_unknown=True,
        alerts=False,
        text="{entity} has missed three samples from {value}.",
        why="Its figures are no longer measured. The last ones still count, but they no longer prove health.",
        source="Three intervals, as the pulse's contract says: one sample late is jitter, three are an outage.",
    ),
    StateCheck(
        id=UNKNOWN,
        name="figure no longer known",
        find=_lapsed,
        severity=NOT_KNOWN,
        means_unknown=True,
        text="No longer known of {entity}: {value}.",
        why="A check had found something by this figure, and its source has not been able to read the figure since, or "
        "the application sends nothing any more. It may still be so. The event or the log of the collector says what "
        "it cannot read; an application that was stopped on purpose is removed after its collector's `idle_s`.",
        source="Five minutes or three intervals, whichever is longer: shorter gaps keep the finding as it is.",
    ),
)
