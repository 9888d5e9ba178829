"""A question and its arguments → the answer as JSON, for every way to ask: the limits and the cache are the same."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec
from msgspec.structs import fields, replace

from kgents_gateway.cache import Cache, Kept
from kgents_gateway.problems import TooLargeError, UnavailableError
from kgents_gateway.questions.question import Question
from kgents_gateway.questions.world import World
from kgents_shared.view.selection import Selection

ANSWER_S: Final = 20.0
"""For one answer; what takes longer is not waited for by people either."""
ROOM: Final = 0.8
"""Of the limit that would just have fitted: others may be larger."""


class Asked(World, Protocol):
    """A gateway as one scope sees it."""

    @property
    def scope(self) -> Selection:
        """What may be read of it."""

    @property
    def cache(self) -> Cache:
        """Answers, of all scopes."""


async def ask(gateway: Asked, question: Question[Any], arguments: Any) -> Kept:
    """The answer, from memory if it is about now and nothing has changed.

    Raises:
        BadArgumentError, NotFoundError, UnavailableError, BusError, TimeoutError: see `problems.problem_of`.
    """

    async def make() -> bytes:
        async with asyncio.timeout(ANSWER_S):
            return msgspec.json.encode(await question.ask(gateway, arguments))

    is_of_past = bool(getattr(arguments, "at", ""))
    is_of_now = question.is_of_now and not is_of_past
    if not is_of_now and (is_of_past or not question.is_held) and gateway.stale_since is not None:
        raise UnavailableError("NATS cannot be reached, where the answer has to be read; try again")
    if not (tag := _tag(gateway) if is_of_now else ""):
        return Kept("", await make())
    return await gateway.cache.get(f"{gateway.scope} | {question.name} {arguments}", tag, make)


async def ask_within(gateway: Asked, question: Question[Any], arguments: Any, at_most: int) -> bytes:
    """The answer in at most so many bytes: with a lower limit, where the question has one.

    Raises:
        TooLargeError: it does not fit; and what `ask` raises.
    """
    while len(body := (await ask(gateway, question, arguments)).body) > at_most:
        limit = _limit(question, arguments)
        lower = int(limit * at_most / len(body) * ROOM)
        if lower < 1:
            raise TooLargeError(
                f"expected an answer of at most {at_most} bytes, found {len(body)}; try: filters, or the same over HTTP"
            )
        arguments = replace(arguments, limit=lower)
    return body


def _limit(question: Question[Any], arguments: Any) -> int:
    """How many the answer may hold; 0: that cannot be said."""
    known: Mapping[str, Any] = {each.name: each.type for each in fields(question.arguments)}
    return arguments.limit if "limit" in known else 0


def _tag(gateway: Asked) -> str:
    """What an answer about now depends on, besides its arguments; empty: it is not known."""
    mark = str(gateway.current.mark or "")
    return f"{mark}-stale-{gateway.stale_since.timestamp()}" if mark and gateway.stale_since is not None else mark
