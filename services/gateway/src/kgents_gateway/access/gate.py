"""What every HTTP request passes before a handler sees it: its size, its name, its origin, its number."""

import time
from collections.abc import Mapping
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kgents_gateway.access.connection import HEAD_BYTES_MAX
from kgents_gateway.access.limits import Buckets
from kgents_gateway.config import LOOPBACK, Config
from kgents_gateway.http import problems
from kgents_gateway.problems import problem

ADDRESS_MAX: Final = 8_192
"""Bytes of path and query."""
_ANY_ADDRESS: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not listened on
_OTHER_SITES: Final = frozenset({"cross-site", "same-site"})
"""`same-site` is also another port of this machine, and another name under one domain."""


def hosts_of(config: Config) -> frozenset[str]:
    """The names that requests may be addressed to."""
    own = {config.host} - _ANY_ADDRESS
    return frozenset(name.lower() for name in (*LOOPBACK, *own, *config.allowed_hosts))


class Gate:
    """The application behind the checks."""

    def __init__(self, app: ASGIApp, config: Config) -> None:
        self._app = app
        self._hosts = hosts_of(config)
        self._buckets = Buckets(per_s=config.limits.requests_per_s, burst=config.limits.burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        if len(scope["raw_path"]) + len(scope["query_string"]) > ADDRESS_MAX:
            return problems.response(problem(414, f"expected an address of at most {ADDRESS_MAX} bytes"))
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEAD_BYTES_MAX:
            return problems.response(problem(431, f"expected headers of at most {HEAD_BYTES_MAX} bytes"))
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if _host(headers) not in self._hosts:
            # A page of any site can have its own name resolve to this machine: only the name in the request shows it.
            detail = "expected a request to a name of this gateway; try: add the name to gateway.allowed_hosts"
            return problems.response(problem(421, detail))
        if _is_of_another_site(headers):
            detail = "expected a request of a program or of this gateway's pages, found one of another site's page"
            return problems.response(problem(403, detail))
        peer = scope["client"][0] if scope["client"] else ""
        if retry_after_s := self._buckets.take(peer, time.monotonic()):
            detail = f"expected fewer requests, found more than gateway.limits allow; try again in {retry_after_s} s"
            return problems.response(problem(429, detail), retry_after=str(retry_after_s))
        return None


def _host(headers: Mapping[str, str]) -> str:
    host = headers.get("host", "").lower()
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _is_of_another_site(headers: Mapping[str, str]) -> bool:
    """Whether a page of another site makes a browser send it. A link to a page of ours is none: people follow it."""
    return headers.get("sec-fetch-site") in _OTHER_SITES and headers.get("sec-fetch-mode") != "navigate"
