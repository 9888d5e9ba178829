"""Who asks, and what they may read and do. Pure."""

from typing import Final

import msgspec
from starlette.types import Scope

from kgents_shared.contract.tokens import RIGHTS, Group, Token
from kgents_shared.view.selection import Selection

EVERYTHING: Final = Selection()
_KEY: Final = "kgents.identity"


class Session(msgspec.Struct, frozen=True):
    """A login at an OpenID provider."""

    person: str
    """The provider's name for it, its `sub`."""
    groups: tuple[str, ...]
    until: int
    """In Unix seconds."""


class Identity(msgspec.Struct, frozen=True):
    """Who asks."""

    name: str
    """For limits and logs; never a secret."""
    scope: Selection = EVERYTHING
    """What may be read: clusters and namespaces."""
    may: frozenset[str] = frozenset(RIGHTS)
    proof: Token | Session | None = None
    """What it was recognized by; None: no login is asked for."""


def identity_of(token: Token) -> Identity:
    """Who has a token."""
    return Identity(f"token {token.name}", _scope(token), frozenset(token.may), token)


def identity_of_person(session: Session, group: Group) -> Identity:
    """Who has logged in, as one of a group."""
    return Identity(f"person {session.person}", _scope(group), frozenset(group.may), session)


def _scope(grant: Token | Group) -> Selection:
    return Selection(clusters=grant.clusters, namespaces=grant.namespaces)


class KnownAs(msgspec.Struct, frozen=True):
    """Who asks, as it may know itself."""

    name: str
    may: list[str]
    """Out of `read` and `alert:write`."""
    clusters: list[str]
    """What it may read; empty: all."""
    namespaces: list[str]
    """Empty: all; the empty text stands for entities without one."""
    is_logged_in: bool
    """False: no login is asked for."""


def known_as(identity: Identity) -> KnownAs:
    """What an identity may know of itself."""
    scope = identity.scope
    return KnownAs(
        identity.name,
        sorted(identity.may),
        list(scope.clusters),
        list(scope.namespaces),
        identity.proof is not None,
    )


def put(scope: Scope, identity: Identity) -> None:
    """Note who makes a request."""
    scope[_KEY] = identity


def who(scope: Scope) -> Identity:
    """Who makes a request. A handler without it answers no one: the gate lets requests through that need no login."""
    identity: Identity = scope[_KEY]
    return identity
