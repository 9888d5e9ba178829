"""A Struct → the structural schema that an API server prunes, defaults and validates by. Pure."""

from typing import Any, Final

import msgspec
from msgspec import structs

from kgents_operator.resources.part import Part

Json = dict[str, Any]

_INT_OR_STRING: Final = "x-kubernetes-int-or-string"
_KEPT: Final = (
    "type", "description", "default", "enum", "format", "pattern", "minimum", "maximum", "minLength", "maxLength",
    "minItems", "maxItems", "required", "x-kubernetes-int-or-string", "x-kubernetes-validations",
    "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
)  # fmt: skip
"""What a structural schema may say of a value; all else that msgspec writes is of JSON Schema alone."""


def schema_of(part: type[Part]) -> Json:
    """The schema of one part, with all that is within it."""
    (_,), components = msgspec.json.schema_components([part], ref_template="{name}")
    types = {each.__name__: each for each in _parts_within(part)}
    return _object(part.__name__, components, types)


def _parts_within(part: type[Part]) -> set[type[Part]]:
    """The part itself and every one that a field of it holds."""
    found, open_ = set[type[Part]](), [part]
    while open_:
        each = open_.pop()
        found.add(each)
        for field in structs.fields(each):
            open_ += [inner for inner in _types_in(field.type) if inner not in found]
    return found


def _types_in(annotation: Any) -> list[type[Part]]:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return [annotation]
    return [found for inner in getattr(annotation, "__args__", ()) for found in _types_in(inner)]


def _object(name: str, components: Json, types: dict[str, type[Part]]) -> Json:
    own, part = components[name], types[name]
    found: Json = {"type": "object", "description": (part.__doc__ or "").strip()}
    if required := own.get("required"):
        found["required"] = list(required)
    if part.rules:
        found["x-kubernetes-validations"] = [each.document() for each in part.rules]
    found["properties"] = {key: _value(each, components, types) for key, each in own["properties"].items()}
    return found


def _value(schema: Json, components: Json, types: dict[str, type[Part]]) -> Json:
    schema = _without_null(schema)
    if "$ref" in schema:
        found = _object(schema["$ref"], components, types)
        # The default of a part is an empty one: the API server then adds those of its fields.
        return found | ({"default": {}} if "default" in schema else {}) | _described(schema)
    if schema.get(_INT_OR_STRING):
        schema = {key: value for key, value in schema.items() if key not in ("type", "anyOf")}
        found = {key: schema[key] for key in _KEPT if key in schema}
        return found | {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    found = {key: schema[key] for key in _KEPT if key in schema}
    if "enum" in found:
        found["type"] = "string"
    if "items" in schema:
        found["items"] = _value(schema["items"], components, types)
    if found.get("default") == []:
        del found["default"]
    return found


def _described(schema: Json) -> Json:
    return {"description": schema["description"]} if "description" in schema else {}


def _without_null(schema: Json) -> Json:
    """What is absent is not written, so no field is nullable."""
    if schema.get("default", "") is None:
        schema = {key: value for key, value in schema.items() if key != "default"}
    choices = schema.get("anyOf")
    if not choices or {"type": "null"} not in choices:
        return schema
    left = [each for each in choices if each != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return rest | left[0] if len(left) == 1 else rest | {"anyOf": left}
