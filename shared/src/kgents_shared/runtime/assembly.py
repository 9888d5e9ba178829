"""Values in force → the Structs of the configuration, from the innermost outwards, and every fault on the way.

A value that cannot be used is replaced by its default and the walk goes on: the rules of its section still judge all
other values. Nothing made of a faulty configuration ever leaves `runtime.config`.
"""

from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import msgspec
from msgspec import NODEFAULT, structs

from kgents_shared.bus.config import Secret
from kgents_shared.contract.section import Fault, Section
from kgents_shared.runtime.layers import Layers, variable
from kgents_shared.runtime.report import Report
from kgents_shared.runtime.settings import (
    Given,
    Key,
    UnusableValueError,
    admits_none,
    default_of,
    dotted,
    expectation,
    item_in,
    member_in,
    section_in,
    value_of,
)

S = TypeVar("S", bound=Section)

_PLACEHOLDERS: Final[tuple[object, ...]] = ("", 0, 0.0, False, [], {})
"""Placeholders for required values that are missing; faults of rules that use one are not reported."""


def assemble(struct: type[S], at: Key, base: Section | None, layers: Layers, report: Report) -> S:
    """Make a section of what was given beneath a key.

    Args:
        struct: its type.
        at: its key.
        base: the values of what was not given; None for the defaults of the Struct's own fields.
        layers: the given values.
        report: collects the faults.

    Returns:
        The section. With faults in the report its own rules may be broken.
    """
    values = {} if base is None else structs.asdict(base)
    for field in structs.fields(struct):
        default = values.get(field.name, default_of(field))
        values[field.name] = _value(field, (*at, field.name), default, layers, report)
    section = _unjudged(struct)(**values)
    sources = dict.fromkeys(given.source for key, given in layers.given.items() if key[: len(at)] == at)
    report.add_rules(at, (*section.faults(), *(() if layers.elsewhere else section.check())), sources)
    # Its own rules run again here, so that a sound configuration holds no instance that skipped them.
    return section if report.lines else struct(**values)


def _value(field: structs.FieldInfo, key: Key, default: object, layers: Layers, report: Report) -> object:
    """The value of one field: a section, several of them by name or place, or a plain value."""
    given = layers.given.get(key)
    value = default
    if member := member_in(field.type):
        value = {name: assemble(member, (*key, name), None, layers, report) for name in _beneath(key, layers)}
    elif given is not None and given.value is not None and (item := item_in(field.type)):
        value = [assemble(item, (*key, place), None, layers, report) for place in _beneath(key, layers)]
    elif section := section_in(field.type):
        if not admits_none(field.type) or _is_present(key, layers):
            value = assemble(section, key, default if isinstance(default, Section) else None, layers, report)
        elif given is not None:
            value = None
    elif given is not None:
        value = _plain(given, default, layers, report)
    elif default is NODEFAULT:
        advice = f"set {dotted(key)} or {variable(key)}"
        report.add("", Fault(dotted(key), expectation(field.type), "nothing in the file or the environment", advice))
        report.give_up(key)
    return _placeholder(field.type) if value is NODEFAULT else value


def _plain(given: Given, default: object, layers: Layers, report: Report) -> object:
    if layers.elsewhere and given.setting.from_file and isinstance(given.value, str):
        return Secret(Path(given.value))
    try:
        return value_of(given)
    except UnusableValueError as error:
        for fault in error.faults:
            report.add(given.source, Fault(given.name + fault.at, fault.expected, fault.found, fault.advice))
        report.give_up(given.setting.target)
        return default


def _beneath(key: Key, layers: Layers) -> dict[str, None]:
    """The names given directly beneath a key."""
    return dict.fromkeys(given[len(key)] for given in layers.given if given[:-1][: len(key)] == key)


def _is_present(key: Key, layers: Layers) -> bool:
    return any(
        given_key[: len(key)] == key and (given_key != key or given.value is not None)
        for given_key, given in layers.given.items()
    )


def _placeholder(annotation: Any) -> object:
    for value in _PLACEHOLDERS:
        try:
            return msgspec.convert(value, annotation)
        except msgspec.ValidationError:
            continue
    return None


@cache
def _unjudged(struct: type[S]) -> type[S]:
    """The same section in a subclass that accepts values against its rules, so that all its faults can be listed."""
    namespace = {"__post_init__": lambda _: None}
    made = msgspec.defstruct(struct.__name__, [], bases=(struct,), namespace=namespace, frozen=True, kw_only=True)
    return cast("type[S]", made)  # a subclass of it
