"""Several streams, each in its own order → one sequence of their items, as they come."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final, TypeVar

T = TypeVar("T")

AHEAD_MAX: Final = 2
"""Batches of each stream that wait for a slow reader; then the stream itself waits."""


async def merged(sources: Mapping[str, AsyncGenerator[T, None]]) -> AsyncGenerator[tuple[str, T], None]:
    """The items of all sources, each with the name of its source. The order within a source is kept.

    An error of a source is raised here, and ends all of them.
    """
    queue: asyncio.Queue[tuple[str, T] | Exception] = asyncio.Queue(AHEAD_MAX * len(sources))
    tasks = [asyncio.create_task(_pump(name, source, queue), name=f"read {name}") for name, source in sources.items()]
    try:
        while True:
            match await queue.get():
                case Exception() as error:
                    raise error
                case item:
                    yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)  # so that each source deletes its consumer on the server


async def _pump(name: str, source: AsyncGenerator[T, None], queue: asyncio.Queue[tuple[str, T] | Exception]) -> None:
    try:
        async with aclosing(source):
            async for item in source:
                await queue.put((name, item))
    except Exception as error:  # noqa: BLE001 - every error is raised again to the reader
        await queue.put(error)
