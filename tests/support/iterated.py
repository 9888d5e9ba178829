"""What an asynchronous iterator gives while a test goes on: `async with reading(client.topology()) as found`."""

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from support.running import running

T = TypeVar("T")


@asynccontextmanager
async def reading(source: AsyncIterable[T]) -> AsyncIterator[list[T]]:
    """The list grows; leaving the block ends the iterator."""
    found: list[T] = []

    async def read() -> None:
        async for item in source:
            found.append(item)  # noqa: PERF401 - one at a time, as they come

    async with running(read()):
        yield found
