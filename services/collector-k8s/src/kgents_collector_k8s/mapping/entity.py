"""What all objects have in common: metadata → the entity's name, labels, owner; each kind's mapping builds on it."""

from collections.abc import Iterable, Mapping
from sys import intern
from typing import Final

from kgents_collector_k8s.mapping.fragment import SOURCE, Owner, Scope
from kgents_collector_k8s.objects.metadata import Metadata
from kgents_shared.contract.api_kinds import group_of
from kgents_shared.contract.entity import Connection, Entity, Ref, Value
from kgents_shared.contract.vocabulary.attributes import kubernetes as attribute

Attributes = dict[str, Value]

Status = tuple[str, str]
"""Status and reason."""

_HASHES: Final = frozenset(
    {
        "pod-template-hash",
        "controller-revision-hash",
        "pod-template-generation",
        "controller-uid",
        "batch.kubernetes.io/controller-uid",
    }
)
"""Labels by which controllers recognise their objects. They mean nothing to others and differ at every rollout."""

_ANNOTATIONS: Final = ("kgents.io/", "resource.opentelemetry.io/")
"""Only these annotations are read: `last-applied-configuration` holds whole objects with all their values."""

_TERMINATING: Final = ("terminating", "")


def ref_of(metadata: Metadata, kind: str, scope: Scope) -> Ref:
    """The object's ref. Strings that repeat in thousands of objects are interned."""
    return Ref(scope.cluster, kind, metadata.name, intern(metadata.namespace))


def entity(
    metadata: Metadata,
    kind: str,
    scope: Scope,
    *,
    status: Status,
    attributes: Attributes,
    addresses: Iterable[str] = (),
    aliases: Iterable[str] = (),
    connections: Iterable[Connection] = (),
) -> Entity:
    """The entity of an object. One that waits for its finalizers is terminating; one that is over keeps its status."""
    if metadata.deletion_timestamp is not None:
        status = status if status[0] in ("failed", "succeeded", "unknown") else _TERMINATING
        attributes = attributes | {attribute.DELETION_GRACE_PERIOD: metadata.deletion_grace_period_seconds}
    return Entity(
        ref=ref_of(metadata, kind, scope),
        source=SOURCE,
        uid=metadata.uid,
        status=status[0],
        reason=status[1],
        labels=labels_of(metadata),
        annotations=annotations_of(metadata),
        attributes=given(attributes),
        addresses=distinct(addresses),
        aliases=distinct(aliases),
        connections=list(connections),
        created_at=metadata.creation_timestamp,
    )


def labels_of(metadata: Metadata) -> dict[str, str]:
    """All labels but the hashes."""
    labels = metadata.labels
    return {intern(key): intern(labels[key]) for key in labels if key not in _HASHES} if labels else {}


def hashes_of(metadata: Metadata) -> dict[str, str]:
    """The hashes among the labels: not shown, but a selector may still match them."""
    labels = metadata.labels
    return {intern(key): intern(labels[key]) for key in labels if key in _HASHES} if labels else {}


def annotations_of(metadata: Metadata) -> dict[str, str]:
    """Only annotations meant for kgents or for OpenTelemetry."""
    found = metadata.annotations
    return {key: found[key] for key in found if key.startswith(_ANNOTATIONS)} if found else {}


def owner_of(metadata: Metadata) -> Owner | None:
    """The controlling owner."""
    for each in metadata.owner_references or ():
        if each.controller:
            return Owner(intern(each.kind), intern(group_of(each.api_version)), each.name, each.uid)
    return None


def given(attributes: Mapping[str, Value]) -> Attributes:
    """The attributes that have a value. Zero and `false` are values; None, an empty text or list are not."""
    return {key: value for key, value in attributes.items() if value or value == 0}


def distinct(values: Iterable[str]) -> list[str]:
    """Each once, in the given order, without empty ones."""
    return [value for value in dict.fromkeys(values) if value]
