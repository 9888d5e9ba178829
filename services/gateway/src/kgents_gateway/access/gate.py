"""What every HTTP request passes before a handler sees it: its size, its name, its origin, its number."""

import time
from collections.abc import Collection, Mapping
from typing import Final, Protocol

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kgents_gateway.access import login
from kgents_gateway.access.connection import HEAD_BYTES_MAX
from kgents_gateway.access.identity import Identity, put
from kgents_gateway.access.limits import Buckets
from kgents_gateway.access.tokens import Tokens
from kgents_gateway.config import LOOPBACK, Config
from kgents_gateway.http import problems, routes
from kgents_gateway.problems import ProblemDetails, problem
from kgents_shared.contract.address import of_url
from kgents_shared.contract.tokens import READ

ADDRESS_MAX: Final = 8_192
"""Bytes of path and query."""
_FOR_KNOWN: Final = ("/api/", "/mcp")
"""Paths that are answered to who is known. The others hold the pages of the web view, and nothing of what they show."""
_ANY_ADDRESS: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not listened on
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OTHER_SITES: Final = frozenset({"cross-site", "same-site"})
"""`same-site` is also another port of this machine, and another name under one domain."""


def hosts_of(config: Config) -> frozenset[str]:
    """The names that requests may be addressed to."""
    own = {config.host, host_of(config.public_url)} - _ANY_ADDRESS
    return frozenset(name.lower() for name in (*LOOPBACK, *own, *config.allowed_hosts))


class Recognizing(Protocol):
    """Knows who has logged in elsewhere."""

    def identity(self, headers: Mapping[str, str]) -> Identity | None:
        """Who sends a request."""


class Gate:
    """The application behind the checks."""

    def __init__(self, app: ASGIApp, config: Config, tokens: Tokens | None, people: "Recognizing | None") -> None:
        """`tokens`: of those who may ask; None: no login is asked for. `people`: who logged in at a provider."""
        self._app = app
        self._tokens = tokens
        self._people = people
        self._hosts = hosts_of(config)
        self._buckets = Buckets(per_s=config.limits.requests_per_s, burst=config.limits.burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if (found := self._misdirected(scope, headers)) is not None:
            return problems.response(found)
        identity = self._identity(headers, scope["client"][0] if scope["client"] else "")
        if retry_after_s := self._buckets.take(identity.name, time.monotonic()):
            detail = f"expected fewer requests, found more than gateway.limits allow; try again in {retry_after_s} s"
            return problems.response(problem(429, detail), retry_after=str(retry_after_s))
        is_known = self._tokens is None or identity.proof is not None
        if is_known and READ in identity.may:
            put(scope, identity)
        elif scope["path"].startswith(_FOR_KNOWN):
            return _forbidden() if is_known else _unknown()
        elif scope["path"] == routes.PAGE:
            return login.redirect("login")
        return None

    def _misdirected(self, scope: Scope, headers: Mapping[str, str]) -> ProblemDetails | None:
        if len(scope["raw_path"]) + len(scope["query_string"]) > ADDRESS_MAX:
            return problem(414, f"expected an address of at most {ADDRESS_MAX} bytes")
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEAD_BYTES_MAX:
            return problem(431, f"expected headers of at most {HEAD_BYTES_MAX} bytes")
        if _host(headers) not in self._hosts:
            # A page of any site can have its own name resolve to this machine: only the name in the request shows it.
            return problem(421, "expected a request to a name of this gateway; try: add it to gateway.allowed_hosts")
        if _is_of_another_site(scope["method"], headers, self._hosts):
            return problem(403, "expected a request of a program or of this gateway's page, found one of another site")
        return None

    def _identity(self, headers: Mapping[str, str], peer: str) -> Identity:
        """Who asks: by its token or its login, and otherwise by its address."""
        kind, _, presented = headers.get("authorization", "").partition(" ")
        is_bearer = kind.lower() == "bearer"
        token = presented.strip() if is_bearer else login.cookie_of(headers, login.COOKIE)
        known = self._tokens.identity(token) if self._tokens is not None else None
        if known is None and self._people is not None and not is_bearer:
            known = self._people.identity(headers)
        return known or Identity(f"address {peer}")


def _unknown() -> Response:
    detail = "expected `Authorization: Bearer TOKEN` with a token of gateway.auth.tokens_file; try: kgents token NAME"
    return problems.response(problem(401, detail), www_authenticate='Bearer realm="kgents"')


def _forbidden() -> Response:
    return problems.response(problem(403, f"expected a token that may {READ}, found one that may not"))


def _host(headers: Mapping[str, str]) -> str:
    host = headers.get("host", "").lower()
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _is_of_another_site(method: str, headers: Mapping[str, str], hosts: Collection[str]) -> bool:
    """Whether a page of another site makes a browser send it. A link to a page of ours is none: people follow it."""
    if method in _READING:
        return headers.get("sec-fetch-site") in _OTHER_SITES and headers.get("sec-fetch-mode") != "navigate"
    origin = headers.get("origin")  # older browsers send this alone
    return headers.get("sec-fetch-site") in _OTHER_SITES or (origin is not None and host_of(origin) not in hosts)


def host_of(origin: str) -> str:
    """Empty for one that names none, as `null`."""
    try:
        return of_url(origin).host
    except ValueError:
        return ""
