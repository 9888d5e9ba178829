"""What one poll leaves published of a part: the plain reference of `runtime.collector`."""

from collections.abc import Iterable, Sequence

from kgents_shared.contract.entity import Entity
from kgents_shared.contract.unread import Unread


def with_unread(
    entities: Iterable[Entity], published: Iterable[Entity], unread: Sequence[Unread], part: str = ""
) -> list[Entity]:
    """What was read, and the published entities that could not be read."""
    found = list(entities)
    known = {entity.ref for entity in found}
    found += [
        each for each in published if each.ref not in known and any(scope.covers(each.ref, part) for scope in unread)
    ]
    return found
