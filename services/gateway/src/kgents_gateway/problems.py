"""What goes wrong → `application/problem+json` (RFC 9457): what was expected, what was found, what to try."""

from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"
RETRY_S: Final = 5
TITLES: Final = {
    400: "Bad request",
    404: "Not found",
    405: "Method not allowed",
    414: "Address too long",
    421: "Misdirected request",
    429: "Too many requests",
    500: "Internal error",
    503: "Not available now",
}


class ProblemDetails(msgspec.Struct, frozen=True):
    """The body of every answer that is an error."""

    status: int
    title: str
    detail: str
    """What was expected, what was found, and what to try."""
    type: str = "about:blank"


class UnavailableError(Exception):
    """Not now."""

    def __init__(self, detail: str, *, retry_after_s: int = RETRY_S) -> None:
        """`retry_after_s`: when to try again."""
        super().__init__(detail)
        self.retry_after_s: Final = retry_after_s


def response(status: int, detail: str, **headers: str) -> Response:
    """A problem; in the names of headers `_` stands for `-`."""
    body = msgspec.json.encode(ProblemDetails(status, TITLES.get(status, "Error"), detail))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(body, status, named, MEDIA_TYPE)


async def of_argument(_: Request, error: Exception) -> Response:
    """An argument that is not valid."""
    return response(400, str(error))


async def of_name(_: Request, error: Exception) -> Response:
    """A name that no entity has; the text says which are near."""
    return response(404, str(error))


async def of_unavailable(_: Request, error: Exception) -> Response:
    """Not now."""
    retry_s = error.retry_after_s if isinstance(error, UnavailableError) else RETRY_S
    return response(503, str(error), retry_after=str(retry_s))


async def of_bus(_: Request, _error: Exception) -> Response:
    """NATS did not answer, or refused. Its own words may name what the caller may not see."""
    return response(503, "the streams cannot be read now; try again", retry_after=str(RETRY_S))


async def of_bug(_: Request, _error: Exception) -> Response:
    """A fault of the gateway, which the server logs. Its words are for its own people."""
    return response(500, "the gateway failed; its log says why")


async def of_http(request: Request, error: Exception) -> Response:
    """Unknown paths and methods."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = {name.replace("-", "_"): value for name, value in (getattr(error, "headers", None) or {}).items()}
    detail = "no such path; see /api/openapi.json" if status == 404 else f"{request.method} is not allowed here"
    return response(status, detail, **headers)
