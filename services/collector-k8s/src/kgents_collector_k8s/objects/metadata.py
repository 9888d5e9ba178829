"""What all API objects have in common: metadata, references, conditions, selectors. The other modules build on it."""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from kgents_shared.kubernetes.head import Head


class Lean(Struct, frozen=True, rename="camel"):
    """A part of an API object: `creation_timestamp` here is `creationTimestamp` there; unknown fields are skipped."""


class OwnerReference(Lean, frozen=True, gc=False):
    """Who owns an object; at most one of its owners is the controller."""

    kind: str
    name: str
    uid: str = ""
    api_version: str = ""
    controller: bool | None = None


class Metadata(Head, frozen=True):
    """`metadata` of every object, without managedFields."""

    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None


class ObjectReference(Lean, frozen=True, gc=False):
    """A full reference to any object (`targetRef`, `claimRef`, `regarding`, `scaleTargetRef`)."""

    kind: str = ""
    name: str = ""
    namespace: str = ""
    uid: str = ""
    api_version: str = ""
    field_path: str = ""


class Named(Lean, frozen=True, gc=False):
    """A reference by name alone, to something in the same namespace."""

    name: str = ""
    optional: bool | None = None


class Condition(Lean, frozen=True, gc=False):
    """One condition of a status. Not read: times, which change by themselves; its message, which may hold secrets."""

    type: str = ""
    status: str = ""
    """`True`, `False` or `Unknown`."""
    reason: str = ""


class Requirement(Lean, frozen=True):
    """One of a selector's `matchExpressions`."""

    key: str
    operator: str
    values: list[str] | None = None


class LabelSelector(Lean, frozen=True):
    """A selector by labels; all that it names must hold."""

    match_labels: dict[str, str] | None = None
    match_expressions: list[Requirement] | None = None


def condition(conditions: Iterable[Condition] | None, type_: str) -> Condition | None:
    """The condition of this type; None while it is not stated."""
    for each in conditions or ():
        if each.type == type_:
            return each
    return None


def holds(conditions: Iterable[Condition] | None, type_: str) -> bool:
    """Whether the condition of this type is stated and `True`."""
    found = condition(conditions, type_)
    return found is not None and found.status == "True"
