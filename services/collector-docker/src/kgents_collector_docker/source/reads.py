"""Requests to one engine side by side, of which none waits for one that hangs → answers, and why some are missing.

A poll goes on without the answers that are late: each comes with a later poll, which it asks for. An object whose
request failed is asked for in the background only, until it answers again.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, Final, NamedTuple

from kgents_collector_docker.source.client import Client
from kgents_collector_docker.source.fault import GarbledError, GoneError, RefusedError, SilentError

PATIENCE_S: Final = 1.0
"""Seconds without any answer until a poll goes on with those that it has: a busy engine answers one at least."""
FAILED_MAX: Final = 4
"""Concurrent requests for objects whose last request failed: each may take as long as a request may."""
PARTIAL: Final = (RefusedError, GarbledError, SilentError)
"""Errors that concern one request alone: of a plugin or container that hangs."""


class Key(NamedTuple):
    """One object of an engine, or the list of a kind."""

    kind: str
    id: str = ""
    """Empty: the list."""


class Request(NamedTuple):
    """How an object is read."""

    path: str
    type: Any


class Reads:
    """The requests of one session."""

    def __init__(
        self, client: Client, tasks: asyncio.TaskGroup, faults: dict[Key, str], on_late: Callable[[], None]
    ) -> None:
        """`faults` lasts longer than a session; `on_late` is called for an answer that no poll waits for.

        A request that fails because of the connection ends the task group with its EngineError.
        """
        self._client = client
        self._tasks = tasks
        self._faults = faults
        self._on_late = on_late
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._again: dict[Key, Request] = {}
        self._awaited: set[Key] = set()
        self._answers: dict[Key, Any] = {}
        self._ended = 0
        self._few = asyncio.Semaphore(FAILED_MAX)

    async def read(self, wanted: Mapping[Key, Request]) -> dict[Key, Any]:
        """The answers to these requests, and to those before that were late.

        None is the answer for what does not exist. What is missing has not answered yet, or failed, and is a fault.
        """
        started = {key: self._start(key, request) for key, request in wanted.items() if key not in self._running}
        self._running |= started
        self._again |= {key: request for key, request in wanted.items() if key not in started}
        self._awaited = started.keys() - self._faults.keys()
        pending = {started[key] for key in self._awaited}
        while pending:
            ended = self._ended
            _, pending = await asyncio.wait(pending, timeout=PATIENCE_S)
            if self._ended == ended:
                break
        self._awaited = set()
        answers, self._answers = self._answers, {}
        return answers

    @property
    def are_running(self) -> bool:
        """Whether a request has not been answered yet: each is, or fails, in its time."""
        return bool(self._running)

    def is_late(self, key: Key) -> bool:
        """Whether its request has not been answered yet."""
        return key in self._running

    def cancel(self) -> None:
        """End all requests."""
        for task in self._running.values():
            task.cancel()

    def _start(self, key: Key, request: Request) -> asyncio.Task[None]:
        return self._tasks.create_task(self._ask(key, request))

    async def _ask(self, key: Key, request: Request) -> None:
        has_failed = key in self._faults
        get = self._client.get_slowly if has_failed else self._client.get
        try:
            async with self._few if has_failed else nullcontext():
                self._answers[key] = await get(request.path, request.type)
            self._faults.pop(key, None)
        except GoneError:
            self._answers[key] = None
            self._faults.pop(key, None)
        except PARTIAL as error:
            self._faults[key] = str(error)
        self._ended += 1
        del self._running[key]
        if key in self._again:
            self._running[key] = self._start(key, self._again.pop(key))
        if key not in self._awaited:
            self._on_late()
