"""What stands before or in place of an API server: any HTTP server a test wants, and a kubeconfig that leads to it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

Json = dict[str, Any]
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def kubeconfig(
    path: Path, url: str, *, user: Json | None = None, name: str = "x", current: str | None = "x", **cluster: Any
) -> Path:
    """A kubeconfig of one context; `cluster` is what else it says of the cluster."""
    content: Json = {
        "clusters": [{"name": f"{name}-c", "cluster": {"server": url} | cluster}],
        "users": [{"name": f"{name}-u", "user": user or {"token": "t"}}],
        "contexts": [{"name": name, "context": {"cluster": f"{name}-c", "user": f"{name}-u"}}],
    }
    path.write_text(json.dumps(content | ({"current-context": current} if current is not None else {})))
    return path


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    """A server with one answer to everything; gives its URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
