"""The subject grammar: fields → `kgents.<signal>.…` → fields, and filters over them.

The number of tokens of each signal is fixed, because wildcards, permissions and partitions count tokens.
A token is its value with every byte outside `A-Z a-z 0-9 _ -` written as `=HH`, so `kube-root-ca.crt` becomes
`kube-root-ca=2Ecrt`; the empty value is `_` (and a value that *is* `_` becomes `=5F`). The server would store a
literal `*` or `>` in a subject without an error, which is why only this module builds subjects.
"""

import hashlib
import re
from functools import lru_cache
from typing import Final

import msgspec

from kgents_shared.contract.errors import MalformedMessageError

ROOT: Final = "kgents"
QUESTIONS: Final = ("world.infra", "world.v1")
"""What subjects of questions begin with that the gateway answers; outside of ROOT, which streams capture."""
ARCHIVE: Final = "world.archive"
"""What subjects of questions begin with that the archiver answers."""

FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "entity": ("cluster", "source", "kind", "namespace", "name"),
    "pulse": ("cluster", "source", "kind", "namespace", "name"),
    "event": ("cluster", "source", "kind", "namespace", "name"),
    "topology": ("cluster", "kind", "namespace", "name"),
    "health": ("cluster", "kind", "namespace", "name"),
    "alert": ("cluster", "kind", "namespace", "name", "check"),
    "incident": ("cluster", "incident"),
    "notice": ("cluster", "receiver", "incident"),
    "silence": ("cluster", "silence"),
    "ack": ("cluster", "incident"),
    "audit": ("cluster", "action"),
    "meta": ("cluster", "service", "instance"),
}
"""Signal → the fields that follow it in its subjects, in order."""

REMEMBERED: Final = 4_096
"""Signals, sources, kinds and namespaces whose part of a subject is remembered."""
ESCAPED_REMEMBERED: Final = 16_384
"""Values whose token is remembered, since it is not the value itself: 4 MB."""
EMPTY: Final = "_"
MAX_TOKEN_CHARS: Final = 120
"""A longer token is cut and ends in a hash; the server advises subjects under 256 characters in sixteen tokens."""

_HASH_MARK: Final = "=="  # never part of an escape, since `=` itself is written `=3D`
_KEPT_CHARS: Final = 84  # what stays readable of a cut token: 84 + 2 + 32 characters of hash < 120
_CLEAN: Final = re.compile(r"[A-Za-z0-9_-]+\Z")
_ESCAPED: Final = re.compile(r"(?:[A-Za-z0-9_-]|=[0-9A-F]{2})+\Z")
_DIRTY_BYTE: Final = re.compile(rb"[^A-Za-z0-9_-]")
_ONLY_OURS: Final = re.compile(r"[A-Za-z0-9_=-]+\Z")


def escape(value: str) -> str:
    """The token that stands for `value`: legal in any subject, and shared with no other value."""
    if len(value) <= MAX_TOKEN_CHARS and value != EMPTY and _CLEAN.match(value):
        return value
    return _escape_slowly(value)


@lru_cache(maxsize=ESCAPED_REMEMBERED)
def _escape_slowly(value: str) -> str:
    if value == "":
        return EMPTY
    if value == EMPTY:
        return "=5F"
    if "=" not in value:  # the three bytes that most names have: a third of the cost
        token = value.replace("/", "=2F").replace(".", "=2E").replace(":", "=3A")
        if len(token) <= MAX_TOKEN_CHARS and _ONLY_OURS.match(token):
            return token
    raw = value.encode()
    token = _DIRTY_BYTE.sub(lambda byte: b"=%02X" % byte.group()[0], raw).decode("ascii")
    if len(token) <= MAX_TOKEN_CHARS:
        return token
    kept = token[:_KEPT_CHARS]
    kept = kept[: kept.rfind("=")] if "=" in kept[-2:] else kept  # never cut inside an `=HH`
    return f"{kept}{_HASH_MARK}{hashlib.blake2b(raw, digest_size=16).hexdigest()}"


def is_hashed(token: str) -> bool:
    """Whether the token was too long to be reversible; the real value is in the message's body."""
    return _HASH_MARK in token


def unescape(token: str) -> str:
    """The value that `escape` was given.

    Raises:
        MalformedMessageError: `escape` never returns this token, or it is hashed and cannot be reversed.
    """
    if token == EMPTY:
        return ""
    if len(token) <= MAX_TOKEN_CHARS and _CLEAN.match(token):
        return token
    if is_hashed(token):
        raise MalformedMessageError(f"token {token!r} is hashed: read the name from the message's body")
    if not _ESCAPED.match(token):
        raise MalformedMessageError(f"expected a token of A-Z a-z 0-9 _ - and =HH, found {token!r}")
    try:
        value = re.sub(rb"=([0-9A-F]{2})", lambda hit: bytes([int(hit[1], 16)]), token.encode()).decode()
    except UnicodeDecodeError as error:
        raise MalformedMessageError(f"token {token!r} does not spell UTF-8") from error
    if escape(value) != token:
        raise MalformedMessageError(f"expected {escape(value)!r}, found the needlessly escaped token {token!r}")
    return value


