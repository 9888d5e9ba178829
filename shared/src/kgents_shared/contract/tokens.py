"""The file of tokens that the gateway accepts, one line for each: the digest of a token, and what it may do. Pure.

    grafana sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 clusters=prod namespaces=shop,web
    group:shop%20team namespaces=shop

The tokens themselves are not in it: who reads the file cannot use any. A line that begins with `group:` says what
people of a group may do who log in at an OpenID provider; of several groups of a person the first line counts.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, unquote

import msgspec

from kgents_shared.contract.subjects import EMPTY

READ: Final = "read"
WRITE_ALERTS: Final = "alert:write"
RIGHTS: Final = (READ, WRITE_ALERTS)
TOKENS_MAX: Final = 1_000
GROUP: Final = "group:"
BEGIN: Final = "kgents_"
"""Of every token, so that programs which search for leaked secrets can know it."""

_SHAPE: Final = "NAME sha256:DIGEST [clusters=A,B] [namespaces=A,B] [may=read,alert:write]"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_UNQUOTED: Final = "/:=,@+"
_OPTIONS: Final = ("clusters", "namespaces", "may")


class Token(msgspec.Struct, frozen=True):
    """What the file says of one token."""

    name: str
    digest: str
    """`sha256:` and 64 hexadecimal digits. A token is 32 random bytes: a slow hash would protect it no better."""
    clusters: tuple[str, ...] = ()
    """Only these; none: all. As in filters `*` is any text and `?` any character."""
    namespaces: tuple[str, ...] = ()
    """Only these; none: all. In the file `_` stands for entities without one."""
    may: tuple[str, ...] = (READ,)
    """Out of RIGHTS."""

    def __str__(self) -> str:
        """As a line of the file."""
        return " ".join((self.name, self.digest, *_written(self)))


class Group(msgspec.Struct, frozen=True):
    """What the file says of one group of people."""

    name: str
    """As the provider calls it."""
    clusters: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    may: tuple[str, ...] = (READ,)
    """All three as of a token."""

    def __str__(self) -> str:
        """As a line of the file."""
        return " ".join((f"{GROUP}{quote(self.name, safe=_UNQUOTED)}", *_written(self)))


class Entries(msgspec.Struct, frozen=True):
    """What is in the file."""

    tokens: tuple[Token, ...] = ()
    groups: tuple[Group, ...] = ()


class MalformedTokensError(ValueError):
    """A line that cannot be read. The text never quotes it: it may be a token, by mistake."""


def digest_of(token: str) -> str:
    """The digest of a token, as in the file."""
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"


def tokens_of(text: str) -> tuple[Token, ...]:
    """The tokens of a file.

    Raises:
        MalformedTokensError: a line is malformed; the text names it.
    """
    return entries_of(text).tokens


def entries_of(text: str) -> Entries:
    """What is in a file. Lines that are empty or begin with `#` are nothing.

    Raises:
        MalformedTokensError: a line is malformed; the text names it.
    """
    tokens: dict[str, Token] = {}
    groups: dict[str, Group] = {}
    digests = set[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        if not (words := line.split()) or words[0].startswith("#"):
            continue
        where = f"line {number}"
        if words[0].startswith(GROUP):
            group = _group(words, where)
            if group.name in groups:
                raise MalformedTokensError(f"{where}: expected a group that no line before has")
            groups[group.name] = group
        else:
            token = _token(words, where)
            if token.name in tokens or token.digest in digests:
                raise MalformedTokensError(f"{where}: expected a name and a token that no line before has")
            tokens[token.name] = token
            digests.add(token.digest)
        if len(tokens) + len(groups) > TOKENS_MAX:
            raise MalformedTokensError(f"{where}: expected at most {TOKENS_MAX} tokens and groups, found more")
    return Entries(tuple(tokens.values()), tuple(groups.values()))


def _token(words: list[str], where: str) -> Token:
    name, digest = words[0], "".join(words[1:2])
    if not _NAME.fullmatch(name) or not _DIGEST.fullmatch(digest):
        raise MalformedTokensError(f"{where}: expected {_SHAPE}, found another form")
    return Token(name, digest, *_grant(words[2:], where))


def _group(words: list[str], where: str) -> Group:
    name = unquote(words[0].removeprefix(GROUP))
    if not name:
        raise MalformedTokensError(f"{where}: expected a name behind {GROUP}")
    return Group(name, *_grant(words[1:], where))


def _grant(options: list[str], where: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Clusters, namespaces and rights."""
    given = dict(_options(options, where))
    if set(given.get("may", ())) - set(RIGHTS):
        raise MalformedTokensError(f"{where}: expected may= with {' or '.join(RIGHTS)}, found another right")
    namespaces = tuple("" if each == EMPTY else each for each in given.get("namespaces", ()))
    return given.get("clusters", ()), namespaces, given.get("may", (READ,))


def _written(grant: "Token | Group") -> Iterator[str]:
    words = {"clusters": grant.clusters, "namespaces": [each or EMPTY for each in grant.namespaces], "may": grant.may}
    given = {name: ",".join(each) for name, each in words.items() if each and each != (READ,)}
    yield from (f"{name}={each}" for name, each in given.items())


def _options(options: list[str], where: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    seen = set[str]()
    for option in options:
        name, _, value = option.partition("=")
        words = tuple(value.split(","))
        # A list that is empty by mistake would otherwise allow everything.
        if name not in _OPTIONS or name in seen or "" in words:
            raise MalformedTokensError(f"{where}: expected {_SHAPE}, found an option that is unknown, twice or empty")
        seen.add(name)
        yield name, words
