"""The sources of a configuration → the value in force for every setting, before any is converted.

A source becomes a layer: its values by the key of the field. Later layers override earlier ones.
"""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

from kgents_shared.contract.section import Fault
from kgents_shared.runtime.ini import UnusableFileError, is_ini, read_ini
from kgents_shared.runtime.other_layouts import FOREIGN_SECTIONS
from kgents_shared.runtime.report import Report
from kgents_shared.runtime.settings import (
    ANY,
    ITEM,
    Given,
    Key,
    Setting,
    UnusableValueError,
    find,
    is_section,
    item_in,
    parsed,
)

PREFIX: Final = "KGENTS__"
"""The prefix of our variables. Two underscores: for a service named `kgents-nats` Kubernetes gives every pod
`KGENTS_NATS_PORT=tcp://…`, which is not ours."""

FILE_VARIABLE: Final = "KGENTS_CONFIG"
"""The variable that names the file; it is not a setting."""

ENVIRONMENT: Final = "environment"

_NEAR: Final = 0.85
"""Similarity to one of ours from which on a variable without our prefix counts as misspelt."""
_LINK: Final = re.compile(r".*_SERVICE_(?:HOST|PORT.*)|.*_PORT_[0-9]+_(?:TCP|UDP|SCTP).*")
"""The variables that Kubernetes gives every pod for a Service named `kgents-…`."""
_LINK_VALUE: Final = re.compile(r"(?:tcp|udp|sctp)://")

Layer = dict[Key, Given]


def variable(key: Key) -> str:
    """The environment variable of a key."""
    return PREFIX + "__".join(key).upper().replace("-", "_")


def document(path: Path) -> tuple[Mapping[object, object], list[Fault]]:
    """Read a file: what it holds, and what is wrong with its form although it can be read.

    Raises:
        UnusableFileError: it cannot be read as settings.
    """
    if is_ini(path):
        return read_ini(path), []
    from kgents_shared.runtime.yaml_file import read_yaml  # noqa: PLC0415 - its parser is imported for a YAML file alone

    return read_yaml(path)


