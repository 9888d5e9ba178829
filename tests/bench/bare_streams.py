"""What the gateway is compared with: a message of NATS → a frame → each client, in a bare ASGI application."""

import asyncio
from typing import Any, Final

import uvicorn

from bench.bare import connect
from bench.fleet import TOPOLOGY_PREFIX

HEADERS: Final = [(b"content-type", b"text/event-stream")]


async def serve(url: str, port: int) -> None:
    """One queue for each client, and nothing else: no filter, no state, no resumption, no bound."""
    queues: set[asyncio.Queue[bytes]] = set()
    client = await connect(url)

    async def pass_on(message: Any) -> None:
        frame = b"event: upsert\ndata: %b\n\n" % message.data
        for queue in queues:
            queue.put_nowait(frame)

    async def application(_: Any, receive: Any, send: Any) -> None:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        queues.add(queue)
        leaving = asyncio.create_task(_until_gone(receive, asyncio.current_task()))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            await send({"type": "http.response.body", "body": b"event: ready\ndata: {}\n\n", "more_body": True})
            while True:
                await send({"type": "http.response.body", "body": await queue.get(), "more_body": True})
        except asyncio.CancelledError:
            return
        finally:
            queues.discard(queue)
            leaving.cancel()

    await client.subscribe(f"{TOPOLOGY_PREFIX}>", cb=pass_on, pending_msgs_limit=-1, pending_bytes_limit=-1)
    options = {"http": "httptools", "lifespan": "off", "log_level": "critical", "timeout_graceful_shutdown": 1}
    await uvicorn.Server(uvicorn.Config(application, port=port, **options)).serve()  # type: ignore[arg-type] # as uvicorn has it


async def _until_gone(receive: Any, task: asyncio.Task[Any] | None) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    if task is not None:
        task.cancel()
