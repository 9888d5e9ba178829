"""Who asks, and what they may read and do. Pure."""

from typing import Final

import msgspec
from starlette.types import Scope

from kgents_shared.contract.tokens import RIGHTS, Token
from kgents_shared.view.selection import Selection

EVERYTHING: Final = Selection()
_KEY: Final = "kgents.identity"


class Identity(msgspec.Struct, frozen=True):
    """Who asks."""

    name: str
    """For limits and logs; never a secret."""
    scope: Selection = EVERYTHING
    """What may be read: clusters and namespaces."""
    may: frozenset[str] = frozenset(RIGHTS)
    token: Token | None = None
    """What it was recognized by; None: no login is asked for."""


def identity_of(token: Token) -> Identity:
    """Who has a token."""
    scope = Selection(clusters=token.clusters, namespaces=token.namespaces)
    return Identity(f"token {token.name}", scope, frozenset(token.may), token)


def put(scope: Scope, identity: Identity) -> None:
    """Note who makes a request."""
    scope[_KEY] = identity


def who(scope: Scope) -> Identity:
    """Who makes a request. A handler without it answers no one: the gate lets requests through that need no login."""
    identity: Identity = scope[_KEY]
    return identity