class Layers:
    """All settings, and their values from the sources read so far."""

    def __init__(
        self, settings: Mapping[Key, Setting], report: Report, *, skipped: Collection[str], elsewhere: bool
    ) -> None:
        """Start without any source.

        Args:
            settings: every setting by its key.
            report: collects faults of the sources.
            skipped: the services whose sections belong to others, and may hold anything.
            elsewhere: the files that they name are on another machine.
        """
        self.given: Layer = {}
        self.elsewhere = elsewhere
        self._settings = settings
        self._report = report
        self._skipped = skipped
        self._variables = {variable(key): setting for key, setting in settings.items()}

    def take(self, above: Layer) -> None:
        """Add a layer that overrides those before; its null or list removes all earlier values beneath it."""
        cleared = [key for key, given in above.items() if given.value is None or item_in(given.setting.type)]
        kept = {key: given for key, given in self.given.items() if not any(key[: len(top)] == top for top in cleared)}
        self.given = {**kept, **above}

    def file_layer(self, path: Path) -> Layer:
        """Return the layer of the file."""
        layer: Layer = {}
        source = str(path)
        try:
            content, faults = document(path)
        except UnusableFileError as error:
            self._report.add(source, error.fault)
            return layer
        for fault in faults:
            self._report.add(source, fault)
        if foreign := [name for name in FOREIGN_SECTIONS if isinstance(content.get(name), Mapping)]:
            found = f"the sections {', '.join(foreign)} of another layout"
            self._report.add(source, Fault("", "sections of kgents", found, f"try: kgents config import {path}"))
            return layer
        self._read(content, (), "", source, layer, textual=is_ini(path))
        return layer

    def environment_layer(self, environ: Mapping[str, str]) -> Layer:
        """Return the layer of our variables, upper or lower case."""
        layer: Layer = {}
        foreign = tuple(variable((service, "")) for service in self._skipped)
        for name, text in environ.items():
            upper = name.upper()
            if not upper.startswith(PREFIX):
                self._suspect(name, text)
            elif not upper.startswith(foreign):
                setting = self._variables.get(upper) or self._member_setting(upper)
                if setting is None:
                    self._refuse(ENVIRONMENT, name, "variable", _nearest(upper, self._variables), self._variables)
                else:
                    self._take_value(Given(setting, text, ENVIRONMENT, name, textual=True), layer)
        return layer

    def _read(
        self, node: Mapping[object, object], at: Key, name: str, source: str, layer: Layer, *, textual: bool
    ) -> None:
        """Read a mapping: each key is a setting beneath `at`, called `name` by its source."""
        for part, value in node.items():
            key = (*at, str(part))
            if len(key) == 1 and part in self._skipped:
                continue
            called = f"{name}.{part}" if name else str(part)
            setting = find(self._settings, key)
            if setting is None:
                siblings = self._names_beneath(at)
                near = _nearest(str(part), siblings)
                prefix = f"{name}." if name else ""
                self._refuse(source, called, "key", near and prefix + near, (prefix + known for known in siblings))
                continue
            self._take_value(Given(setting, value, source, called, textual=textual), layer)

    def _take_value(self, given: Given, layer: Layer) -> None:
        """Put the value of a setting into a layer, with everything beneath it."""
        annotation, value = given.setting.type, given.value
        is_text_null = given.textual and value == "null"
        if is_section(annotation) and is_text_null:
            self._put(layer, Given(given.setting, None, given.source, given.name, textual=True))
        elif is_section(annotation) and value is not None:
            if isinstance(value, Mapping):
                self._put(layer, given)
                self._read(value, given.setting.target, given.name, given.source, layer, textual=given.textual)
            else:
                # The value is not shown: it may be a secret one level too high.
                self._misplaced(given)
        elif item_in(annotation) and value is not None:
            self._take_items(given, layer)
        else:
            self._put(layer, given)

    def _take_items(self, given: Given, layer: Layer) -> None:
        """Put a list of sections into a layer, each by its place."""
        key = given.setting.target
        try:
            items = parsed(given) if given.textual else given.value
        except UnusableValueError as error:
            self._report.give_up(key)
            self._add(given, *error.faults)
            return
        if not isinstance(items, list):
            self._misplaced(given, "a list")
            return
        self._put(layer, given)
        for place, item in enumerate(items):
            part = f"[{place}]"
            setting = find(self._settings, (*key, part))
            assert setting is not None  # noqa: S101 - `settings_of` names the items of every list of sections
            self._take_value(Given(setting, item, given.source, given.name + part, textual=False), layer)

    def _misplaced(self, given: Given, expected: str = "a mapping") -> None:
        self._report.give_up(given.setting.target)
        if given.source == ENVIRONMENT and expected == "a mapping" and given.textual:
            expected = "null or one variable for each setting in this section"
            self._add(given, Fault("", expected, "a text", f"set {given.name}__… instead"))
        else:
            found = type(given.value).__name__
            self._add(given, Fault("", expected, found, "see its settings in the reference of the configuration"))

    def _add(self, given: Given, *faults: Fault) -> None:
        for fault in faults:
            self._report.add(given.source, Fault(given.name + fault.at, fault.expected, fault.found, fault.advice))

    def _names_beneath(self, at: Key) -> list[str]:
        """The names allowed in the section of a key."""
        known = [
            key[-1]
            for key in self._settings
            if len(key) == len(at) + 1 and (not at or find({key[:-1]: Setting(key[:-1], None)}, at))
        ]
        return known if at else [*known, *(name for name in self._skipped if name not in known)]

    def _member_setting(self, name: str) -> Setting | None:
        """Return the setting of a variable that names a member: `KGENTS__COLLECTOR_DB__POSTGRES__ORDERS__HOST`.

        A member that the file names is meant however its name is written there; a new one is in lower case, with a
        dash for each underscore.
        """
        parts = name.removeprefix(PREFIX).split("__")
        for pattern in self._settings:
            if ANY not in pattern or ITEM in pattern or len(pattern) != len(parts):
                continue
            at = pattern.index(ANY)
            if variable(pattern) == variable((*parts[:at], ANY, *parts[at + 1 :])):
                known = [key[at] for key in self.given if len(key) > at and key[:at] == pattern[:at]]
                member = next((each for each in known if variable((each,)) == variable((parts[at],))), None)
                member = member or parts[at].lower().replace("_", "-")
                return find(self._settings, (*pattern[:at], member, *pattern[at + 1 :]))
        return None

    def _suspect(self, name: str, text: str) -> None:
        """Refuse a variable that differs from ours only in underscores: it would have no effect."""
        upper = name.upper()
        others = tuple(variable((service, "")).replace("__", "_") for service in self._skipped)
        if not _is_unknown(upper, text) or upper.startswith(others):
            return
        ours = {known.replace("__", "_"): known for known in self._variables}
        if near := _nearest(upper, ours, cutoff=_NEAR):
            self._refuse(ENVIRONMENT, name, "variable", ours[near], ())

    def _put(self, layer: Layer, given: Given) -> None:
        other = layer.setdefault(given.setting.target, given)
        if other is not given:
            self._add(given, Fault("", f"this or {other.name}", "both", "remove one of them"))

    def _refuse(self, source: str, name: str, noun: str, near: str, known: Iterable[str]) -> None:
        advice = f"did you mean {_shown(near)}?" if near else f"known: {', '.join(map(_shown, known))}"
        self._report.add(source, Fault(name, f"a known {noun}", f"an unknown {noun}", advice))


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Variables with our prefix that match no setting: another program's, or misspelt beyond recognition."""
    return sorted(name for name, text in environ.items() if _is_unknown(name.upper(), text))


def _is_unknown(name: str, text: str) -> bool:
    is_link = _LINK.fullmatch(name) or _LINK_VALUE.match(text)
    return name.startswith("KGENTS_") and not name.startswith(PREFIX) and name != FILE_VARIABLE and not is_link


def _nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    return next(iter(difflib.get_close_matches(name, known, 1, cutoff)), "")


def _shown(name: str) -> str:
    return name.replace(f"__{ANY}", "__<NAME>").replace(f".{ANY}", ".<name>")
