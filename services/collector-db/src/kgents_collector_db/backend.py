"""One kind of database: how to look at it, and what a look means. `watches.py` picks them, `watch.py` runs them."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from kgents_collector_db.mapping.facts import Blindness, Facts, Scope
from kgents_collector_db.source import Source
from kgents_collector_db.targets.target import Target


class Sample(Protocol):
    """What the frame must know of any backend's sample."""

    @property
    def blindness(self) -> Blindness | None:
        """Why the look gave nothing; None when it gave something."""
        ...

    @property
    def faults(self) -> tuple[str, ...]:
        """What alone could not be read, one sentence each."""
        ...


S = TypeVar("S", bound=Sample)

Owner = tuple[str, str]
"""A target among all: its namespace and its name."""


class Backend(Struct, Generic[S], frozen=True):
    """How one target is watched."""

    name: str
    target: Target
    open: Callable[[], Source[S]]
    observe: Callable[[S | None, S, Scope], Facts]

    @property
    def owner(self) -> Owner:
        """Whose its entities are."""
        return self.target.namespace, self.name
