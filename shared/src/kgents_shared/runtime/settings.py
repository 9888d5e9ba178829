"""Settings: those of a config Struct, and the conversion of raw values to their types, for `runtime.config`."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, inspect, structs

from kgents_shared.bus.config import LateSecret, Secret
from kgents_shared.contract.section import Fault, Section

Key = tuple[str, ...]
"""The key of a field: `("nats", "tls", "ca_file")`."""

ANY: Final = "*"
"""Stands for the name of a member in the key of a setting: `("collector-db", "postgres", "*", "host")`."""

ITEM: Final = "[]"
"""Stands for the place in a list, which is `[0]`, `[1]`…: `("collector-docker", "engines", "[]", "url")`."""

_PLACE: Final = re.compile(r"\[[0-9]+\]")
_NULL: Final = "null"
"""What stands for None in an environment variable, which can only hold text."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting: a field, or for a secret also the path of the file that holds it."""

    target: Key
    """The field that gets the value; for `nats.password_file` this is `nats.password`."""

    type: Any
    """The field's annotation."""

    default: object = NODEFAULT
    """The default; NODEFAULT for a required field, or a section."""

    from_file: bool = False
    """Whether what is given is the path of a secret's file."""


@dataclass(frozen=True, slots=True)
class Given:
    """The value of a setting from one source, not yet converted."""

    setting: Setting
    value: object

    source: str
    """The file's path, or `environment`."""

    name: str
    """The setting's name in the source: `nats.url`, or `KGENTS__NATS__URL`."""

    textual: bool
    """Whether the value is a text to be converted, as in the environment; YAML has types."""


