"""Label and field selectors: from the text of a query to a test of a record."""

import re
from collections.abc import Callable, Iterable

from support.kube_api.resources import Resource
from support.kube_api.status import bad_request
from support.kube_api.store import Record

Selects = Callable[[Record], bool]

_REQUIREMENT = re.compile(
    r"""\s*(?:
        (?P<set_key>[\w./-]+)\s+(?P<set_op>in|notin)\s*\((?P<set_values>[^)]*)\)
      | (?P<absent>![\w./-]+)
      | (?P<key>[\w./-]+)\s*(?:(?P<op>==|=|!=)\s*(?P<value>[\w.-]*))?
    )\s*(?:,|$)""",
    re.VERBOSE,
)
_FIELD = re.compile(r"(?P<path>[\w.\[\]/-]+)(?P<op>==|=|!=)(?P<value>[^,]*)")


def everything(_record: Record) -> bool:
    return True


def selection(resource: Resource, namespace: str, labels: str, fields: str) -> Selects:
    """What a request selects.

    Raises:
        ApiError: 400, when a selector cannot be read or names a field that the resource does not offer.
    """
    tests = [*_label_tests(labels), *_field_tests(resource, labels, fields)]
    if namespace:
        tests.append(lambda record: record.namespace == namespace)
    if not tests:
        return everything
    return lambda record: all(test(record) for test in tests)


def exact_name(fields: str) -> str:
    """The name when the selector asks for exactly one object, as the authorizer sees it."""
    for part in fields.split(","):
        if found := re.fullmatch(r"metadata\.name==?([^,]+)", part):
            return found[1]
    return ""


def _label_tests(text: str) -> Iterable[Selects]:
    position = 0
    while position < len(text):
        found = _REQUIREMENT.match(text, position)
        if found is None:
            raise bad_request(f'unable to parse requirement: found "{text[position:]}"')
        position = found.end()
        yield _label_test(found)


def _label_test(found: re.Match[str]) -> Selects:
    if found["absent"]:
        absent = found["absent"][1:]
        return lambda record: absent not in record.labels
    if found["set_key"]:
        values = frozenset(value.strip() for value in found["set_values"].split(","))
        return _label_in(found["set_key"], values, wanted=found["set_op"] == "in")
    if found["op"]:
        return _label_in(found["key"], frozenset({found["value"]}), wanted=found["op"] != "!=")
    key = found["key"]
    return lambda record: key in record.labels


def _label_in(key: str, values: frozenset[str], *, wanted: bool) -> Selects:
    return lambda record: (record.labels.get(key) in values) == wanted


def _field_tests(resource: Resource, labels: str, text: str) -> Iterable[Selects]:
    for part in filter(None, text.split(",")):
        found = _FIELD.fullmatch(part)
        if found is None:
            raise bad_request(f"invalid field selector {text!r}; can't understand {part!r}")
        path = found["path"]
        if path not in (*resource.fields, "metadata.name", "metadata.namespace"):
            raise bad_request(
                f'Unable to find "{resource.group}/{resource.version}, Resource={resource.plural}" that match label '
                f'selector "{labels}", field selector "{text}": field label not supported: {path}'
            )
        yield _field_is(path, found["value"], wanted=found["op"] != "!=")


def _field_is(path: str, value: str, *, wanted: bool) -> Selects:
    if path == "metadata.name":
        return lambda record: (record.name == value) == wanted
    if path == "metadata.namespace":
        return lambda record: (record.namespace == value) == wanted
    return lambda record: (record.fields[path] == value) == wanted
