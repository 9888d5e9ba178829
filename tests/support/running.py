"""Background tasks for one test: `async with running(table.run(), publisher.run()): …` cancels them at its end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def running(*coroutines: Coroutine[Any, Any, Any]) -> AsyncIterator[list[asyncio.Task[Any]]]:
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=10)
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error


async def eventually(claim: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait until the claim holds; fail with its source when it does not."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not claim():
        assert asyncio.get_running_loop().time() < deadline, f"did not come true within {within_s:g} s"
        await asyncio.sleep(0.01)
