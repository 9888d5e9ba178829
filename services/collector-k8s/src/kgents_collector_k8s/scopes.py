"""Which entities depend on which resource: what may be published, what may be removed, what is not attested. Pure.

An entity is often made of several resources: a Service's status stands in its EndpointSlices, a container in its pod, a
pod's owner in a ReplicaSet. While a resource is listed for the first time, the entities that it joins wait for it, so
that they are not published twice. One that cannot be read holds nothing back: its connections stay as published.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Protocol

from msgspec import structs

from kgents_collector_k8s.mapping.fragment import Kind
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.unread import Unread
from kgents_shared.contract.vocabulary import kinds

FEEDS: Final[dict[str, tuple[str, ...]]] = {
    "pods": (kinds.POD, kinds.CONTAINER),
    "endpointslices": (kinds.SERVICE,),
}
"""Resource → kinds whose existence or status it decides; any other resource: its own kind."""

MAKERS: Final = ("deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs")
"""Resources that make pods: a Service that selects none of these pods leads nowhere."""

JOINS: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(MAKERS, (kinds.SERVICE,)),
    "replicasets": (kinds.POD, kinds.SERVICE),
    "endpointslices": (kinds.POD, kinds.SERVICE),
    "networkpolicies": (kinds.POD,),
}
"""Resource → kinds that get connections or a status from it, beside what their own resource states."""

SELECTED: Final = frozenset(
    {"pods", "deployments", "statefulsets", "daemonsets", "jobs", "cronjobs", "services", "ingresses"}
)
"""Resources that a label selector filters; ReplicaSets, slices and policies are only read to join these."""

WITHIN: Final[dict[str, str]] = {kinds.CONTAINER: kinds.POD}
"""Kinds that live inside the object of another kind."""

NAMED: Final = (kinds.CONFIGMAP, kinds.SECRET)
"""Kinds that are never read, only referred to by others: any resource may name one."""

DIVIDED: Final = (kinds.VOLUME,)
"""Kinds of several resources: their entities name their resource as `part`."""

NOT_LISTED: Final = "not listed yet"

Place = tuple[str, str]
"""A resource, and the namespace in which it is read; empty: everywhere."""


class Reading(Protocol):
    """How far one resource is read, in all namespaces or in one."""

    @property
    def kind(self) -> Kind[Any]: ...

    @property
    def namespace(self) -> str: ...

    @property
    def is_synced(self) -> bool:
        """Whether all of its objects have been listed once."""
        ...

    @property
    def is_settled(self) -> bool:
        """Whether its first list is complete, or has failed."""
        ...

    @property
    def fault(self) -> str:
        """Why it cannot be read now; empty when it can."""
        ...


class Scopes:
    """What all readings of one cluster permit, as of the last `update`."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._readings = readings
        self.unseen: frozenset[Place] = frozenset(_place(each) for each in readings)
        """What has not been listed since the start."""
        self._being_listed = self.unseen  # for the first time, and without a failure so far
        self._waiting = frozenset(kind for each in readings for kind in _touched(each))

    @property
    def is_listing(self) -> bool:
        """Whether a resource is being listed for the first time, without a failure so far."""
        return bool(self._being_listed)

    def update(self) -> set[str]:
        """Note what has been listed meanwhile; returns the kinds whose published entities may be joined with it."""
        unseen = frozenset(_place(each) for each in self._readings if not each.is_synced)
        joined = {kind for resource, _ in self.unseen - unseen for kind in JOINS.get(resource, ())} - self._waiting
        self.unseen = unseen
        self._being_listed = frozenset(_place(each) for each in self._readings if not each.is_settled)
        self._waiting = frozenset(
            kind for each in self._readings if _place(each) in self._being_listed for kind in _touched(each)
        )
        return joined

    @property
    def has_failed(self) -> bool:
        """Whether something cannot be read, and not only has not been listed yet."""
        return self._being_listed != self.unseen or any(each.fault for each in self._readings)

    def is_ready(self, kind: str) -> bool:
        """Whether entities of a kind may be published: nothing that they are made of is being listed."""
        return kind not in self._waiting

    def blocking(self, kind: str) -> frozenset[Place]:
        """The resources not listed yet that may hold entities of a kind."""
        if kind in NAMED:
            return self.unseen
        own = WITHIN.get(kind, kind)
        return frozenset(_place(each) for each in self._readings if each.kind.kind == own) & self.unseen

    def may_remove(self, ref: Ref) -> bool:
        """Whether everything that could hold or name this entity has been listed."""
        if ref.kind in NAMED:
            return not self.unseen
        own = WITHIN.get(ref.kind, ref.kind)
        return not any(
            each.kind.kind == own
            and _place(each) in self.unseen
            and each.kind.is_namespaced == bool(ref.namespace)
            and each.namespace in ("", ref.namespace)
            for each in self._readings
        )

    def unread(self) -> list[Unread]:
        """What is not attested: kinds fed by a resource that cannot be read, or whose first list is not complete."""
        found: dict[Unread, str] = {}
        for each, reason, kinds_ in self._unread():
            for kind in kinds_:
                part = each.kind.place if kind in DIVIDED else ""
                found.setdefault(Unread(kind, each.namespace, part=part), reason)
        return [structs.replace(scope, reason=reason) for scope, reason in found.items()]

    def _unread(self) -> Iterator[tuple[Reading, str, Iterable[str]]]:
        for each in self._readings:
            if each.fault:
                yield each, each.fault, _fed(each)
            elif _place(each) in self.unseen:
                fed = _touched(each) if _place(each) in self._being_listed else _fed(each)
                yield each, f"{each.kind.resource}: {NOT_LISTED}", fed


def _place(reading: Reading) -> Place:
    return reading.kind.place, reading.namespace


def _fed(reading: Reading) -> tuple[str, ...]:
    return FEEDS.get(reading.kind.place, (reading.kind.kind,))


def _touched(reading: Reading) -> tuple[str, ...]:
    return *_fed(reading), *JOINS.get(reading.kind.place, ())
