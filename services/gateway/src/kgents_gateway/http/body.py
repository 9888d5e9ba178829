"""The body of a request: bounded in size and in time."""

import asyncio
from typing import Final

from starlette.requests import Request

from kgents_gateway.problems import TooLargeError

BODY_BYTES_MAX: Final = 65_536
BODY_S: Final = 10.0
"""How long a body may take to arrive."""
JSON: Final = "application/json"


def is_json(request: Request) -> bool:
    """Whether the body is said to be JSON. No form of another site's page can say so."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == JSON


async def body_of(request: Request) -> bytes:
    """The body.

    Raises:
        TooLargeError: it is too large, or too slow.
    """
    body = b""
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    break
            else:
                return body
    except TimeoutError:
        pass
    raise TooLargeError(f"expected a body of at most {BODY_BYTES_MAX} bytes within {BODY_S:g} s")