class Subject(msgspec.Struct, frozen=True):
    """A parsed subject: the signal and its tokens by field name, still escaped (a hashed one has no value)."""

    signal: str
    tokens: dict[str, str]

    def value(self, field: str) -> str:
        """The unescaped value of one field."""
        return unescape(self.tokens[field])


def build(signal: str, **values: str) -> str:
    """The subject of one message; every field of the signal must be given."""
    fields = FIELDS.get(signal, ())
    if values.keys() != frozenset(fields):
        fields = _fields(signal, values)
        missing = [field for field in fields if field not in values]
        raise ValueError(f"subject of {signal!r} needs {', '.join(fields)}; missing {', '.join(missing)}")
    return ".".join([ROOT, signal, *[escape(values[field]) for field in fields]])


@lru_cache(maxsize=REMEMBERED)
def around_name(signal: str, cluster: str, kind: str, namespace: str, **more: str) -> tuple[str, str]:
    """What comes before the name of an entity in its subjects, and what after: the same for many entities."""
    tokens = build(signal, cluster=cluster, kind=kind, namespace=namespace, name="name", **more).split(".")
    at = FIELDS[signal].index("name") + 2  # after `kgents` and the signal
    return ".".join([*tokens[:at], ""]), "".join(f".{token}" for token in tokens[at + 1 :])


@lru_cache(maxsize=REMEMBERED)
def before_name(beginning: str) -> tuple[str, str, str]:
    """Cluster, kind and namespace of all subjects that begin so and end in the name of an entity.

    Raises:
        MalformedMessageError: it is not in this grammar, or a token is hashed.
    """
    found = parse(f"{beginning}.name")
    if FIELDS[found.signal][-1] != "name":
        raise MalformedMessageError(f"expected subjects that end in the name of an entity, found {beginning!r}")
    return found.value("cluster"), found.value("kind"), found.value("namespace")


def pattern(signal: str, **values: str) -> str:
    """A filter: fields not given match anything. Same token count as the subjects it matches."""
    fields = _fields(signal, values)
    return ".".join((ROOT, signal, *(escape(values[field]) if field in values else "*" for field in fields)))


def parse(subject: str) -> Subject:
    """Take a subject apart.

    Raises:
        MalformedMessageError: it is not in this grammar; the text says what was expected.
    """
    root, _, rest = subject.partition(".")
    signal, _, tail = rest.partition(".")
    fields = FIELDS.get(signal)
    if root != ROOT or fields is None:
        raise MalformedMessageError(f"expected {ROOT}.<{'|'.join(FIELDS)}>.…, found subject {subject!r}")
    tokens = tail.split(".")
    if len(tokens) != len(fields) or not all(_is_token(token) for token in tokens):
        expected = ".".join(f"<{field}>" for field in fields)
        raise MalformedMessageError(f"expected {ROOT}.{signal}.{expected}, found subject {subject!r}")
    return Subject(signal, dict(zip(fields, tokens, strict=True)))


def matches(subject: str, filter_: str) -> bool:
    """Whether a NATS filter (`*` one token, `>` the rest) matches this subject."""
    wanted, found = filter_.split("."), subject.split(".")
    for index, want in enumerate(wanted):
        if want == ">":
            return len(found) > index
        if index >= len(found) or want not in ("*", found[index]):
            return False
    return len(wanted) == len(found)


def fault_of_filter(filter_: str) -> str | None:
    """What is wrong with a NATS filter, of any application; None if nothing is."""
    tokens = filter_.split(".")
    if any(not token or token.split() != [token] for token in tokens):
        return "a token that is empty or has a blank"
    if ">" in tokens[:-1]:
        return "> before the end"
    return None


def _is_token(token: str) -> bool:
    """Whether `escape` may have made it. A hashed one is accepted unchecked: only its reader can compare the name."""
    if is_hashed(token):
        return bool(_ESCAPED.match(token.replace(_HASH_MARK, "", 1)))
    try:
        unescape(token)
    except MalformedMessageError:
        return False
    return True


def _fields(signal: str, values: dict[str, str]) -> tuple[str, ...]:
    fields = FIELDS.get(signal)
    if fields is None:
        raise ValueError(f"expected a signal out of {', '.join(FIELDS)}, found {signal!r}")
    if unknown := values.keys() - set(fields):
        raise ValueError(f"subject of {signal!r} has {', '.join(fields)}; it has no {', '.join(sorted(unknown))}")
    return fields
