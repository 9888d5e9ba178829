"""One OpenID provider: where to send a browser, and who it says that the browser is.

Nothing of it is kept: its metadata and keys are read for each login, so that keys that were changed are known. Every
call has a deadline, and answers a bound.
"""

import asyncio
import base64
import hashlib
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from kgents_gateway.access.oidc.seal import Pending
from kgents_gateway.config import OidcConfig, is_confidential

T = TypeVar("T")

CALL_S: Final = 5.0
LOGIN_S: Final = 10.0
PENDING_S: Final = 600
"""How long a person may take to log in at the provider."""
ANSWER_BYTES_MAX: Final = 1_048_576
LEEWAY_S: Final = 60
"""How far the clocks of the provider and of this machine may be apart."""
AT_ONCE: Final = 8
ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)
KEYS: Final = frozenset({"RSA", "EC", "OKP"})
"""With public keys. What a provider signs with the client secret, or not at all, is not accepted."""


class LoginError(Exception):
    """Why a login failed. The text holds nothing secret, and nothing that the provider said in its own words."""


class Person(msgspec.Struct, frozen=True):
    """Who has logged in."""

    sub: str
    groups: tuple[str, ...]


class Metadata(msgspec.Struct, frozen=True):
    """What a provider says of itself, as far as it is used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    end_session_endpoint: str = ""
    id_token_signing_alg_values_supported: list[str] = []
    authorization_response_iss_parameter_supported: bool = False


class Tokens(msgspec.Struct, frozen=True):
    """The answer of the token endpoint."""

    id_token: str
    access_token: str = ""


class Provider:
    """The provider of the configuration."""

    def __init__(self, config: OidcConfig, redirect_uri: str) -> None:
        """`redirect_uri`: where it sends browsers back to, as it knows it."""
        self._config = config
        self._redirect_uri = redirect_uri
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def begin(self, now_s: int) -> tuple[str, Pending]:
        """Where to send the browser, and what it keeps meanwhile.

        Raises:
            LoginError: the provider cannot be asked.
        """
        async with self._calls() as http:
            metadata = await self._metadata(http)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        pending = Pending(state, nonce, verifier, now_s + PENDING_S)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(pending.verifier.encode()).digest()).rstrip(b"=")
        query = {
            "response_type": "code",
            "client_id": self._config.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": " ".join(self._config.scopes),
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in metadata.authorization_endpoint else "?"
        return f"{metadata.authorization_endpoint}{joint}{urlencode(query)}", pending

    async def end(self) -> str:
        """Where people log out at the provider; empty: it has no such page.

        No token of theirs is kept that could name them, so the provider asks whether they mean it.

        Raises:
            LoginError: the provider cannot be asked.
        """
        async with self._calls() as http:
            address = (await self._metadata(http)).end_session_endpoint
        if not address:
            return ""
        return f"{address}{'&' if '?' in address else '?'}{urlencode({'client_id': self._config.client_id})}"

    async def finish(self, answer: Mapping[str, str], pending: Pending | None, now_s: int) -> Person:
        """Who came back from the provider with this answer, to the login that the browser says it has begun.

        Raises:
            LoginError: that is not known.
        """
        is_known = pending is not None and pending.until > now_s
        if pending is None or not is_known or not secrets.compare_digest(answer.get("state", ""), pending.state):
            raise LoginError("expected the login that this browser has begun, found another one, or one that took long")
        async with self._calls() as http:
            metadata = await self._metadata(http)
            named = answer.get(
                "iss", "" if metadata.authorization_response_iss_parameter_supported else metadata.issuer
            )
            if named != metadata.issuer:
                raise LoginError("expected an answer of the configured provider, found one of another one")
            if "error" in answer or not answer.get("code"):
                raise LoginError("expected a code of the provider, found a refusal")
            tokens = await self._tokens(http, metadata, answer["code"], pending.verifier)
            keys = await self._call(http, "GET", metadata.jwks_uri, dict[str, Any])
            allowed = [
                each for each in metadata.id_token_signing_alg_values_supported or ["RS256"] if each in ALGORITHMS
            ]
            claims = verified(tokens.id_token, keys, self._config, allowed, pending.nonce, now_s)
            if self._config.groups_claim not in claims and metadata.userinfo_endpoint and tokens.access_token:
                more = await self._userinfo(http, metadata.userinfo_endpoint, tokens.access_token)
                claims = {**more, **claims} if more.get("sub") == claims["sub"] else claims
        return Person(claims["sub"], groups_of(claims.get(self._config.groups_claim)))

    @asynccontextmanager
    async def _calls(self) -> AsyncIterator[aiohttp.ClientSession]:
        """The connections of one step of a login; a few at once, each step with a deadline."""
        try:
            timeout = aiohttp.ClientTimeout(total=CALL_S)
            async with asyncio.timeout(LOGIN_S), self._slots, aiohttp.ClientSession(timeout=timeout) as http:
                yield http
        except TimeoutError as error:
            raise LoginError(f"expected an answer of {self._config.issuer} within {LOGIN_S:g} s, found none") from error

    async def _metadata(self, http: aiohttp.ClientSession) -> Metadata:
        issuer = self._config.issuer
        found = await self._call(http, "GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration", Metadata)
        if found.issuer != issuer:
            raise LoginError(f"expected the metadata of {issuer}, found those of another issuer")
        optional = (each or issuer for each in (found.userinfo_endpoint, found.end_session_endpoint))
        used = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri, *optional)
        if not all(map(is_confidential, used)):
            raise LoginError(f"expected endpoints of {issuer} with https, found one without")
        return found

    async def _tokens(self, http: aiohttp.ClientSession, metadata: Metadata, code: str, verifier: str) -> Tokens:
        config = self._config
        try:
            secret = await asyncio.to_thread(config.client_secret.reveal)
        except OSError as error:
            raise LoginError(str(error)) from error
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        login = base64.b64encode(f"{quote(config.client_id, safe='')}:{quote(secret, safe='')}".encode()).decode()
        headers = {"authorization": f"Basic {login}"}
        return await self._call(http, "POST", metadata.token_endpoint, Tokens, data=form, headers=headers)

    async def _userinfo(self, http: aiohttp.ClientSession, url: str, access_token: str) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {access_token}"}
        return await self._call(http, "GET", url, dict[str, Any], headers=headers)

    async def _call(self, http: aiohttp.ClientSession, method: str, url: str, of: type[T], **options: Any) -> T:
        place = url.partition("?")[0]
        try:
            async with http.request(method, url, allow_redirects=False, **options) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > ANSWER_BYTES_MAX:
                        raise LoginError(f"expected at most {ANSWER_BYTES_MAX} bytes of {place}, found more")
                if response.status != 200:
                    raise LoginError(f"expected an answer of {place}, found status {response.status}")
            return msgspec.json.decode(bytes(body), type=of)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise LoginError(f"expected an answer of {place}, found {type(error).__name__}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise LoginError(f"expected JSON of {place}, found another form") from error


def verified(
    id_token: str, keys: Mapping[str, Any], config: OidcConfig, algorithms: list[str], nonce: str, now_s: int
) -> dict[str, Any]:
    """The claims of an ID token.

    Args:
        id_token: as the provider gave it.
        keys: of the provider, a JWK set.
        config: whose issuer and client it has to name.
        algorithms: that it may be signed with.
        nonce: that it has to hold.
        now_s: in Unix seconds.

    Raises:
        LoginError: it is not what it has to be.
    """
    expected = {
        "iss": {"essential": True, "value": config.issuer},
        "aud": {"essential": True, "value": config.client_id},
        "nonce": {"essential": True, "value": nonce},
        "sub": {"essential": True},
        "exp": {"essential": True},
        "iat": {"essential": True},
    }
    usable = [each for each in keys.get("keys", ()) if each.get("kty") in KEYS and each.get("use") != "enc"]
    try:
        token = jwt.decode(id_token, KeySet.import_key_set({"keys": usable}), algorithms=algorithms)
        jwt.JWTClaimsRegistry(now=now_s, leeway=LEEWAY_S, **expected).validate(token.claims)  # type: ignore[arg-type] # TypedDicts
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise LoginError(
            f"expected an ID token of {config.issuer} for this login, found {type(error).__name__}"
        ) from error
    claims = dict(token.claims)
    if claims.get("azp", config.client_id) != config.client_id or not isinstance(claims["sub"], str):
        raise LoginError("expected an ID token for this client, found one for another one")
    return claims


def groups_of(claim: object) -> tuple[str, ...]:
    """The groups that a claim names: a list, or one name."""
    listed = claim if isinstance(claim, list) else [claim]
    return tuple(each for each in listed if isinstance(each, str) and each)
