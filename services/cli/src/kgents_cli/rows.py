"""Messages of the archive → rows with a column for each of what analysts select by. Pure.

Null stands for all that a message does not say: an unknown health has no score, though its message has the number 0.5.
"""

from typing import Any, Final

import msgspec

from kgents_shared.contract import subjects
from kgents_shared.contract.archive import Rolled, Stored
from kgents_shared.contract.errors import MalformedMessageError

PLACES: Final = ("cluster", "kind", "namespace", "name", "source", "check", "incident")
"""Of the subject; null where subjects of the signal have no such field."""
FIGURE_PLACES: Final = PLACES[:5]
"""Of the subject of a pulse."""
WORDS: Final = ("text", "status", "level", "severity", "state", "reason")
"""Of the message; null where it has no such text."""

_UNKNOWN: Final = "unknown"


def row(signal: str, message: Stored) -> dict[str, Any]:
    """A row of one message; `body` is what was published, and null where that is no JSON object or nothing."""
    body = _decoded(message.body)
    found = {name: _text(body.get(name)) for name in WORDS}
    score = None if found["level"] == _UNKNOWN else _number(body.get("score"))
    return {
        "signal": signal, "at": message.at, "seq": message.seq, **_places(message.subject, body),
        "is_removed": message.is_gone, **found, "score": score, "body": message.body.decode() if body else None,
    }  # fmt: skip


def figure_row(found: Rolled) -> dict[str, Any]:
    """A row of what is kept of one figure; numbers that are not known are null."""
    return msgspec.structs.asdict(found) | {name: _places(found.subject, {})[name] for name in FIGURE_PLACES}


def _places(subject: str, body: dict[str, Any]) -> dict[str, str | None]:
    try:
        parsed = subjects.parse(subject)
    except MalformedMessageError:
        return dict.fromkeys(PLACES)
    return {name: _place(parsed, name, body) for name in PLACES}


def _place(parsed: subjects.Subject, name: str, body: dict[str, Any]) -> str | None:
    if name not in parsed.tokens:
        return None
    if not subjects.is_hashed(parsed.tokens[name]):
        return parsed.value(name)
    ref = body.get("ref")  # of a long name the subject has a hash alone
    return _text(ref.get(name)) if isinstance(ref, dict) else None


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
