"""Kubernetes Events: an Event that is added or updated → an event of the contract about its object. Pure.

Kubernetes updates an Event that happens again and adds no new one, so the id is its uid and its count. A deletion means
that its time to live is over, and is not reported.
"""

import re
from typing import Final

from kgents_collector_k8s.mapping.fragment import SOURCE, Scope
from kgents_collector_k8s.objects import event as objects
from kgents_collector_k8s.objects.metadata import ObjectReference
from kgents_shared.contract.api_kinds import group_of, kind_of
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.event import Event
from kgents_shared.contract.masking import masked
from kgents_shared.contract.vocabulary import kinds

_TEXT_CHARS_MAX: Final = 240
"""Characters of a note that are published."""

_MESSAGE_CHARS_MAX: Final = 1_024
"""Characters that the API server accepts for a note; legacy events may be longer."""

_NOTE_CHARS_MAX: Final = 4 * _MESSAGE_CHARS_MAX
"""Characters searched for credentials before the note is cut: half a token is still a secret."""

_CRITICAL: Final = frozenset({"SystemOOM", "KernelDeadlock", "NodeNotReady", "KubeletIsDown", "ContainerRuntimeIsDown"})
"""Reasons that threaten a node and all that runs on it."""

_ERROR: Final = frozenset(
    {
        "Failed", "FailedCreate", "FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedBinding",
        "FailedCreatePodSandBox", "FailedPostStartHook", "OOMKilling", "Evicted", "InvalidDiskCapacity",
        "ProvisioningFailed", "VolumeFailedDelete", "BackoffLimitExceeded", "DeadlineExceeded", "NetworkNotReady",
        "FailedGetScale", "TaintManagerEviction", "ErrImageNeverPull", "InspectFailed",
    }
)  # fmt: skip
"""Reasons that mean a failure. Warnings that pass by themselves (`Unhealthy`, `BackOff`) are not listed."""

_WITHOUT_NAMESPACE: Final = ("Node", "Namespace", "PersistentVolume")
"""Kinds whose Events are in the namespace `default`, which some reporters put into the reference, too."""

_FIELD: Final = re.compile(r"spec\.(?:containers|initContainers|ephemeralContainers)\{([^}]+)\}")


def event(found: objects.Event, scope: Scope) -> Event | None:
    """The event; None for one without a time or an object."""
    series = found.series
    repeated_at = series.last_observed_time if series is not None else None
    created_at = found.metadata.creation_timestamp
    last_at = repeated_at or found.event_time or found.deprecated_last_timestamp or created_at
    if last_at is None or not found.regarding.name:
        return None
    first_at = found.deprecated_first_timestamp or found.event_time or created_at or last_at
    count = max(1, series.count if series is not None else 0, found.deprecated_count)
    ref = _ref(found.regarding, scope)
    note = masked(found.note[:_NOTE_CHARS_MAX])
    return Event(
        text=_text(ref, found.reason, note, count),
        id=f"{found.metadata.uid}-{count}",
        ref=ref,
        source=SOURCE,
        type=found.type,
        reason=found.reason,
        severity=_severity(found),
        first_at=min(first_at, last_at),
        last_at=last_at,
        message=note[:_MESSAGE_CHARS_MAX],
        count=count,
        uid=_uid(found.regarding, ref),
    )


def _ref(regarding: ObjectReference, scope: Scope) -> Ref:
    """The entity it is about: for an event on a container of a pod, the container."""
    kind = kind_of(regarding.kind, group_of(regarding.api_version))
    inside = _FIELD.fullmatch(regarding.field_path) if kind == "pod" else None
    if inside is not None:
        return Ref(scope.cluster, kinds.CONTAINER, f"{regarding.name}/{inside[1]}", regarding.namespace)
    namespace = "" if regarding.kind in _WITHOUT_NAMESPACE else regarding.namespace
    return Ref(scope.cluster, kind, regarding.name, namespace)


def _severity(found: objects.Event) -> str:
    """By its reason, not its type: `NodeNotReady` is an event of the type Normal."""
    if found.reason in _CRITICAL:
        return "critical"
    if found.reason in _ERROR:
        return "error"
    return "warning" if found.type == "Warning" else "info"


def _uid(regarding: ObjectReference, ref: Ref) -> str:
    """The incarnation, if the Event has it: not for a container, and kubelets put a node's name in its place."""
    return "" if ref.kind == kinds.CONTAINER or regarding.uid == regarding.name else regarding.uid


def _text(ref: Ref, reason: str, note: str, count: int) -> str:
    """One sentence, e.g. `container shop/cart-7f/app: Back-off restarting failed container (7 times).`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", reason).lower()
    said = " ".join(note.split()) or words or "something happened"
    if len(said) > _TEXT_CHARS_MAX:
        said = said[: _TEXT_CHARS_MAX - 1] + "…"
    times = f" ({count} times)" if count > 1 else ""
    return f"{ref}: {said.rstrip('. ')}{times}."
