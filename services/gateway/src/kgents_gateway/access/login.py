"""A browser logs in with a token: a form without code → a cookie that holds it. Nothing is remembered by the gateway.

So any gateway accepts the cookie, and a token that is withdrawn ends what was logged in with it.
"""

import asyncio
import html
import re
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from kgents_gateway.access.tokens import Tokens
from kgents_shared.contract.tokens import READ

PATH: Final = "/login"
LOGOUT_PATH: Final = "/logout"
COOKIE: Final = "kgents"
SECURE_COOKIE: Final = "__Host-kgents"
"""Over TLS: browsers take this name from no other host, and never send it without TLS."""
BODY_BYTES_MAX: Final = 4_096
BODY_S: Final = 10.0
_COOKIE_VALUE: Final = re.compile(r"[A-Za-z0-9._~+/=-]+")


def presented_by(headers: Mapping[str, str]) -> str:
    """The token in the cookies of a request; empty: there is none."""
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return next((cookies[name].value for name in (SECURE_COOKIE, COOKIE) if name in cookies), "")


class Login:
    """The pages."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def ask(self, _: Request) -> Response:
        """The form."""
        return _form(200)

    async def log_in(self, request: Request) -> Response:
        """Note a token, if it is accepted."""
        token = await _token(request)
        identity = self._tokens.identity(token) if _COOKIE_VALUE.fullmatch(token) else None
        if identity is None or READ not in identity.may:
            return _form(401, "This token is not accepted, or may not read.")
        name, secure = _cookie(request)
        cookie = f"{name}={token}; HttpOnly; SameSite=Lax; Path=/{secure}"
        return Response(status_code=303, headers={"location": "./", "set-cookie": cookie, "cache-control": "no-store"})

    async def log_out(self, request: Request) -> Response:
        """Forget the token."""
        name, secure = _cookie(request)
        cookie = f"{name}=; HttpOnly; SameSite=Lax; Path=/{secure}; Max-Age=0"
        return Response(status_code=303, headers={"location": "login", "set-cookie": cookie})


def to_login() -> Response:
    """Where a browser that is not logged in goes; relative, as a proxy may put a path in front."""
    return Response(status_code=303, headers={"location": "login", "cache-control": "no-store"})


def _cookie(request: Request) -> tuple[str, str]:
    """Its name, and what it says of TLS. A proxy may have ended that: the browser's own word counts."""
    is_secure = request.headers.get("origin", "").startswith("https://")
    return (SECURE_COOKIE, "; Secure") if is_secure else (COOKIE, "")


async def _token(request: Request) -> str:
    """What was typed; empty if the body is too large, too slow or no form."""
    body = b""
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    return ""
        return parse_qs(body.decode("ascii"), max_num_fields=4).get("token", [""])[0].strip()
    except (TimeoutError, ValueError):
        return ""


def _form(status: int, why: str = "") -> Response:
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        '<link rel="icon" href="data:,">'
        f"<title>kgents: log in</title><main><h1>kgents</h1><p role=alert>{html.escape(why)}</p>"
        '<form method="post" action="login">'
        '<input name="username" autocomplete="username" value="kgents" hidden>'
        '<label>Token <input name="token" type="password" '
        'autocomplete="current-password" required autofocus></label> <button>Log in</button></form>'
        "<p>An administrator makes a token with <code>kgents token NAME</code>.</p>"
        '<form method="post" action="logout"><button>Log out</button></form></main></html>'
    )
    return Response(page, status, {"cache-control": "no-store"}, "text/html; charset=utf-8")
