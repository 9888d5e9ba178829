"""Config Structs of all services → docs/reference/config.md: every key, its variable, type, default and meaning."""

import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import NODEFAULT, structs

from kgents_cli.installed import load_service, service_names
from kgents_shared.contract.section import Section
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.runtime.layers import PREFIX, variable
from kgents_shared.runtime.settings import (
    ANY,
    ITEM,
    Key,
    Setting,
    dotted,
    expectation,
    is_secret,
    item_in,
    member_in,
    section_in,
    settings_of,
)
from reference.docstrings import meanings, summary
from reference.markdown import code, page, table

_COLUMNS: Final = ("key", "variable", "type", "default", "meaning")


def document() -> str:
    """The common settings, then one part for each installed service."""
    return page(
        "Configuration",
        "Defaults < file < environment. The file is YAML, or INI if its name ends in `.ini`: a section is a dotted "
        "key, `[collector-nats]`, and what stands at the top in YAML stands in `[kgents]`. One file may serve all "
        "services: each reads the common keys and the section of its own name. A variable is the key with "
        f"`{PREFIX}` before it and `__` between levels; `<name>` is a name of your choice. A list of sections, "
        "`<key>[]`, is JSON in a variable. An unknown key stops the start.",
        "## Every service",
        *_tables(CommonConfig, ()),
        *(block for name in service_names() for block in (f"## {name}", *_tables(load_service(name).config, (name,)))),
    )


def _tables(struct: type[Section], at: Key) -> Iterator[str]:
    """The keys of one Struct as a table, then each section within it under a heading of its own."""
    owners: dict[Key, type[Section]] = {at: struct}
    intros: dict[Key, str] = {at: summary(struct)}
    rows: dict[Key, list[tuple[str, ...]]] = {at: []}
    for key, setting in settings_of(struct, at):
        parent = key[:-1]
        if item_in(setting.type):  # the settings of its items follow
            rows[parent].append(_row(key, setting, owners[parent]))
        elif member_in(setting.type):  # its members follow
            intros[key], rows[key] = meanings(owners[parent])[key[-1]], []
        elif section := section_in(setting.type):
            owners[key], rows[key] = section, []
            known = {} if key[-1] in (ANY, ITEM) else meanings(owners[parent])
            intros[key] = known.get(key[-1], summary(section))
        else:
            rows[parent].append(_row(key, setting, owners[parent]))
    for key, intro in intros.items():
        if key != at:
            yield f"### {_shown(key)}"
        yield intro
        if rows[key]:
            yield table(_COLUMNS, rows[key])


def _row(key: Key, setting: Setting, owner: type[Section]) -> tuple[str, ...]:
    if setting.from_file:
        secret = setting.target[-1]
        return (*_names(key), "path", code("null"), f"The file that holds `{secret}`, instead of {secret} itself.")
    field = next(field for field in structs.fields(owner) if field.name == key[-1])
    return (*_names(key), _type(setting.type), _default(field), meanings(owner).get(field.name, ""))


def _names(key: Key) -> tuple[str, str]:
    """The key, and its variable: an item of a list has none."""
    return code(_shown(key)), "" if ITEM in key else code(variable(key).replace(ANY, "<NAME>"))


def _shown(key: Key) -> str:
    return dotted(key).replace(ANY, "<name>")


def _type(annotation: Any) -> str:
    return "secret or null" if is_secret(annotation) else expectation(annotation)


def _default(field: structs.FieldInfo) -> str:
    if field.required:
        return "required"
    default = field.default if field.default_factory is NODEFAULT else field.default_factory()
    return code(json.dumps(msgspec.to_builtins(default), ensure_ascii=False))
