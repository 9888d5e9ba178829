"""Text and messages → the same with everything in the form of a credential masked. Pure.

Kubelets quote commands of hooks, output of probes, and URLs; labels, annotations and attributes hold what people write
into them. What has the form of a credential, or the name of one, is masked; a secret without either cannot be
recognised.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

MASK: Final = "***"
_KEY: Final = (
    r"(?:passw(?:or)?d|passphrase|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credentials?)[\w-]{0,16}"
)
_SCHEME: Final = "[a-z][a-z0-9+.-]{0,16}"
# Repetitions are bounded: a crafted note must not make the search slow.
_RULES: Final = (
    # The whole command of a lifecycle hook: `Exec lifecycle hook ([/bin/sh -c curl -u me:pw …]) for Container …`.
    (re.compile(r"(hook \(\[)[^\n]*?(\]\))"), rf"\1{MASK}\2"),
    # `https://user:password@host`, also with an `@` in the password; not the digest of an image
    (
        re.compile(rf"(\b{_SCHEME}://)(?:(?!://)[^\s/\"'])+@(?!sha256:)", re.IGNORECASE),
        rf"\1{MASK}@",
    ),
    # `redis://:pass/word@host`; not `http://host:80/path@`
    (
        re.compile(
            rf"(\b{_SCHEME}://)[^\s/@:\"']{{0,64}}:(?!\d{{1,5}}[/?#])(?:(?!://)[^\s\"']){{1,512}}@(?!sha256:)",
            re.IGNORECASE,
        ),
        rf"\1{MASK}@",
    ),
    # `user:password@tcp(host:3306)/database`
    (re.compile(r"[^\s\"']{1,256}@((?:tcp|unix)\()", re.IGNORECASE), rf"{MASK}@\1"),
    # `https://hooks.slack.com/services/…`, `https://discord.com/api/webhooks/…`: who knows it may write there
    (re.compile(r"(hooks\.slack\.com/[a-z]{1,16}/|/api/webhooks/|api\.telegram\.org/bot)[^\s\"']+"), rf"\1{MASK}"),
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
    # `DB_PASS=…`, `--pass …`
    (re.compile(r"([_-](?:pass|pwd)=[\"']?)[^\s\"',;&]+", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"(--(?:[\w-]{0,16}[_-])?(?:pass|pwd)[ =][\"']?)[^\s\"',;&\]]+", re.IGNORECASE), rf"\1{MASK}"),
    # `X-Api-Key: …`
    (re.compile(r"((?:api|access|private)[-_]?key:\s*)[^\s\"',;&]{8,}", re.IGNORECASE), rf"\1{MASK}"),
    # A JSON Web Token; tokens that begin with the name of who made them
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*"), MASK),
    (
        re.compile(
            r"\b(?:kgents_|gh[pousr]_|github_pat_|glpat-|xox[a-z]-|xapp-|[rs]k_live_|npm_|pypi-|hvs\.|AIza)[\w-]{20,}"
        ),
        MASK,
    ),
    (re.compile(r"(-----BEGIN [A-Z ]{0,32}(?:PRIVATE KEY(?: BLOCK)?|NKEY SEED)-----)[^-]*"), rf"\1{MASK}"),
)
_SECRET_NAME: Final = re.compile(
    r"(?:passw(?:or)?d|passphrase|secret|token|(?:api|access|private)[-_.]?key|credentials?|(?<![a-z])(?:pass|pwd))$",
    re.IGNORECASE,
)
"""The name of a label or attribute whose value is a secret; not of one that says something of a secret."""
_SIGNS: Final = (
    "secret", "token", "pass", "pwd", "credential", "key", "authorization", "bearer ", "hook ([", "eyj", "kgents_",
    "glpat-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "xox", "xapp-", "k_live_", "npm_", "pypi-", "hvs.",
    "aiza", "@tcp(", "@unix(", "hooks.slack.com", "/webhooks/", "telegram.org/bot",
)  # fmt: skip
"""What a text holds, in small letters, that could hold a credential other than a url or a seed."""
_SEED: Final = re.compile(r"\bS[ACNOUX][A-Z2-7]{56}\b")
"""The secret half of an NKey of NATS. It has no sign in small letters."""
_BYTE_SEED: Final = re.compile(_SEED.pattern.encode())
_BYTE_SIGNS: Final = (*(each.encode() for each in _SIGNS), b"\\u", b"\\/")
"""What a message holds then; escapes could hide any of them."""
_KIND: Final = b'"kind":"secret"'
"""Who is connected with a Secret holds none."""
_NAMES: Final = frozenset({"ref", "peer", "id", "uid", "kind", "source", "check", "dedup_key", "op"})
"""Fields that say what a message is about: without them it would be about something else. Labels may be named so."""
_MAPPINGS: Final = frozenset({"labels", "annotations", "attributes"})
_CHANGED: Final = frozenset({"old", "new"})
_WORTH_FINDING_CHARS: Final = 6
"""A shorter value also stands in a sentence for other reasons."""


def masked(note: str) -> str:
    """A text, with `***` in place of credentials."""
    note = _SEED.sub(MASK, note)
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
    secrets = sorted(set(_secrets(decoded)), key=len, reverse=True)
    found = _walked(decoded, lambda text: _masked_text(text, secrets))
    # Of a key that stands twice the last alone was read, and both are in the bytes.
    encoded = msgspec.json.encode(found)
    return payload if encoded == payload else encoded


def redacted_message(payload: bytes, rules: Sequence[re.Pattern[str]]) -> bytes:
    """A JSON message with `***` in place of what any of the rules matches in its texts, but for what it is about."""
    try:
        decoded = msgspec.json.decode(payload)
    except (msgspec.DecodeError, RecursionError):
        return payload
    found = _walked(decoded, lambda text: _redacted_text(text, rules))
    return payload if found == decoded else msgspec.json.encode(found)


def _redacted_text(text: str, rules: Sequence[re.Pattern[str]]) -> str:
    for rule in rules:
        text = rule.sub(MASK, text)
    return text


def _may_hold(payload: bytes) -> bool:
    small = payload.lower().replace(_KIND, b"")
    if b"://" in small and (b"@" in small or b"?" in small):
        return True
    return any(sign in small for sign in _BYTE_SIGNS) or _BYTE_SEED.search(payload) is not None


def _secrets(value: Any, *, is_named: bool = False) -> Iterator[str]:
    """The values whose names say that they are secrets. They may stand in sentences of the same message, too.

    `is_named`: the keys of `value` are names that people gave, as those of labels, and not fields of a message.
    """
    if isinstance(value, list):
        for each in value:
            yield from _secrets(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if _is_secret(value, key, is_named=is_named):
                yield from _texts(each)
            else:
                yield from _secrets(each, is_named=not is_named and key in _MAPPINGS)


def _is_secret(holder: dict[str, Any], key: str, *, is_named: bool) -> bool:
    """Whether a name says that the value at a key is a secret: its own, or that of the field that has changed."""
    name = key if is_named else holder.get("field") if key in _CHANGED else None
    return isinstance(name, str) and _SECRET_NAME.search(name) is not None


def _texts(value: Any) -> Iterator[str]:
    listed = value if isinstance(value, list) else [value]
    yield from (each for each in listed if isinstance(each, str) and each)


def _walked(value: Any, mask: Callable[[str], str], *, is_named: bool = False) -> Any:
    match value:
        case str():
            return mask(value)
        case dict():
            return {key: _entry(value, key, mask, is_named=is_named) for key in value}
        case list():
            return [_walked(each, mask) for each in value]
        case _:
            return value


def _entry(holder: dict[str, Any], key: str, mask: Callable[[str], str], *, is_named: bool) -> Any:
    value = holder[key]
    if is_named or key not in _NAMES:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and _is_secret(holder, key, is_named=is_named):
            return MASK
        return _walked(value, mask, is_named=not is_named and key in _MAPPINGS)
    return value


def _masked_text(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        if text == secret or len(secret) >= _WORTH_FINDING_CHARS:
            text = text.replace(secret, MASK)
    small = text.lower()
    if "://" in small or any(sign in small for sign in _SIGNS) or _SEED.search(text) is not None:
        return masked(text)
    return text
