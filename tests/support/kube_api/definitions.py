"""What a CustomResourceDefinition makes of an object: unknown fields pruned or refused, defaults, types, rules.

Known from the documentation of structural schemas and of validation rules; wordings as an API server 1.36 printed them:
`spec.replicas: Invalid value: 4: spec.replicas in body should be less than or equal to 3`. Defaults are applied before
anything is checked, to an object from the outside inwards, and never below a parent that is absent. A rule with
`oldSelf` is checked only where both the old and the new object have the field; an item of a list of type `map` is the
one of the same keys.
"""

import copy
import re
from collections.abc import Iterator
from typing import Any, Final

from support.kube_api.cel import CelError, evaluate
from support.kube_api.status import ApiError, Json, details_of

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,), "string": (str,), "integer": (int,), "boolean": (bool,), "array": (list,),
}  # fmt: skip
_ABSENT: Final = object()
_KEYS: Final = "x-kubernetes-list-map-keys"


class Definition:
    """The schema of one custom resource."""

    def __init__(self, document: Json) -> None:
        (version,) = document["spec"]["versions"]
        self.kind: str = document["spec"]["names"]["kind"]
        self.group: str = document["spec"]["group"]
        self._schema: Json = version["schema"]["openAPIV3Schema"]

    def admit(self, new: Json, old: Json | None, *, is_strict: bool) -> Json:
        """The object as it is stored.

        Raises:
            ApiError: 400 for a field that is not known, if that is asked for; 422 for what the schema refuses.
        """
        new = copy.deepcopy(new)
        unknown = list(_pruned(self._schema, new, ""))
        if unknown and is_strict:
            fields = ", ".join(f'unknown field "{each}"' for each in unknown)
            raise ApiError(400, "BadRequest", f"strict decoding error: {fields}")
        _default(self._schema, new)
        faults = list(_faults(self._schema, new, ""))
        if not faults:
            faults = list(_broken(self._schema, new, _ABSENT if old is None else old, ""))
        if faults:
            raise self._invalid(new["metadata"].get("name", ""), faults)
        return new

    def _invalid(self, name: str, faults: list[tuple[str, str]]) -> ApiError:
        said = [f"{field or '<nil>'}: {why}" for field, why in faults]
        text = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
        causes = [{"reason": "FieldValueInvalid", "message": why, "field": field} for field, why in faults]
        details = details_of(self.group, self.kind, name) | {"causes": causes}
        return ApiError(422, "Invalid", f'{self.kind}.{self.group} "{name}" is invalid: {text}', details=details)


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _pruned(schema: Json, value: Any, path: str) -> Iterator[str]:
    """Remove unknown fields, and name them. Metadata are the server's own."""
    if isinstance(value, list) and "items" in schema:
        for index, each in enumerate(value):
            yield from _pruned(schema["items"], each, f"{path}[{index}]")
    properties = schema.get("properties")
    if not isinstance(value, dict) or properties is None:
        return
    for name in list(value):
        if name not in properties:
            del value[name]
            yield _at(path, name)
        elif _at(path, name) != "metadata":
            yield from _pruned(properties[name], value[name], _at(path, name))


def _default(schema: Json, value: Any) -> None:
    if isinstance(value, list) and "items" in schema:
        for each in value:
            _default(schema["items"], each)
    if not isinstance(value, dict):
        return
    for name, inner in schema.get("properties", {}).items():
        # A null counts as absent where there is a default, and is refused where there is none.
        if "default" in inner and value.get(name) is None:
            value[name] = copy.deepcopy(inner["default"])
        if name in value:
            _default(inner, value[name])


def _faults(schema: Json, value: Any, path: str) -> Iterator[tuple[str, str]]:
    """What is wrong with types and bounds."""
    types = (int, str) if schema.get("x-kubernetes-int-or-string") else _TYPES[schema["type"]]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        expected = schema.get("type", "integer,string")
        yield path, f"Invalid value: {_shown(value)}: {path} in body must be of type {expected}"
        return
    if isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
        yield path, f"Too long: may not be more than {schema['maxLength']} bytes"
    for why in _out_of_bounds(schema, value):
        yield path, f"Invalid value: {_shown(value)}: {path} in body {why}"
    if "enum" in schema and value not in schema["enum"]:
        supported = ", ".join(f'"{each}"' for each in schema["enum"])
        yield path, f"Unsupported value: {_shown(value)}: supported values: {supported}"
    yield from _faults_within(schema, value, path)


def _faults_within(schema: Json, value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name in schema.get("required", ()):
            if name not in value:
                yield _at(path, name), "Required value"
        for name, inner in schema.get("properties", {}).items():
            if name in value and _at(path, name) != "metadata":
                yield from _faults(inner, value[name], _at(path, name))
    if isinstance(value, list):
        seen = set()
        for index, each in enumerate(value):
            yield from _faults(schema["items"], each, f"{path}[{index}]")
            if _KEYS in schema and (key := _key(schema, each)) in seen:
                yield f"{path}[{index}]", f"Duplicate value: {dict(zip(schema[_KEYS], key, strict=True))}"
            seen.add(_key(schema, each))


def _out_of_bounds(schema: Json, value: Any) -> Iterator[str]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value < schema.get("minimum", value):
            yield f"should be greater than or equal to {schema['minimum']}"
        if value > schema.get("maximum", value):
            yield f"should be less than or equal to {schema['maximum']}"
    if isinstance(value, str):
        if len(value) < schema.get("minLength", 0):
            yield f"should be at least {schema['minLength']} chars long"
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"should match '{schema['pattern']}'"
    if isinstance(value, list) and len(value) > schema.get("maxItems", len(value)):
        yield f"should have at most {schema['maxItems']} items"


def _broken(schema: Json, value: Any, old: Any, path: str) -> Iterator[tuple[str, str]]:
    """The rules that do not hold."""
    for each in schema.get("x-kubernetes-validations", ()):
        needs_old = "oldSelf" in each["rule"]
        if needs_old and old is _ABSENT:
            continue
        try:
            holds = evaluate(each["rule"], {"self": value} | ({"oldSelf": old} if needs_old else {}))
            why = each["message"]
        except CelError as error:
            holds, why = False, f"rule evaluation error: {error}"
        if not holds:
            # Of an object the value is not shown.
            yield path, f"Invalid value: {why}" if isinstance(value, dict) else f"Invalid value: {_shown(value)}: {why}"
    if isinstance(value, dict):
        for name, inner in schema.get("properties", {}).items():
            if name in value and _at(path, name) != "metadata":
                before = old.get(name, _ABSENT) if isinstance(old, dict) else _ABSENT
                yield from _broken(inner, value[name], before, _at(path, name))
    if isinstance(value, list):
        known = {_key(schema, each): each for each in old} if isinstance(old, list) and _KEYS in schema else {}
        for index, each in enumerate(value):
            yield from _broken(schema["items"], each, known.get(_key(schema, each), _ABSENT), f"{path}[{index}]")


def _key(schema: Json, item: Any) -> tuple[Any, ...]:
    """By which an item of a list of type `map` is the same as before."""
    return tuple(item.get(each) for each in schema.get(_KEYS, ())) if isinstance(item, dict) else ()


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return '"object"'
    return f'"{value}"' if isinstance(value, str) else str(value).lower()
