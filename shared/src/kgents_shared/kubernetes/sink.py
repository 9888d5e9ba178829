"""Where a reflector's objects go."""

from collections.abc import Collection, Iterable
from typing import Protocol, TypeVar

O_contra = TypeVar("O_contra", contravariant=True)

Key = tuple[str, str]
"""Namespace (empty: none) and name."""


class Sink(Protocol[O_contra]):
    """Keeps the objects of one reflector."""

    def known(self) -> Iterable[Key]:
        """The objects taken to exist now, also from before this process started; there may be 100,000 of them."""
        ...

    def put(self, key: Key, found: O_contra) -> None:
        """The object exists, in this version."""
        ...

    def drop(self, key: Key, uid: str) -> None:
        """The object with this uid is gone."""
        ...

    async def complete(self, keys: Collection[Key]) -> None:
        """These objects exist, and no others."""
        ...

    def wants_more(self) -> bool:
        """Whether objects were left out that only a new list can bring."""
        ...
