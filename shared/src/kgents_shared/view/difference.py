"""Two views of one entity, or two states of all → what differs, field by field. Pure.

A topology message holds what changed since the previous one. This compares any two, health and alerts included.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

import msgspec

from kgents_shared.contract.entity import Ref, Value
from kgents_shared.contract.subjects import ROOT
from kgents_shared.contract.topology import Difference, ResolvedConnection, TopologyEntity
from kgents_shared.view.entity import EntityView, subject_of

_SCALARS: Final = ("status", "reason", "uid")
_LISTS: Final = ("stale", "sources", "addresses", "aliases")
_MAPPINGS: Final = ("labels", "annotations", "attributes")
_HEALTH, _ALERTS = "health", "alerts"


class EntityDifference(msgspec.Struct, frozen=True):
    """One entity at two times."""

    ref: Ref
    before: EntityView | None
    """None: it did not exist, as far as that is known."""
    after: EntityView | None
    """None: it is gone, as far as that is known."""
    fields: list[Difference]
    """What differs; empty if the entity is there at one of the two times alone."""
    is_known: bool = True
    """False: it is there at one time, and whether it was so at the other one is not known."""

    @property
    def op(self) -> str:
        """`added`, `changed` or `removed`; `unknown`: one of these, or none."""
        if not self.is_known:
            return "unknown"
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


def differences(
    before: Iterable[EntityView], after: Iterable[EntityView], forgotten: Iterable[str] = ()
) -> list[EntityDifference]:
    """Every entity that differs between two states, sorted by name.

    Args:
        before: the first state.
        after: the second one.
        forgotten: subjects of which the message of one of the two is not known, `kgents.health.>` for a whole signal:
            what is known of one time alone is no difference.
    """
    old = {each.key: each for each in before}
    new = {each.key: each for each in after}
    unknown = frozenset(forgotten)
    found = (_difference(old.get(key), new.get(key), unknown) for key in old.keys() | new.keys())
    return sorted((each for each in found if each is not None), key=lambda each: each.ref)


def fields(before: EntityView, after: EntityView) -> list[Difference]:
    """Every field that differs between two views of an entity, the most important first."""
    if before.rows == after.rows:
        return []
    old, new = dict(_flat(before)), dict(_flat(after))
    paths = dict.fromkeys((*new, *old))
    return [Difference(path, old.get(path), new.get(path)) for path in paths if old.get(path) != new.get(path)]


def _difference(old: EntityView | None, new: EntityView | None, unknown: Collection[str]) -> EntityDifference | None:
    if old is None or new is None:
        present = old or new
        if present is None:
            return None
        return EntityDifference(present.ref, old, new, [], not _is_unknown("topology", present.key, "", unknown))
    found = fields(old, new)
    if unknown:
        found = [each for each in found if not _is_of_unknown(each, new.key, unknown)]
    return EntityDifference(new.ref, old, new, found) if found else None


def _is_of_unknown(difference: Difference, key: str, unknown: Collection[str]) -> bool:
    part, _, name = difference.field.partition(".")
    if part == _HEALTH:
        return _is_unknown("health", key, "", unknown)
    return part == _ALERTS and _is_unknown("alert", key, name, unknown)


def _is_unknown(signal: str, key: str, check: str, unknown: Collection[str]) -> bool:
    return f"{ROOT}.{signal}.>" in unknown or subject_of(signal, key, check) in unknown


def _flat(view: EntityView) -> Iterator[tuple[str, Value]]:
    """Path → value, as `Difference.field` spells paths."""
    topology = view.topology
    if topology is not None:
        yield from ((field, getattr(topology, field)) for field in _SCALARS)
    yield f"{_HEALTH}.level", view.level
    yield f"{_HEALTH}.reasons", sorted(each.check for each in view.reasons)
    yield from ((f"{_ALERTS}.{each.check}", f"{each.state} {each.severity}") for each in view.alerts)
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
