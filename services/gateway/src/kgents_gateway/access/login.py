"""A browser logs in with a token: a form without code → a cookie that holds it. Nothing is remembered by the gateway.

So any gateway accepts the cookie, and a token that is withdrawn ends what was logged in with it.
"""

import asyncio
import html
import re
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Final, Protocol
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from kgents_gateway.access.tokens import Tokens
from kgents_shared.contract.tokens import READ

PATH: Final = "/login"
LOGOUT_PATH: Final = "/logout"
PROVIDER_PATH: Final = "/login/provider"
END_PATH: Final = "/login/end"
CALLBACK_PATH: Final = "/login/callback"
COOKIE: Final = "kgents"
SECURE: Final = "__Host-"
"""Begins the names of cookies over TLS: browsers take them from no other host, and never send them without TLS."""
BODY_BYTES_MAX: Final = 4_096
BODY_S: Final = 10.0
_COOKIE_VALUE: Final = re.compile(r"[A-Za-z0-9._~+/=-]+")


def cookie_of(headers: Mapping[str, str], name: str) -> str:
    """A cookie of a request; empty: there is none."""
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return next((cookies[each].value for each in (f"{SECURE}{name}", name) if each in cookies), "")


def put_cookie(response: Response, name: str, value: str, *, is_secure: bool, seconds: int | None = None) -> None:
    """Have the browser keep a value: until it ends, or for so long."""
    name, secure = (f"{SECURE}{name}", "; Secure") if is_secure else (name, "")
    age = f"; Max-Age={seconds}" if seconds is not None else ""
    response.headers.append("set-cookie", f"{name}={value}; HttpOnly; SameSite=Lax; Path=/{secure}{age}")


def forget(response: Response, name: str, *, is_secure: bool) -> None:
    """Have the browser forget a value."""
    put_cookie(response, name, "", is_secure=is_secure, seconds=0)


def redirect(location: str) -> Response:
    """Where a browser goes next; relative, as a proxy may put a path in front, or to another site."""
    return Response(status_code=303, headers={"location": location, "cache-control": "no-store"})


class Login:
    """The pages."""

    def __init__(self, tokens: Tokens, people: "Forgetful | None") -> None:
        """`people`: who logs in at a provider; None: there is none."""
        self._tokens = tokens
        self._people = people

    async def ask(self, _: Request) -> Response:
        """The form."""
        return form(200, is_oidc=self._people is not None)

    async def log_in(self, request: Request) -> Response:
        """Note a token, if it is accepted."""
        token = await _token(request)
        identity = self._tokens.identity(token) if _COOKIE_VALUE.fullmatch(token) else None
        if identity is None or READ not in identity.may:
            return form(401, "This token is not accepted, or may not read.", is_oidc=self._people is not None)
        response = redirect("./")
        put_cookie(response, COOKIE, token, is_secure=_is_secure(request))
        return response

    async def log_out(self, request: Request) -> Response:
        """Forget who it is."""
        response = redirect("login") if self._people is None else form(200, "You are logged out here.", is_oidc=True)
        forget(response, COOKIE, is_secure=_is_secure(request))
        if self._people is not None:
            self._people.forget(response)
        return response


class Forgetful(Protocol):
    """Ends logins of another kind."""

    def forget(self, response: Response) -> None:
        """End the login of a browser."""


def _is_secure(request: Request) -> bool:
    """Whether the browser speaks TLS. A proxy may have ended that: the browser's own word counts."""
    return request.headers.get("origin", "").startswith("https://")


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


def form(status: int, why: str = "", *, is_oidc: bool = False, up: str = "") -> Response:
    """The page that asks who it is.

    Args:
        status: of the answer.
        why: it asks again.
        is_oidc: there is a provider, too.
        up: how a relative address leads to `/`: a proxy may put a path in front.
    """
    provider = (
        f'<p><a href="{up}login/provider">Log in with your organization</a></p>'
        f'<p><a href="{up}login/end">Log out at your organization, too</a></p>'
        if is_oidc
        else ""
    )
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        '<link rel="icon" href="data:,">'
        f"<title>kgents: log in</title><main><h1>kgents</h1><p role=alert>{html.escape(why)}</p>"
        f'{provider}<form method="post" action="{up}login">'
        '<input name="username" autocomplete="username" value="kgents" hidden>'
        '<label>Token <input name="token" type="password" '
        'autocomplete="current-password" required autofocus></label> <button>Log in</button></form>'
        "<p>An administrator makes a token with <code>kgents token NAME</code>.</p>"
        f'<form method="post" action="{up}logout"><button>Log out</button></form></main></html>'
    )
    return Response(page, status, {"cache-control": "no-store"}, "text/html; charset=utf-8")
