"""Problems as HTTP responses: `application/problem+json`."""

from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from kgents_gateway.problems import RETRY_S, ProblemDetails, UnavailableError, problem, problem_of

MEDIA_TYPE: Final = "application/problem+json"


def response(found: ProblemDetails, **headers: str) -> Response:
    """A problem; in the names of headers `_` stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(msgspec.json.encode(found), found.status, named, MEDIA_TYPE)


async def of_error(_: Request, error: Exception) -> Response:
    """What a question raises. A fault of the gateway is raised again behind this, and logged by the server."""
    found = problem_of(error)
    if found.status not in (429, 503):
        return response(found)
    return response(found, retry_after=str(error.retry_after_s if isinstance(error, UnavailableError) else RETRY_S))


async def of_http(request: Request, error: Exception) -> Response:
    """Unknown paths and methods."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = {name.replace("-", "_"): value for name, value in (getattr(error, "headers", None) or {}).items()}
    detail = "no such path; see /api/openapi.json" if status == 404 else f"{request.method} is not allowed here"
    return response(problem(status, detail), **headers)
