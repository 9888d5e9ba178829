"""The pages of a login at the provider: there, and back with a cookie that says who it is."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import Response

from kgents_gateway.access import login
from kgents_gateway.access.identity import Identity, Session
from kgents_gateway.access.oidc.provider import LoginError, Person, Provider
from kgents_gateway.access.oidc.seal import CHARS_MAX, Pending, Seal
from kgents_gateway.access.tokens import Tokens
from kgents_gateway.config import OidcConfig
from kgents_shared.contract.tokens import READ

_log = structlog.get_logger(__name__)

COOKIE: Final = "kgents-person"
PENDING_COOKIE: Final = "kgents-login"


class People:
    """Who has logged in at the provider, by their cookies."""

    def __init__(self, config: OidcConfig, public_url: str, tokens: Tokens, now: Callable[[], datetime]) -> None:
        """`public_url`: of the gateway, as browsers and the provider know it."""
        self._now = now
        self._tokens = tokens
        self._seal = Seal(config.client_secret.reveal())
        self._provider = Provider(config, f"{public_url.rstrip('/')}{login.CALLBACK_PATH}")
        self._session_s = config.session_hours * 3_600
        self._is_secure = public_url.startswith("https://")

    def identity(self, headers: Mapping[str, str]) -> Identity | None:
        """Who sends a request; None: no one that has logged in, or may do anything."""
        session = self._seal.opened(login.cookie_of(headers, COOKIE), Session)
        return self._tokens.person(session, self._now_s()) if session is not None else None

    async def begin(self, _: Request) -> Response:
        """Send the browser to the provider."""
        try:
            address, pending = await self._provider.begin(self._now_s())
        except LoginError as error:
            return self._failed(error)
        response = login.redirect(address)
        self._set(response, PENDING_COOKIE, self._seal.sealed(pending), pending.until - self._now_s())
        return response

    async def finish(self, request: Request) -> Response:
        """The browser is back: note who it is."""
        pending = self._seal.opened(login.cookie_of(request.headers, PENDING_COOKIE), Pending)
        try:
            person = await self._provider.finish(request.query_params, pending, self._now_s())
        except LoginError as error:
            return self._failed(error)
        session, sealed = self._session_of(person)
        identity = self._tokens.person(session, self._now_s())
        if identity is None or READ not in identity.may:
            _log.warning("login_refused", person=person.sub, groups=len(person.groups))
            return login.form(
                403, "You are logged in at the provider, and none of your groups may read here.", is_oidc=True, up="../"
            )
        _log.info("login", person=person.sub, group=", ".join(session.groups[:1]))
        response = login.redirect("../")
        self._set(response, COOKIE, sealed, self._session_s)
        self._set(response, PENDING_COOKIE, "", 0)
        login.forget(response, login.COOKIE, is_secure=self._is_secure)
        return response

    async def end(self, _: Request) -> Response:
        """Send the browser to where people log out at the provider."""
        try:
            address = await self._provider.end()
        except LoginError as error:
            return self._failed(error)
        if not address:
            return login.form(404, "Your organization has no page to log out.", is_oidc=True, up="../")
        return login.redirect(address)

    def forget(self, response: Response) -> None:
        """End the login of a browser."""
        login.forget(response, COOKIE, is_secure=self._is_secure)

    def _session_of(self, person: Person) -> tuple[Session, str]:
        """A login, and its cookie: with as many of the groups, the first of the file, as a cookie holds."""
        groups, until = self._tokens.known(person.groups), self._now_s() + self._session_s
        while True:
            session = Session(person.sub, groups, until)
            sealed = self._seal.sealed(session)
            if len(sealed) <= CHARS_MAX or not groups:
                return session, sealed
            groups = groups[: len(groups) // 2]

    def _now_s(self) -> int:
        return int(self._now().timestamp())

    def _failed(self, error: LoginError) -> Response:
        _log.warning("login_failed", error=str(error))
        return login.form(502, "The login failed; the log of the gateway says why. Try again.", is_oidc=True, up="../")

    def _set(self, response: Response, name: str, value: str, seconds: int) -> None:
        login.put_cookie(response, name, value, is_secure=self._is_secure, seconds=seconds)
