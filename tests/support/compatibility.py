"""Two JSON Schemas of one signal → what keeps a reader of the one from taking a writer of the other, either way round.

Both ways, since services are upgraded one by one: an old reader meets a new writer and a new reader an old one, and the
streams hold messages of either. Readers pass over unknown fields, so a new optional field is the one change that may
come. Whatever widens what a field may hold breaks the old reader, and whatever narrows it breaks the new one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

ANNOTATIONS = {"$comment", "$id", "$schema", "$defs", "title", "description", "examples", "default"}
"""Keywords that admit or refuse nothing. `default` has a meaning for readers and is compared by itself."""

OPEN = {"urn:kgents:schema:pulse:v1"}
"""Signals whose readers pass over a message of a type that they do not know."""


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Every reason why the two do not understand each other; none means that they do."""
    return list(_breaking_changes(old, new))


def _breaking_changes(old: Schema, new: Schema) -> Iterator[str]:
    if not _admits(new, old):
        yield "the set of messages, or the field that distinguishes them, has changed"
    for name, definition in old["$defs"].items():
        if name in new["$defs"]:
            yield from _changes_of(name, definition, new["$defs"][name])
        else:
            yield f"{name} is gone"


def _admits(new: Schema, old: Schema) -> bool:
    """Whether it has the same types of message; or more of them, if readers pass over what they do not know."""
    if old.get("$id") not in OPEN:
        return _shape(old) == _shape(new)
    types, types_now = old["discriminator"]["mapping"], new.get("discriminator", {}).get("mapping", {})
    kept = {"propertyName": new.get("discriminator", {}).get("propertyName"), "mapping": types}
    members = [each for each in new.get("anyOf", ()) if each in old["anyOf"]]
    is_there = types.items() <= types_now.items() and len(new.get("anyOf", ())) == len(types_now)
    return is_there and _shape(old) == _shape({**new, "anyOf": members, "discriminator": kept})


def _changes_of(name: str, old: Schema, new: Schema) -> Iterator[str]:
    if _frame(old) != _frame(new):
        yield f"{name} admits other objects than before"
    required_before, required_now = set(old.get("required", ())), set(new.get("required", ()))
    for field in sorted(required_now - required_before):
        yield f"{name}.{field} is required now: messages of an old writer lack it"
    for field in sorted(required_before - required_now):
        yield f"{name}.{field} is not required any more: an old reader insists on it"
    for field, before in old.get("properties", {}).items():
        now = new.get("properties", {}).get(field)
        if now is None:
            yield f"{name}.{field} is gone"
        elif _shape(before) != _shape(now):
            yield f"{name}.{field} admits other values than before"
        elif ("default" in before, before.get("default")) != ("default" in now, now.get("default")):
            yield f"{name}.{field} has another default: left out, it means one thing to the old and one to the new"


def _frame(definition: Schema) -> object:
    """What an object must be apart from its fields, such as closed to unknown ones."""
    return _shape({key: value for key, value in definition.items() if key not in ("properties", "required")})


def _shape(node: object) -> object:
    """What a schema admits, without what it only describes; alternatives have no order."""
    match node:
        case Mapping():
            return {key: _shape(value) for key, value in node.items() if key not in ANNOTATIONS}
        case list():
            return sorted((_shape(item) for item in node), key=repr)
        case _:
            return node
