"""One kind of database: how to poll it, and what a poll means. `watches.py` picks them, `watch.py` runs them."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from kgents_collector_db.mapping.facts import Scope, Unreachable
from kgents_collector_db.source import Source
from kgents_collector_db.targets.target import Target
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.facts import Facts


class Sample(Protocol):
    """What the frame must know of any backend's sample."""

    @property
    def unreachable(self) -> Unreachable | None:
        """Why the poll gave nothing; None when it gave something."""
        ...

    @property
    def faults(self) -> tuple[str, ...]:
        """What alone could not be read, one sentence each."""
        ...


S = TypeVar("S", bound=Sample)


class Backend(Struct, Generic[S], frozen=True):
    """How one target is watched."""

    name: str
    target: Target
    open: Callable[[], Source[S]]
    observe: Callable[[S | None, S, Scope], Facts]

    @property
    def part(self) -> str:
        """What its entities are a part of: this target among all."""
        return part(self.target.namespace, self.name)


def part(namespace: str, name: str) -> str:
    """The part of what is collected that a target is."""
    return f"{namespace}/{name}"


def part_of(entity: Entity) -> str:
    """The part that an entity is of: named like its target, or `<its name>/…`, in the same namespace.

    So it is known also before a target is polled for the first time, and when it is no longer configured.
    """
    return part(entity.ref.namespace, entity.ref.name.partition("/")[0])
