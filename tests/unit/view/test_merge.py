"""Several sources as one: order within each, an error that reaches the reader, and an end that reaches the sources."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from kgents_shared.view.merge import AHEAD_MAX, merged


class Source:
    """Gives numbers; waits forever when they are used up."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.given = 0
        self.is_ended = False
        self._count = count
        self._error = error

    async def items(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(self._count):
                self.given += 1
                yield number
            if self._error is not None:
                raise self._error
            await asyncio.Event().wait()
        finally:
            self.is_ended = True


async def test_the_order_within_a_source_is_kept_and_leaving_ends_all() -> None:
    one, two = Source(20), Source(20)
    found: dict[str, list[int]] = {"one": [], "two": []}
    async with aclosing(merged({"one": one.items(), "two": two.items()})) as items:
        async for name, number in items:
            found[name].append(number)
            if sum(map(len, found.values())) == 40:
                break

    assert found == {"one": list(range(20)), "two": list(range(20))}
    assert one.is_ended
    assert two.is_ended


async def test_an_error_of_a_source_is_raised_and_ends_the_others() -> None:
    good, bad = Source(3), Source(2, ValueError("no"))
    items = merged({"good": good.items(), "bad": bad.items()})

    async def read_all() -> None:
        async for _ in items:
            pass

    with pytest.raises(ValueError, match="no"):
        await read_all()
    assert good.is_ended


async def test_a_slow_reader_slows_its_sources() -> None:
    source = Source(1_000)
    async with aclosing(merged({"one": source.items()})) as items:
        await anext(items)
        await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)

    assert source.given <= AHEAD_MAX + 2
