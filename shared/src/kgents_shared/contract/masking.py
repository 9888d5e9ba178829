"""Text and messages → the same with everything in the form of a credential masked. Pure.

Kubelets quote commands of hooks, output of probes, and URLs; labels, annotations and attributes hold what people write
into them. What has the form of a credential, or the name of one, is masked; a secret without either cannot be
recognised.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

MASK: Final = "***"
_KEY: Final = (
    r"(?:passw(?:or)?d|passphrase|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credentials?)[\w-]{0,16}"
)
# Repetitions are bounded: a crafted note must not make the search slow.
_RULES: Final = (
    # The whole command of a lifecycle hook: `Exec lifecycle hook ([/bin/sh -c curl -u me:pw …]) for Container …`.
    (re.compile(r"(hook \(\[)[^\n]*?(\]\))"), rf"\1{MASK}\2"),
    # `https://user:password@host`
    (re.compile(r"(\b[a-z][a-z0-9+.-]{0,16}://)[^\s/@\"']+@", re.IGNORECASE), rf"\1{MASK}@"),
    # `https://host/path?token=…&x=…`
    (re.compile(r"(\b[a-z][a-z0-9+.-]{0,16}://[^\s?\"']*\?)[^\s\"']+", re.IGNORECASE), rf"\1{MASK}"),
    # `Authorization: Basic …`, and a bearer token anywhere
    (re.compile(r"(authorization[\"']?:\s*[\"']?)[^\n\"']+", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"\b(bearer\s+)[a-z0-9._~+/=-]{12,}", re.IGNORECASE), rf"\1{MASK}"),
    # `PASSWORD=…`, `--api-key …`, `"token": "…"`; not `secret "db-login" not found`, which only names one
    (re.compile(rf"({_KEY}=[\"']?)[^\s\"',;&]+", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(rf"(--[\w-]{{0,16}}{_KEY}[ =][\"']?)[^\s\"',;&\]]+", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(rf"({_KEY}[\"']?:\s*[\"'])[^\"']+", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"(passw(?:or)?d:\s*)[^\s\"',;&]+", re.IGNORECASE), rf"\1{MASK}"),
    # A JSON Web Token; tokens that begin with the name of who made them
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*"), MASK),
    (re.compile(r"\b(?:kgents_|gh[pos]_|github_pat_|glpat-)[\w-]{20,}"), MASK),
    (re.compile(r"(-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----)[^-]*"), rf"\1{MASK}"),
)
_SECRET_NAME: Final = re.compile(
    r"(?:passw(?:or)?d|passphrase|secret|token|(?:api|access|private)[-_.]?key|credentials?)$", re.IGNORECASE
)
"""The name of a label or attribute whose value is a secret; not of one that says something of a secret."""
_SIGNS: Final = (
    "secret", "token", "pass", "credential", "key", "authorization", "bearer ", "hook ([", "eyj", "kgents_", "glpat-",
    "ghp_", "gho_", "ghs_", "github_pat_",
)  # fmt: skip
"""What a text holds, in small letters, that could hold a credential other than a url."""
_BYTE_SIGNS: Final = (*(each.encode() for each in _SIGNS), b"\\u", b"\\/")
"""What a message holds then; escapes could hide any of them."""
_KIND: Final = b'"kind":"secret"'
"""Who is connected with a Secret holds none."""
_NAMES: Final = frozenset({"ref", "peer", "id", "uid", "kind", "source", "check", "dedup_key", "op"})
"""Fields that say what a message is about: it would be about something else without them."""
_MAPPINGS: Final = frozenset({"labels", "annotations", "attributes"})
_WORTH_FINDING_CHARS: Final = 6
"""A shorter value also stands in a sentence for other reasons."""


def masked(note: str) -> str:
    """A text, with `***` in place of credentials."""
    for pattern, replacement in _RULES:
        note = pattern.sub(replacement, note)
    return note


def masked_message(payload: bytes) -> bytes:
    """A JSON message, with `***` in place of credentials; the same object if it holds none, which is found quickly."""
    if not _may_hold(payload):
        return payload
    try:
        decoded = msgspec.json.decode(payload)
    except (msgspec.DecodeError, RecursionError):  # who reads it has to know that, too
        return payload
    found = _walked(decoded, sorted(set(_secrets(decoded)), key=len, reverse=True))
    return payload if found == decoded else msgspec.json.encode(found)


def _may_hold(payload: bytes) -> bool:
    small = payload.lower().replace(_KIND, b"")
    if b"://" in small and (b"@" in small or b"?" in small):
        return True
    return any(sign in small for sign in _BYTE_SIGNS)


def _secrets(value: Any) -> Iterator[str]:
    """The values whose names say that they are secrets. They may stand in sentences of the same message, too."""
    if isinstance(value, list):
        for each in value:
            yield from _secrets(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name in _MAPPINGS and isinstance(each, dict):
                yield from (text for key, held in each.items() if _SECRET_NAME.search(key) for text in _texts(held))
            else:
                yield from _secrets(each)
        if isinstance(field := value.get("field"), str) and _SECRET_NAME.search(field):  # one difference
            yield from (*_texts(value.get("old")), *_texts(value.get("new")))


def _texts(value: Any) -> Iterator[str]:
    listed = value if isinstance(value, list) else [value]
    yield from (each for each in listed if isinstance(each, str) and each)


def _walked(value: Any, secrets: list[str]) -> Any:
    match value:
        case str():
            for secret in secrets:
                if value == secret or len(secret) >= _WORTH_FINDING_CHARS:
                    value = value.replace(secret, MASK)
            small = value.lower()
            return masked(value) if "://" in small or any(sign in small for sign in _SIGNS) else value
        case dict():
            return {key: each if key in _NAMES else _walked(each, secrets) for key, each in value.items()}
        case list():
            return [_walked(each, secrets) for each in value]
        case _:
            return value
