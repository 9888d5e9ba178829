"""One setting: which ones a config Struct has, and how a raw value becomes its type. `runtime.config` does the rest."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
from msgspec import Struct, inspect, structs

from kgents_shared.bus.config import Secret

Key = tuple[str, ...]
"""Where a field stands: `("nats", "tls", "ca_file")`."""

ANY = "*"
"""Stands for the name of a member in the key of a setting: `("collector-db", "postgres", "*", "host")`."""

_NULL = "null"
"""What stands for None in an environment variable, which can only hold text."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Something that can be set: a field, or for a secret also the path of the file that holds it."""

    target: Key
    """The field that gets the value; for `nats.password_file` this is `nats.password`."""

    type: Any
    """The field's annotation."""

    from_file: bool = False
    """Whether what is given is the path of a secret's file."""


@dataclass(frozen=True, slots=True)
class Given:
    """What one source gave for a setting, not yet converted."""

    setting: Setting
    value: object

    source: str
    """The file's path, or `environment`."""

    name: str
    """How the source calls the setting: `nats.url`, or `KGENTS__NATS__URL`."""

    textual: bool
    """Whether the value is a text that stands for its type, as in the environment; YAML has types of its own."""


def settings_of(struct: type[Struct], at: Key = ()) -> Iterator[tuple[Key, Setting]]:
    """Yield every setting beneath a Struct by the key that sets it, sections before their own settings."""
    for field in structs.fields(struct):
        key = (*at, field.name)
        yield key, Setting(key, field.type)
        if section := section_in(field.type):
            yield from settings_of(section, key)
        if member := member_in(field.type):
            yield (*key, ANY), Setting((*key, ANY), member)
            yield from settings_of(member, (*key, ANY))
        if _is_secret(field.type):
            yield (*at, f"{field.name}_file"), Setting(key, field.type, from_file=True)


def section_in(annotation: Any) -> type[Struct] | None:
    """Return the Struct that a field holds (`TlsConfig`, `TlsConfig | None`); None for a field with a plain value."""
    for part in _alternatives(annotation):
        if isinstance(part, type) and issubclass(part, Struct):
            return part
    return None


def member_in(annotation: Any) -> type[Struct] | None:
    """Return the Struct that a field holds by names of the user's choice (`dict[str, Target]`), else None."""
    if get_origin(annotation) is not dict:
        return None
    return section_in(get_args(annotation)[1])


def is_section(annotation: Any) -> bool:
    """Whether a field has settings beneath it instead of a value."""
    return section_in(annotation) is not None or member_in(annotation) is not None


def find(settings: Mapping[Key, Setting], key: Key) -> Setting | None:
    """Return the setting of a key, which may name a member: `("collector-db", "postgres", "orders", "host")`."""
    if (exact := settings.get(key)) is not None:
        return exact
    for at, name in enumerate(key):
        if (setting := settings.get((*key[:at], ANY, *key[at + 1 :]))) is not None:
            return replace(setting, target=tuple(name if part == ANY else part for part in setting.target))
    return None


def admits_none(annotation: Any) -> bool:
    """Whether null is a value of this type."""
    return NoneType in _alternatives(annotation)


def value_of(given: Given) -> object:
    """Convert what was given into the type of its field.

    Raises:
        ValueError: it cannot be; the text says what was expected and found, and never shows a secret.
    """
    annotation = given.setting.type
    if admits_none(annotation) and (given.value is None or (given.textual and given.value == _NULL)):
        return None
    if _is_secret(annotation):
        return _secret(given)
    raw = _parsed(annotation, str(given.value)) if given.textual else given.value
    try:
        value = msgspec.convert(raw, annotation, strict=not given.textual)
    except msgspec.ValidationError as error:
        # msgspec names the place inside a list or a mapping: "… - at `$[2]`".
        place = str(error).partition(" - at ")[2]
        raise ValueError(
            f"expected {expectation(annotation)}, found {_found(raw)}{place and f' (at {place})'}"
        ) from None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"expected a finite number, found {value}")
    return value


def expectation(annotation: Any) -> str:
    """Say in words what a type admits: `float >= 0 <= 1 or null`."""
    return _words(inspect.type_info(annotation))


def _words(info: inspect.Type) -> str:
    match info:
        case inspect.UnionType(types):
            words = " or ".join(_words(kind) for kind in types)
        case inspect.NoneType():
            words = _NULL
        case inspect.LiteralType(values):
            words = "one of " + ", ".join(map(str, values))
        case inspect.IntType() | inspect.FloatType():
            bounds = {">": info.gt, ">=": info.ge, "<": info.lt, "<=": info.le}
            limits = [f" {sign} {limit:g}" for sign, limit in bounds.items() if limit is not None]
            words = _plain(info) + "".join(limits)
        case inspect.CollectionType():
            words = f"a list of {_words(info.item_type)}"
        case inspect.DictType() | inspect.StructType():
            words = "a mapping"
        case _:
            words = _plain(info)
    return words


def _plain(info: inspect.Type) -> str:
    return type(info).__name__.removesuffix("Type").lower()


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)


def _is_secret(annotation: Any) -> bool:
    return Secret in _alternatives(annotation)


def _secret(given: Given) -> Secret:
    wanted = "the path of a file" if given.setting.from_file else "str"
    if not isinstance(given.value, str):
        raise ValueError(  # noqa: TRY004 - a fault of the configuration, whatever its nature, is a ValueError
            f"expected {wanted}, found {type(given.value).__name__} (value hidden); write it in quotes"
        )
    if not given.setting.from_file:
        return Secret(given.value)
    secret = Secret(Path(given.value))
    try:
        empty = not secret.reveal()
    except OSError as error:
        raise ValueError(str(error)) from None
    if empty:
        raise ValueError(f"expected a secret in {given.value}, found an empty file; check what writes it")
    return secret


def _parsed(annotation: Any, text: str) -> object:
    """Return lists and mappings out of their text: JSON, or for a list also values separated by commas."""
    info = inspect.type_info(annotation)
    kinds = info.types if isinstance(info, inspect.UnionType) else (info,)
    if not any(isinstance(kind, inspect.CollectionType | inspect.DictType) for kind in kinds):
        return text
    if text.lstrip().startswith(("[", "{")):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise ValueError(f"expected {expectation(annotation)} as JSON, found other text: {error}") from None
    return [part.strip() for part in text.split(",") if part.strip()]


def _found(value: object) -> str:
    match value:
        case None:
            return _NULL
        case str():
            return f"str {json.dumps(value)}"
        case bool() | int() | float():
            return f"{type(value).__name__} {json.dumps(value)}"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case _:
            return type(value).__name__
