"""The address of a webhook is its secret: no library logs it, whatever the level."""

import io
import logging
from collections.abc import Iterator

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from kgents_shared.runtime.logging import setup
from kgents_shared.runtime.sections import LogConfig

SECRET = "T0000-B0000-canary"  # the path of a webhook


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


async def test_a_request_leaves_no_address_in_the_log_even_at_debug() -> None:
    lines = io.StringIO()
    setup(LogConfig(level="debug"), service="alert-notifier", stream=lines)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    server = TestServer(app)
    await server.start_server(access_log=None)  # the server that is asked may log what it wants
    async with httpx.AsyncClient() as client:
        response = await client.post(f"http://127.0.0.1:{server.port}/{SECRET}")
        assert response.text == "ok"
    await server.close()
    logging.getLogger("kgents.test").debug("written")
    assert "written" in lines.getvalue()
    assert SECRET not in lines.getvalue()
