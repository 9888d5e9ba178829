"""The streamable HTTP transport: each POST is one message and gets one JSON answer. There are no sessions."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from kgents_gateway.access.identity import who
from kgents_gateway.http import problems
from kgents_gateway.http.body import JSON, body_of, is_json
from kgents_gateway.mcp.messages import (
    VERSION_HEADER,
    Message,
    ProtocolError,
    check_version,
    decoded,
    result_of,
)
from kgents_gateway.problems import problem
from kgents_gateway.world import Gateway

PATH: Final = "/mcp"


def endpoint(gateway: Gateway, *, version: str) -> Callable[[Request], Awaitable[Response]]:
    """What answers a POST."""

    async def answer(request: Request) -> Response:
        if (refusal := _refusal(request)) is not None:
            return refusal
        body = await body_of(request)
        message: Message | None = None
        try:
            message = decoded(body)
            if message.id is UNSET:  # a notification: all that a client may say changes nothing here
                check_version(request.headers.get(VERSION_HEADER))
                return Response(status_code=202)
            result = await result_of(gateway.seen(who(request.scope).scope), version, message, request.headers)
        except ProtocolError as error:
            return _response(error.status, message, error=_error(error))
        return _response(200, message, result=result)

    return answer


def _refusal(request: Request) -> Response | None:
    """Why a request is not even read."""
    if not is_json(request):
        return problems.response(problem(415, f"expected content-type {JSON}"))
    accepted = request.headers.get("accept", "*/*")
    if not any(each in accepted for each in (JSON, "application/*", "*/*")):
        return problems.response(problem(406, f"expected a client that accepts {JSON}"))
    return None


def _error(error: ProtocolError) -> dict[str, Any]:
    found = {"code": error.code, "message": str(error)}
    return found if error.data is UNSET else {**found, "data": error.data}


def _response(status: int, message: Message | None, **content: Any) -> Response:
    id_ = message.id if message is not None and message.id is not UNSET else None
    return Response(msgspec.json.encode({"jsonrpc": "2.0", "id": id_, **content}), status, media_type=JSON)