class UnusableValueError(Exception):
    """A value that is not of its setting's type. Holds a fault for each part of it; `at` is the part, such as `[2]`."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        super().__init__("\n".join(map(str, faults)))


def dotted(key: Key) -> str:
    """A key as people write it: `collector-docker.engines[0].url`."""
    return ".".join(key).replace(".[", "[")


def settings_of(struct: type[Section], at: Key = ()) -> Iterator[tuple[Key, Setting]]:
    """Yield every setting beneath a section by the key that sets it, sections before their own settings."""
    for field in structs.fields(struct):
        key = (*at, field.name)
        yield key, Setting(key, field.type, default_of(field))
        if section := section_in(field.type):
            yield from settings_of(section, key)
        if member := member_in(field.type):
            yield (*key, ANY), Setting((*key, ANY), member)
            yield from settings_of(member, (*key, ANY))
        if item := item_in(field.type):
            yield (*key, ITEM), Setting((*key, ITEM), item)
            yield from settings_of(item, (*key, ITEM))
        if is_secret(field.type):
            yield (*at, f"{field.name}_file"), Setting(key, field.type, default_of(field), from_file=True)


def default_of(field: structs.FieldInfo) -> object:
    """The default of a field; NODEFAULT if it is required."""
    return field.default if field.default_factory is NODEFAULT else field.default_factory()


def section_in(annotation: Any) -> type[Section] | None:
    """Return the section that a field holds (`TlsConfig`, `TlsConfig | None`); None for a field with a plain value."""
    for part in _alternatives(annotation):
        if isinstance(part, type) and issubclass(part, Section):
            return part
    return None


def member_in(annotation: Any) -> type[Section] | None:
    """Return the section of a field whose members the user names (`dict[str, Target]`), else None."""
    if get_origin(annotation) is not dict:
        return None
    return section_in(get_args(annotation)[1])


def item_in(annotation: Any) -> type[Section] | None:
    """Return the section that a field holds a list of (`list[EngineConfig]`), else None."""
    if get_origin(annotation) is not list:
        return None
    return section_in(get_args(annotation)[0])


def is_section(annotation: Any) -> bool:
    """Whether a field has named settings beneath it instead of a value."""
    return section_in(annotation) is not None or member_in(annotation) is not None


def find(settings: Mapping[Key, Setting], key: Key) -> Setting | None:
    """Return the setting of a key, which may name a member: `("collector-db", "postgres", "orders", "host")`."""
    places = tuple(ITEM if _PLACE.fullmatch(name) else name for name in key)
    patterns = [places, *((*places[:at], ANY, *places[at + 1 :]) for at in range(len(places)))]
    setting = next((settings[pattern] for pattern in patterns if pattern in settings), None)
    if setting is None:
        return None
    names = zip(setting.target, key, strict=True)
    return replace(setting, target=tuple(name if part in (ANY, ITEM) else part for part, name in names))


def admits_none(annotation: Any) -> bool:
    """Whether null is a value of this type."""
    return NoneType in _alternatives(annotation)


def value_of(given: Given) -> object:
    """Convert what was given into the type of its field.

    Raises:
        UnusableValueError: it cannot be; the text says what was expected and found, and never shows a secret.
    """
    setting = given.setting
    if admits_none(setting.type) and (given.value is None or (given.textual and given.value == _NULL)):
        return None
    if is_secret(setting.type):
        return _secret(given)
    raw = parsed(given) if given.textual else given.value
    faults = list(_type_faults(setting.type, raw, _advice(setting), strict=not given.textual))
    if faults:
        raise UnusableValueError(*faults)
    value: object = msgspec.convert(raw, setting.type, strict=not given.textual)
    if isinstance(value, float) and not math.isfinite(value):
        raise UnusableValueError(Fault("", "a finite number", str(value), _advice(setting)))
    return value


def _type_faults(annotation: Any, raw: object, advice: str, *, strict: bool, at: str = "") -> Iterator[Fault]:
    """Each part of a value that is not of its type: of a list, every such item."""
    try:
        msgspec.convert(raw, annotation, strict=strict)
    except msgspec.ValidationError:
        parts = list(_parts(annotation, raw))
        for place, item_type, item in parts:
            yield from _type_faults(item_type, item, "correct or remove it", strict=strict, at=at + place)
        if not parts:
            expected = expectation(annotation)
            is_unquoted = expected == "str" and isinstance(raw, bool | int | float)
            yield Fault(at, expected, _found(raw), "write it in quotes" if is_unquoted else advice)


def _parts(annotation: Any, raw: object) -> Iterator[tuple[str, Any, object]]:
    """The items of a list or a mapping, each with its place and type."""
    for alternative in _alternatives(annotation):
        match get_origin(alternative), raw:
            case type() as origin, list(items) if origin is list:
                yield from ((f"[{place}]", get_args(alternative)[0], item) for place, item in enumerate(items))
            case type() as origin, dict(members) if origin is dict:
                yield from ((f".{name}", get_args(alternative)[1], item) for name, item in members.items())


def _advice(setting: Setting) -> str:
    if setting.default is NODEFAULT:
        return "check its type in the reference of the configuration"
    if setting.default is None:  # null would switch off what the user wants
        return "correct or remove it"
    return f"try: {json.dumps(msgspec.to_builtins(setting.default))}, the default"


def expectation(annotation: Any) -> str:
    """Describe what a type admits: `float >= 0 <= 1 or null`."""
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


def is_secret(annotation: Any) -> bool:
    """Whether a field holds a value that must never be printed."""
    return _is_any(annotation, Secret)


def _is_any(annotation: Any, kind: type) -> bool:
    return any(isinstance(each, type) and issubclass(each, kind) for each in _alternatives(annotation))


def _secret(given: Given) -> Secret:
    expected = "the path of a file" if given.setting.from_file else "str"
    if not isinstance(given.value, str):
        found = f"{type(given.value).__name__} (value hidden)"
        raise UnusableValueError(Fault("", expected, found, "write it in quotes"))
    source = Path(given.value) if given.setting.from_file else given.value
    if _is_any(given.setting.type, LateSecret):
        return LateSecret(source)
    secret = Secret(source)
    if faults := list(secret.faults()):
        raise UnusableValueError(*faults)
    return secret


def parsed(given: Given) -> object:
    """Parse lists and mappings: JSON, or for a list also values separated by commas.

    Raises:
        UnusableValueError: it begins like JSON and is not valid JSON.
    """
    annotation, text = given.setting.type, str(given.value)
    kinds = {get_origin(alternative) for alternative in _alternatives(annotation)}
    if kinds.isdisjoint({list, dict}):
        return text
    if text.lstrip().startswith(("[", "{")):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            place = str(error).partition(": ")[2] or "an end too early"
            advice = _advice(given.setting)
            raise UnusableValueError(Fault("", f"{expectation(annotation)} as JSON", place, advice)) from None
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
