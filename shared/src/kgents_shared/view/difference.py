"""Two views of one entity, or two states of all → what differs, field by field. Pure.

A topology message holds what changed since the previous one. This compares any two, health and alerts included.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from kgents_shared.contract.entity import Ref, Value
from kgents_shared.contract.topology import Difference, ResolvedConnection, TopologyEntity
from kgents_shared.view.entity import EntityView

_SCALARS: Final = ("status", "reason", "uid")
_LISTS: Final = ("stale", "sources", "addresses", "aliases")
_MAPPINGS: Final = ("labels", "annotations", "attributes")


class EntityDifference(msgspec.Struct, frozen=True):
    """One entity at two times."""

    ref: Ref
    before: EntityView | None
    """None: it did not exist."""
    after: EntityView | None
    """None: it is gone."""
    fields: list[Difference]
    """What differs; empty if the entity was added or removed."""

    @property
    def op(self) -> str:
        """`added`, `changed` or `removed`."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


def differences(before: Iterable[EntityView], after: Iterable[EntityView]) -> list[EntityDifference]:
    """Every entity that differs between two states, sorted by name."""
    old = {each.key: each for each in before}
    new = {each.key: each for each in after}
    found = (_difference(old.get(key), new.get(key)) for key in old.keys() | new.keys())
    return sorted((each for each in found if each is not None), key=lambda each: each.ref)


def fields(before: EntityView, after: EntityView) -> list[Difference]:
    """Every field that differs between two views of an entity, the most important first."""
    if before.rows == after.rows:
        return []
    old, new = dict(_flat(before)), dict(_flat(after))
    paths = dict.fromkeys((*new, *old))
    return [Difference(path, old.get(path), new.get(path)) for path in paths if old.get(path) != new.get(path)]


def _difference(old: EntityView | None, new: EntityView | None) -> EntityDifference | None:
    if old is None or new is None:
        present = old or new
        return EntityDifference(present.ref, old, new, []) if present is not None else None
    found = fields(old, new)
    return EntityDifference(new.ref, old, new, found) if found else None


def _flat(view: EntityView) -> Iterator[tuple[str, Value]]:
    """Path → value, as `Difference.field` spells paths."""
    topology = view.topology
    if topology is not None:
        yield from ((field, getattr(topology, field)) for field in _SCALARS)
    yield "health.level", view.level
    yield "health.reasons", sorted(each.check for each in view.reasons)
    yield from ((f"alerts.{each.check}", f"{each.state} {each.severity}") for each in view.alerts)
    if topology is not None:
        yield from _details(topology)


def _details(topology: TopologyEntity) -> Iterator[tuple[str, Value]]:
    yield "created_at", topology.created_at.isoformat() if topology.created_at is not None else None
    yield from ((field, sorted(getattr(topology, field))) for field in _LISTS)
    for field in _MAPPINGS:
        values: Mapping[str, Value] = getattr(topology, field)
        yield from ((f"{field}.{key}", values[key]) for key in sorted(values))
    yield from sorted((_path(each), "connected") for each in topology.connections)


def _path(connection: ResolvedConnection) -> str:
    arrow = "→" if connection.direction == "out" else "←"
    return f"connections.{connection.kind} {arrow} {connection.peer}"
