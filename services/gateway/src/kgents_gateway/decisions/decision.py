"""A decision as data: what it takes, what it stores. HTTP, and its document, are made from it.

Each may be sent again: what is as it should be is not stored a second time.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

import msgspec

from kgents_gateway.asking import Asked
from kgents_gateway.questions.arguments import Arguments
from kgents_shared.bus.audit import decide
from kgents_shared.bus.client import Bus
from kgents_shared.contract.acknowledgement import Acknowledgement
from kgents_shared.contract.decision import Author
from kgents_shared.contract.silence import Silence

A = TypeVar("A", bound=Arguments)
B = TypeVar("B", bound=Arguments)

WITHIN_S: Final = 10.0
"""For one decision."""


class Nothing(Arguments, frozen=True, kw_only=True):
    """No body."""


class Outcome(msgspec.Struct, frozen=True):
    """What a decision has led to."""

    stored: Acknowledgement | Silence
    """As it is now on its stream."""
    is_new: bool
    """Whether it was stored now; false: it was so already."""
    before: Acknowledgement | Silence | None = None
    """What was decided before; None: nothing."""


class Desk(msgspec.Struct, frozen=True):
    """Where one identity decides."""

    world: Asked
    """What the identity may see: of nothing else it can decide."""
    bus: Bus
    author: Author
    peer: str = ""
    """The address that the request came from; behind a proxy, that of the proxy."""

    async def store(
        self, message: Acknowledgement | Silence, *, before: Acknowledgement | Silence | None, replaces_seq: int
    ) -> Outcome:
        """Store it in place of what was decided before, and record that in the audit trail.

        Raises:
            DecidedError, BusError: it is not stored, or whether it is is not known.
        """
        now = self.world.now()
        await decide(self.bus, message, replaces_seq=replaces_seq, before=before, origin=self.peer, now=now)
        return Outcome(message, is_new=True, before=before)


class Decision(msgspec.Struct, Generic[A, B], frozen=True):
    """One decision."""

    name: str
    summary: str
    method: str
    path: str
    arguments: type[A]
    body: type[B]
    answer: Any
    """The type of the answer, for its documentation."""
    decide: Callable[[Desk, A, B], Awaitable[Outcome]]
    """Raises BadArgumentError, NotFoundError, ConflictError, OutOfScopeError, UnavailableError, BusError."""
