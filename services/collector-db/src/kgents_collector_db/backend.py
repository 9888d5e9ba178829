"""One kind of database: how to poll it and how to map a poll. `backends.py` makes them, `watch.py` runs them."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from kgents_collector_db.mapping.facts import Scope, Unreachable
from kgents_collector_db.source import Source
from kgents_collector_db.targets.target import Target
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.facts import Facts


class Sample(Protocol):
    """The fields of every backend's sample that `watch.py` reads."""

    @property
    def unreachable(self) -> Unreachable | None:
        """Why the poll read nothing; None when it read at least one section."""
        ...

    @property
    def faults(self) -> tuple[str, ...]:
        """The sections that could not be read, one sentence each."""
        ...


S = TypeVar("S", bound=Sample)


class Backend(Struct, Generic[S], frozen=True):
    """How one target is polled and mapped."""

    name: str
    target: Target
    open: Callable[[], Source[S]]
    observe: Callable[[S | None, S, Scope], Facts]

    @property
    def part(self) -> str:
        """The part of the collection that its entities belong to."""
        return part(self.target.namespace, self.name)


def part(namespace: str, name: str) -> str:
    """The name of the part of the collection that a target has for itself."""
    return f"{namespace}/{name}"


def part_of(entity: Entity) -> str:
    """The part that an entity belongs to: the entity is named like its target, or `<target>/…`, in the same namespace.

    So it is known before the first poll of a target, and after the target was removed from the configuration.
    """
    return part(entity.ref.namespace, entity.ref.name.partition("/")[0])
