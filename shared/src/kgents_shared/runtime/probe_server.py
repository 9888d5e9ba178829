"""The HTTP server of the probes. A module of its own, since aiohttp is a third of a service's start."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web

from kgents_shared.contract.address import join
from kgents_shared.contract.errors import ConfigError
from kgents_shared.runtime.probes import Answer

_SHUTDOWN_S: Final = 1.0
"""A probe is answered at once or is useless, so a stop does not wait for any."""


async def listen(host: str, port: int, answers: Mapping[str, Callable[[], Answer]]) -> web.AppRunner:
    """Answer GET on each path until the runner's `cleanup`. Raises ConfigError when the port cannot be had."""
    app = web.Application()
    app.add_routes([web.get(path, _handler(answer)) for path, answer in answers.items()])
    # No access log: a line for every probe would hide the others.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        fault = (
            f"probes: expected to listen on {join(host, port)}, found: {error.strerror or error}; set "
            "probes.host and probes.port to a free address (port 0: any free one, null: no probes)"
        )
        raise ConfigError([fault]) from error
    return runner


def _handler(answer: Callable[[], Answer]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(_request: web.Request) -> web.Response:
        status, body, content_type = answer()
        return web.Response(status=status, body=body, headers={"Content-Type": content_type})

    return handle
