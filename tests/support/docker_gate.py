"""A gate before an engine, as docker-socket-proxy is one: it passes GETs, keeps account of them, and refuses some."""

import asyncio
from pathlib import Path
from typing import Any, Self

import aiohttp
from aiohttp import web


class Gate:
    """`async with Gate(engine.socket, own_socket) as gate`; `gate.denied` may be changed at any time."""

    def __init__(self, server: Path, own: Path, *denied: str) -> None:
        self.denied = denied
        """Path segments: `volumes` denies `/v1.41/volumes`."""
        self.seen: list[tuple[str, str]] = []
        """Method and path of every request."""
        self.delays_s: dict[str, float] = {}
        """Path segment → how long its answers take longer."""
        self.garbled: tuple[str, ...] = ()
        """Path segments that are answered with what cannot be decoded."""
        self._server, self._own = server, own
        self._passing: set[asyncio.Task[Any]] = set()

    @property
    def url(self) -> str:
        return f"unix://{self._own}"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass)
        self._http = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(self._server)), timeout=aiohttp.ClientTimeout(total=None)
        )
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self._own)).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._http.close()

    @property
    def passing(self) -> int:
        """Answers that go on."""
        return len(self._passing)

    def cut(self) -> None:
        """End all answers that go on, as of events."""
        for task in self._passing:
            task.cancel()

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.path))
        if (task := asyncio.current_task()) is not None:
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)
        if request.method != "GET" or set(self.denied) & set(request.path.split("/")):
            return web.Response(status=403, text="not allowed")
        if set(self.garbled) & set(request.path.split("/")):
            return web.Response(text='{"read": 5, "canary": "f3e1"}', content_type="application/json")
        for segment in self.delays_s.keys() & set(request.path.split("/")):
            await asyncio.sleep(self.delays_s[segment])
        async with self._http.get(f"http://docker{request.path_qs}") as answer:
            response = web.StreamResponse(status=answer.status, headers={"Content-Type": "application/json"})
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            return response
