"""A message too large for the server → one that fits, and names in `cut` what it leaves out. Pure.

A server refuses a message beyond its max_payload, now and at every later try. What an entity is named and what state it
is in always fits; what makes a message large is what it lists: annotations, connections, reasons. So the largest of
these are left out, as few as possible. The result depends on the message and the limit alone: a message that is
published in part equals what is desired, cut in the same way, and is not published again.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

import msgspec

from kgents_shared.contract.codec import encode
from kgents_shared.contract.pulse import ALL
from kgents_shared.contract.wire import Wire

T = TypeVar("T", bound=Wire)

TEXT_CHARS: Final = 1_000
"""Of a sentence, a reason or an evidence in a message that is cut. A reader sees less of it in any view."""
CUT_MAX: Final = 16
"""Names in `cut`; one more stands for the rest."""
NAME_CHARS: Final = 80
"""Of one name in `cut`: a mapping's key may itself be large."""
NAMES_BYTES: Final = 16 * 1024
"""What `cut` and its sentence add at most, and what stays free for headers, the sentence of a change and `changed`."""

_IDENTITY: Final = frozenset(
    {"ref", "op", "source", "sources", "parts", "expiring", "cut", "type", "id", "check", "dedup_key", "service"}
    | {"instance", "version", "unread", "stale", "publishes", "consumes"}
)
"""Fields that a reader cannot do without, or that mean something else when they are shorter."""
_FACTS: Final = frozenset({"labels", "annotations", "attributes", "connections", "addresses", "aliases", "changed"})
"""Fields whose values are kept or left out, never shortened: half an address is another address."""


class _Piece(msgspec.Struct, frozen=True):
    """What can be left out on its own."""

    field: str
    key: str | int
    """Of a mapping its key, of a list the position."""
    size_bytes: int


def fitted(message: T, limit_bytes: int) -> T:
    """Its identity, its state, and as much of the rest as leaves room for a sentence and `cut`; all of it if that does.

    For a message that does not fit as it would be sent: one that does may be sent whole though it leaves less room.
    """
    most = max(limit_bytes - NAMES_BYTES, limit_bytes // 2)
    if len(encode(message)) <= most:
        return message
    found, cut = _with_short_texts(message)
    if (excess := len(encode(found)) - most) > 0:
        found, left_out = _without_largest(found, excess)
        cut += left_out
    if len(encode(found)) > most:  # a single field that is neither a list nor a mapping
        found, more = _bare(found)
        cut += more
    return _named(found, cut)


def with_room(message: T, limit_bytes: int) -> T:
    """A fitted message with its sentence and `changed`: without the last of these differences until it fits."""
    if len(encode(message)) <= limit_bytes:
        return message
    text = _short(getattr(message, "text", ""))
    found = msgspec.structs.replace(message, text=text)
    changed = list(getattr(found, "changed", ()))
    while changed and len(encode(found)) > limit_bytes:
        changed = changed[: len(changed) // 2]
        found = msgspec.structs.replace(found, changed=changed)
    return found


def is_cut(message: Wire) -> bool:
    """Whether it was published in part."""
    return bool(getattr(message, "cut", ()))


def note_of(cut: list[str]) -> str:
    """What a sentence says of a message that is published in part; empty for a whole one."""
    return f" (too large to publish whole: without {', '.join(cut)})" if cut else ""


def _named(message: T, cut: list[str]) -> T:
    known: list[str] = getattr(message, "cut", [])
    names = list(dict.fromkeys([*known, *(_printable(_short(name, NAME_CHARS)) for name in cut)]))
    if len(names) > CUT_MAX:
        names = [*names[:CUT_MAX], f"{len(names) - CUT_MAX} more"]
    more: dict[str, Any] = {"text": f"{getattr(message, 'text', '')}{note_of(names)}"}
    if hasattr(message, "read_at"):
        more["unread"] = [ALL]  # of a pulse: a figure that is left out is not known now, and has not ended
    return msgspec.structs.replace(message, cut=names, **more)


def _with_short_texts(message: T) -> tuple[T, list[str]]:
    """Sentences and reasons that are longer than any reader shows become short ones."""
    plain = msgspec.to_builtins(message)
    cut = [name for name in plain if name not in _IDENTITY | _FACTS and _shorten(plain, name)]
    return (msgspec.convert(plain, type(message)), cut) if cut else (message, [])


def _shorten(holder: Any, key: Any) -> bool:
    """Shorten every long text under a key; whether there was one."""
    value = holder[key]
    if isinstance(value, str):
        holder[key] = _short(value)
        return len(value) > TEXT_CHARS
    keys: Iterator[Any] | range = iter(())
    if isinstance(value, dict):
        keys = (name for name in list(value) if name not in _IDENTITY)
    elif isinstance(value, list):
        keys = range(len(value))
    return sum(_shorten(value, each) for each in keys) > 0  # all of them, not up to the first


def _short(text: str, chars: int = TEXT_CHARS) -> str:
    return text if len(text) <= chars else f"{text[: chars - 1]}…"


def _printable(name: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in name)


def _without_largest(message: T, excess: int) -> tuple[T, list[str]]:
    """Leave out the largest pieces until at least so many bytes are saved; the names of what is gone."""
    gone: dict[str, set[str | int]] = {}
    for piece in sorted(_pieces(message), key=lambda each: (-each.size_bytes, each.field, str(each.key))):
        if excess <= 0:
            break
        gone.setdefault(piece.field, set()).add(piece.key)
        excess -= piece.size_bytes
    kept = {field: _kept(getattr(message, field), keys) for field, keys in gone.items()}
    names = [name for field, keys in gone.items() for name in _names(field, getattr(message, field), keys)]
    return msgspec.structs.replace(message, **kept), names


def _pieces(message: Wire) -> Iterator[_Piece]:
    for field in message.__struct_fields__:
        value = getattr(message, field)
        if field in _IDENTITY or not isinstance(value, dict | list):
            continue
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in pairs:
            name_bytes = len(msgspec.json.encode(key)) + 1 if isinstance(value, dict) else 0
            yield _Piece(field, key, len(msgspec.json.encode(each)) + name_bytes + 1)


def _kept(value: Any, gone: set[str | int]) -> Any:
    if isinstance(value, dict):
        return {key: each for key, each in value.items() if key not in gone}
    return [each for position, each in enumerate(value) if position not in gone]


def _names(field: str, value: Any, gone: set[str | int]) -> list[str]:
    """How `cut` names what is left out: `annotations.big`, or `connections (3,000 of 40,000)`."""
    if isinstance(value, Mapping) and len(gone) <= CUT_MAX:
        return [f"{field}.{key}" for key in sorted(map(str, gone))]
    return [f"{field} ({len(gone):,} of {len(value):,})"]


def _bare(message: T) -> tuple[T, list[str]]:
    """Its identity and its state: every other text is shortened, and every other part that may be absent is."""
    fields = {field.name: field for field in msgspec.structs.fields(message)}
    changes: dict[str, Any] = {}
    for name, field in fields.items():
        value = getattr(message, name)
        if name in ("ref", "op", "cut", "type"):
            continue
        if isinstance(value, str) and len(value) > TEXT_CHARS:
            changes[name] = _short(value)
        elif field.default is None and value is not None and len(msgspec.json.encode(value)) > TEXT_CHARS:
            changes[name] = None
        elif isinstance(value, list | dict) and len(msgspec.json.encode(value)) > NAMES_BYTES // 4:
            changes[name] = type(value)()
    return msgspec.structs.replace(message, **changes), list(changes)
