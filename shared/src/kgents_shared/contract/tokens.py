"""The file of tokens that the gateway accepts, one line for each: the digest of a token, and what it may do. Pure.

    grafana sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 clusters=prod namespaces=shop,web

The tokens themselves are not in it: who reads the file cannot use any.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from kgents_shared.contract.subjects import EMPTY

READ: Final = "read"
WRITE_ALERTS: Final = "alert:write"
RIGHTS: Final = (READ, WRITE_ALERTS)
TOKENS_MAX: Final = 1_000
BEGIN: Final = "kgents_"
"""Of every token, so that programs which search for leaked secrets can know it."""

_SHAPE: Final = "NAME sha256:DIGEST [clusters=A,B] [namespaces=A,B] [may=read,alert:write]"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
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
        words = {"clusters": self.clusters, "namespaces": [each or EMPTY for each in self.namespaces], "may": self.may}
        given = {name: ",".join(each) for name, each in words.items() if each and each != (READ,)}
        return " ".join((self.name, self.digest, *(f"{name}={each}" for name, each in given.items())))


class MalformedTokensError(ValueError):
    """A line that cannot be read. The text never quotes it: it may be a token, by mistake."""


def digest_of(token: str) -> str:
    """The digest of a token, as in the file."""
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"


def tokens_of(text: str) -> tuple[Token, ...]:
    """The tokens of a file. Lines that are empty or begin with `#` are none.

    Raises:
        MalformedTokensError: a line is malformed; the text names it.
    """
    found: dict[str, Token] = {}
    digests = set[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        if not (words := line.split()) or words[0].startswith("#"):
            continue
        token = _token(words, f"line {number}")
        if token.name in found or token.digest in digests:
            raise MalformedTokensError(f"line {number}: expected a name and a token that no line before has")
        found[token.name] = token
        digests.add(token.digest)
        if len(found) > TOKENS_MAX:
            raise MalformedTokensError(f"line {number}: expected at most {TOKENS_MAX} tokens, found more")
    return tuple(found.values())


def _token(words: list[str], where: str) -> Token:
    name, digest, options = words[0], "".join(words[1:2]), words[2:]
    if not _NAME.fullmatch(name) or not _DIGEST.fullmatch(digest):
        raise MalformedTokensError(f"{where}: expected {_SHAPE}, found another form")
    given = dict(_options(options, where))
    if set(given.get("may", ())) - set(RIGHTS):
        raise MalformedTokensError(f"{where}: expected may= with {' or '.join(RIGHTS)}, found another right")
    namespaces = tuple("" if each == EMPTY else each for each in given.get("namespaces", ()))
    return Token(name, digest, given.get("clusters", ()), namespaces, given.get("may", (READ,)))


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
