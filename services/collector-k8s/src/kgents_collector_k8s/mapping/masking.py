"""Notes of Events, which are free text: text → the same text with everything in the form of a credential masked. Pure.

Kubelets quote commands of hooks, output of probes, and URLs. What has the form of a credential is masked; a secret
without such a form cannot be recognised.
"""

import re
from typing import Final

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
    # A JSON Web Token
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*"), MASK),
)


def masked(note: str) -> str:
    """The note, with `***` in place of credentials."""
    for pattern, replacement in _RULES:
        note = pattern.sub(replacement, note)
    return note
