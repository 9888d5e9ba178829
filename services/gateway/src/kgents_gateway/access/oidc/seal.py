"""What a browser keeps for the gateway, signed: a login, and one that has begun. So any gateway can go on with it."""

import hashlib
from functools import lru_cache
from typing import Final, TypeVar

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from kgents_gateway.access.identity import Session

ALGORITHM: Final = "HS256"
CHARS_MAX: Final = 4_000
"""Browsers keep no cookie of more than 4,096 bytes, with its name."""
REMEMBERED: Final = 1_024


class Pending(msgspec.Struct, frozen=True):
    """A login that has begun."""

    state: str
    nonce: str
    verifier: str
    until: int
    """In Unix seconds."""


T = TypeVar("T", Session, Pending)


class Seal:
    """Signs and checks. All gateways with one client secret accept each other's."""

    def __init__(self, secret: str) -> None:
        """`secret`: of the client; what is signed with another one is not accepted."""
        key = OctKey.import_key(hashlib.sha256(b"kgents gateway session\0" + secret.encode()).digest())
        self._key: Final = key
        self._opened = lru_cache(REMEMBERED)(self._decoded)  # the same cookie comes with every request

    def sealed(self, value: Session | Pending) -> str:
        """A value for a cookie."""
        header = {"alg": ALGORITHM, "typ": type(value).__name__}
        return jwt.encode(header, msgspec.to_builtins(value), self._key, algorithms=[ALGORITHM])

    def opened(self, text: str, of: type[T]) -> T | None:
        """The value of a cookie; None if it is not one of ours. Whether its time is over is not asked."""
        return self._opened(text, of) if 0 < len(text) <= CHARS_MAX else None

    def _decoded(self, text: str, of: type[T]) -> T | None:
        try:
            token = jwt.decode(text, self._key, algorithms=[ALGORITHM])
            if token.header.get("typ") != of.__name__:
                return None
            return msgspec.convert(token.claims, of)
        except (JoseError, ValueError):
            return None
