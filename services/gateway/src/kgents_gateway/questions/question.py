"""A question as data: what it takes, what it answers. HTTP, and every other way to ask, is made from it.

Its arguments are a Struct, so that each way to ask checks, converts and documents them alike.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import msgspec

from kgents_gateway.questions.arguments import Arguments
from kgents_gateway.questions.world import World

A = TypeVar("A", bound=Arguments)


class Question(msgspec.Struct, Generic[A], frozen=True):
    """One question."""

    name: str
    summary: str
    arguments: type[A]
    answer: Any
    """The type of the answer, for its documentation."""
    ask: Callable[[World, A], Awaitable[Any]]
    """Raises BadArgumentError, NotFoundError, UnavailableError, BusError."""
    is_of_now: bool = False
    """The answer depends on the arguments and the entities as they are now alone: it is the same until they change."""
    is_held: bool = False
    """It is answered from what is held, and so also while NATS is away."""
