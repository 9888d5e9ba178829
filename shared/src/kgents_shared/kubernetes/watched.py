"""What a reflector must know of a resource."""

from typing import Protocol, TypeVar

O_co = TypeVar("O_co", covariant=True)


class Watched(Protocol[O_co]):
    """One resource of the API: where it is served, and how its objects are decoded."""

    @property
    def group(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def resource(self) -> str:
        """The plural in the path: `pods`."""
        ...

    @property
    def type(self) -> type[O_co]:
        """The lean Struct that one object is decoded to; unknown fields are skipped unread."""
        ...

    @property
    def is_optional(self) -> bool:
        """Whether many clusters do not serve it: then its absence is not a fault."""
        ...
