"""An entity → its entity event: OpenTelemetry's data model of entities, whose status is Development. Pure.

A state event is the whole state; there is none for a change.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from kgents_otlp_exporter.mapping.identity import Identity, identity, named
from kgents_otlp_exporter.record import Record
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.otel_entities import CLUSTER, relation_of
from kgents_shared.contract.topology import ResolvedConnection
from kgents_shared.view.entity import EntityView

STATE: Final = "entity.state"
DELETE: Final = "entity.delete"
RELATIONSHIPS_MAX: Final = 1_000
"""Of one entity: a Service of ten thousand pods has as many, and a record is to fit into a request."""

Find = Callable[[Ref], EntityView | None]
"""What is known of an entity by its name."""


def state(view: EntityView, find: Find, interval_s: float, time_ns: int = 0) -> Record:
    """The whole state of an entity, with what it is related to.

    Args:
        view: the entity.
        find: finds the entities at the other ends, whose ids are needed.
        interval_s: how often it is sent.
        time_ns: when it became so; 0: not known.
    """
    attributes = {
        **identity(view.ref, view.topology).attributes(),
        "entity.description": _description(view),
        "entity.report.interval": int(interval_s),
        CLUSTER: view.ref.cluster,
    }
    if relationships := list(_relationships(view, find)):
        attributes["entity.relationships"] = relationships[:RELATIONSHIPS_MAX]
    return Record(STATE, view.ref.cluster, attributes, time_ns)


def deleted(ref: Ref, gone: Identity, reason: str = "", time_ns: int = 0) -> Record:
    """That an entity is gone."""
    attributes: dict[str, Any] = {**gone.attributes(), CLUSTER: ref.cluster}
    if reason:
        attributes["entity.delete.reason"] = reason
    return Record(DELETE, ref.cluster, attributes, time_ns)


def same(before: EntityView, after: EntityView) -> bool:
    """Whether the state of an entity is the same for OpenTelemetry: its traffic is no state there."""
    return _described(before) == _described(after)


def _described(view: EntityView) -> tuple[Mapping[str, Any], list[tuple[str, str, Ref]]]:
    return _description(view), [(each.kind, each.direction, each.peer) for each in _connections(view)]


def _description(view: EntityView) -> dict[str, Any]:
    topology = view.topology
    found: dict[str, Any] = {**named(view.ref), "kgents.status": view.status}
    if topology is not None:
        found = {**topology.attributes, **found}
        if topology.reason:
            found["kgents.status.reason"] = topology.reason
        if topology.labels:
            found["kgents.labels"] = dict(topology.labels)
        if topology.stale:
            found["kgents.stale"] = list(topology.stale)
    return {name: value for name, value in found.items() if value is not None}


def _relationships(view: EntityView, find: Find) -> Iterator[dict[str, Any]]:
    for each in _connections(view):
        peer = find(each.peer)
        relation = relation_of(each.kind, each.direction, each.peer.kind)
        yield {
            "relationship.type": relation,
            **identity(each.peer, peer.topology if peer is not None else None).attributes(),
        }


def _connections(view: EntityView) -> list[ResolvedConnection]:
    return view.topology.connections if view.topology is not None else []
