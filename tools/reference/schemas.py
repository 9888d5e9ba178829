"""A signal's Structs, or a webhook's → its JSON Schema (2020-12), with the docstrings of the fields."""

from collections.abc import Iterator
from inspect import cleandoc
from typing import Any, Final

import msgspec
from msgspec import NODEFAULT, Struct, inspect, structs

from kgents_alert_notifier.message.webhook import Body
from kgents_shared.contract.codec import BY_SIGNAL
from reference import GENERATED
from reference.docstrings import meanings

VERSION: Final = 1
"""Of the wire contract. It only rises with a change that breaks existing readers."""


def schema(signal: str) -> dict[str, Any]:
    """The schema of one signal's messages. Unknown fields stay allowed, as every reader has to tolerate them."""
    return _schema(signal, BY_SIGNAL[signal].type)


def webhook() -> dict[str, Any]:
    """The schema of what alert-notifier posts to a receiver `webhook`."""
    return _schema("webhook", Body)


def _schema(name: str, type_: Any) -> dict[str, Any]:
    generated = msgspec.json.schema(type_)
    for definition in generated["$defs"].values():
        if "description" in definition:  # a docstring, which Python before 3.13 leaves indented
            definition["description"] = cleandoc(definition["description"])
    for struct in _structs(inspect.type_info(type_)):
        _explain(struct, generated["$defs"][struct.__name__]["properties"])
    return {
        "$comment": GENERATED,
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:kgents:schema:{name}:v{VERSION}",
        **generated,
    }


def _explain(struct: type[Struct], properties: dict[str, dict[str, Any]]) -> None:
    """Add what msgspec does not know: a field's docstring, and the value of its default factory."""
    texts = meanings(struct)
    for field in structs.fields(struct):
        shown = properties[field.encode_name]
        if field.default_factory is not NODEFAULT:
            shown["default"] = msgspec.to_builtins(field.default_factory())
        if meaning := texts.get(field.name):
            of_type = shown.get("description")  # of the annotated type: the format or the range
            shown["description"] = f"{meaning} {of_type}." if of_type else meaning


def _structs(info: inspect.Type) -> Iterator[type[Struct]]:
    """Every Struct within a type; one that is met twice is given once for each place."""
    match info:
        case inspect.StructType():
            yield info.cls
            for field in info.fields:
                yield from _structs(field.type)
        case inspect.Metadata():
            yield from _structs(info.type)
        case inspect.UnionType():
            for member in info.types:
                yield from _structs(member)
        case inspect.DictType():
            yield from _structs(info.value_type)
        case inspect.CollectionType():
            yield from _structs(info.item_type)
        case _:
            pass  # a scalar holds none
