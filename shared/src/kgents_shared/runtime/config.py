"""Settings, from their three sources to typed values: before anything else of a service runs.

Defaults < file (YAML or INI) < environment. Every fault is collected, so that one run is enough to mend them all.
This is the only module that reads the environment.

The walk: the Structs say which settings there are; each source becomes a layer, a value by the key of its field; the
layers are laid over each other; each value is converted alone; the Structs are built from the innermost outwards.
"""

import difflib
import os
import socket
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import NODEFAULT, Struct, structs

from kgents_shared.bus.config import NatsConfig, Secret
from kgents_shared.contract.errors import ConfigError
from kgents_shared.contract.streams import StreamsConfig
from kgents_shared.runtime.ini import UnusableFileError, is_ini, read_ini
from kgents_shared.runtime.sections import LogConfig, ProbesConfig, TelemetryConfig
from kgents_shared.runtime.settings import (
    ANY,
    Given,
    Key,
    Setting,
    admits_none,
    expectation,
    find,
    is_section,
    member_in,
    section_in,
    settings_of,
    value_of,
)

PREFIX = "KGENTS__"
"""What our variables begin with. Two underscores: for a service named `kgents-nats` Kubernetes gives every pod
`KGENTS_NATS_PORT=tcp://…`, which is none of ours."""

_ENVIRONMENT = "environment"
_OTLP_VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"

C = TypeVar("C", bound=Struct)
Layer = dict[Key, Given]


class CommonConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every service is told; its own settings are in a section of its own name."""

    cluster: str = "local"
    """The name of what is observed, part of every subject. Collectors of one Kubernetes cluster share it, and two
    clusters on one NATS must differ."""

    instance: str = ""
    """This process among those of its service. Empty: the host's name, which in Kubernetes is the pod's."""

    data_dir: str = ""
    """The directory of the bounded buffers on disk. Empty: `$XDG_STATE_HOME/kgents`, or `~/.local/state/kgents`
    without that variable: state worth keeping over a restart, but not worth a backup."""

    nats: NatsConfig = NatsConfig()
    """The NATS server, and who we are to it."""

    streams: StreamsConfig = StreamsConfig()
    """How the streams are kept; `kgents provision` makes the server match."""

    log: LogConfig = LogConfig()
    """What is logged, and how it looks."""

    telemetry: TelemetryConfig = TelemetryConfig()
    """Where spans go."""

    probes: ProbesConfig = ProbesConfig()
    """Where `/livez`, `/readyz` and `/metrics` are served."""


def process_environ() -> Mapping[str, str]:
    """Return the variables of this process, for `load`; whoever else needs one is handed it."""
    return os.environ  # noqa: TID251 - the one place; everything else takes a mapping


def load(
    name: str, section: type[C], *, path: Path | None, environ: Mapping[str, str], services: Collection[str] = ()
) -> tuple[CommonConfig, C]:
    """Read the settings of one service.

    Args:
        name: the service, such as `collector-nats`: also the name of its section.
        section: the Struct of its own settings.
        path: the file, INI if it is named so and else YAML; None for none.
        environ: the variables, see `process_environ`.
        services: the names of all services. One file may serve all, so their sections are not unknown keys.

    Returns:
        The common settings with `instance` and `data_dir` filled in, and the service's own.

    Raises:
        ConfigError: the settings cannot be used; it lists every fault with its source.
    """
    loader = _Loader(name, section, skipped=set(services) - {name})
    loader.take(_standard_layer(environ))
    if path is not None:
        loader.take(loader.file_layer(path))
    loader.take(loader.environment_layer(environ))
    common = loader.build(CommonConfig, (), CommonConfig())
    own = loader.build(section, (name,), None)
    if common is None or own is None or loader.faults:
        raise ConfigError(loader.faults)
    return _resolved(common, environ), own


def sections_given(path: Path | None, environ: Mapping[str, str], services: Collection[str]) -> set[str]:
    """Return the services that the file or a variable says something to. What is wrong with the file `load` tells."""
    document: Mapping[object, object] = {}
    if path is not None:
        with suppress(UnusableFileError):
            document = _document(path)
    variables = {name.upper() for name in environ}
    return {
        name
        for name in services
        if document.get(name) is not None or any(each.startswith(f"{_variable((name,))}__") for each in variables)
    }


def effective(common: CommonConfig, section: Struct, name: str) -> dict[str, Any]:
    """Return the settings in use as plain data, as the YAML file would give them; secrets are shown as `***`."""
    return {
        **msgspec.to_builtins(common, enc_hook=_printable),
        name: msgspec.to_builtins(section, enc_hook=_printable),
    }


def _printable(value: object) -> str:
    return "***" if isinstance(value, Secret) else str(value)


def _resolved(common: CommonConfig, environ: Mapping[str, str]) -> CommonConfig:
    return structs.replace(
        common,
        instance=common.instance or socket.gethostname(),
        data_dir=common.data_dir or str(_state_home(environ) / "kgents"),
    )


def _state_home(environ: Mapping[str, str]) -> Path:
    given = Path(environ.get("XDG_STATE_HOME", ""))
    if given.is_absolute():  # the XDG specification: a relative path is to be ignored
        return given
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    return home / ".local" / "state"


def _standard_layer(environ: Mapping[str, str]) -> Layer:
    """Return what OpenTelemetry's own variable says: a default that our file and our variables override."""
    endpoint = environ.get(_OTLP_VARIABLE)
    if not endpoint:
        return {}
    setting = Setting(("telemetry", "otlp_endpoint"), str | None)
    return {setting.target: Given(setting, endpoint, _ENVIRONMENT, _OTLP_VARIABLE, textual=True)}


_NOTHING = Setting((), None)


def _variable(key: Key) -> str:
    return PREFIX + "__".join(key).upper().replace("-", "_")


def _default(field: structs.FieldInfo) -> object:
    return field.default if field.default_factory is NODEFAULT else field.default_factory()


class _Loader:
    """The settings of one service on their way from the sources to their Structs, and the faults met so far."""

    def __init__(self, name: str, section: type[Struct], *, skipped: Collection[str]) -> None:
        self.faults: list[str] = []
        self._skipped = skipped
        self._settings = {
            **dict(settings_of(CommonConfig)),
            (name,): Setting((name,), section),
            **dict(settings_of(section, (name,))),
        }
        self._variables = {_variable(key): setting for key, setting in self._settings.items()}
        self._given: Layer = {}

    def take(self, above: Layer) -> None:
        """Lay a layer over those before: it wins, and its null for a section removes what they gave in it."""
        cleared = [key for key, given in above.items() if given.value is None]
        kept = {key: given for key, given in self._given.items() if not any(key[: len(top)] == top for top in cleared)}
        self._given = {**kept, **above}

    def file_layer(self, path: Path) -> Layer:
        """Return what the file gives."""
        layer: Layer = {}
        try:
            document = _document(path)
        except UnusableFileError as error:
            self.faults.append(f"{path}: {error}")
        else:
            self._read_section(document, (), path, layer)
        return layer

    def _read_section(self, node: Mapping[object, object], at: Key, path: Path, layer: Layer) -> None:
        source = str(path)
        for name, value in node.items():
            key = (*at, str(name))
            if len(key) == 1 and name in self._skipped:
                continue
            setting = find(self._settings, key)
            if setting is None:
                siblings = [".".join((*at, known)) for known in self._names_beneath(at)]
                self._refuse(source, ".".join(key), "key", siblings)
                continue
            given = Given(setting, value, source, ".".join(key), textual=is_ini(path))
            if not is_section(setting.type) or value is None:
                self._put(layer, given)
            elif isinstance(value, Mapping):
                self._put(layer, given)
                self._read_section(value, key, path, layer)
            else:
                # The value is not shown: it may be a secret one level too high.
                self.faults.append(f"{source}: {given.name}: expected a mapping, found {type(value).__name__}")

    def _names_beneath(self, at: Key) -> list[str]:
        return [known[-1] for known in self._settings if len(known) == len(at) + 1 and find({known[:-1]: _NOTHING}, at)]

    def environment_layer(self, environ: Mapping[str, str]) -> Layer:
        """Return what our variables give, upper or lower case."""
        layer: Layer = {}
        foreign = tuple(_variable((service, "")) for service in self._skipped)
        for name, text in environ.items():
            variable = name.upper()
            if not variable.startswith(PREFIX) or variable.startswith(foreign):
                continue
            setting = self._variables.get(variable) or self._member_setting(variable)
            if setting is None:
                self._refuse(_ENVIRONMENT, name, "variable", self._variables)
            elif not is_section(setting.type):
                self._put(layer, Given(setting, text, _ENVIRONMENT, name, textual=True))
            elif text == "null":
                self._put(layer, Given(setting, None, _ENVIRONMENT, name, textual=True))
            else:
                self.faults.append(
                    f"{_ENVIRONMENT}: {name}: expected null or one variable for each setting in this section, found "
                    f"a text; set {name}__… instead"
                )
        return layer

    def _member_setting(self, variable: str) -> Setting | None:
        """Return the setting of a variable that names a member: `KGENTS__COLLECTOR_DB__POSTGRES__ORDERS__HOST`.

        A member that the file names is meant however its name is written there; a new one is in lower case, with a
        dash for each underscore.
        """
        parts = variable.removeprefix(PREFIX).split("__")
        for pattern in self._settings:
            if ANY not in pattern or len(pattern) != len(parts):
                continue
            at = pattern.index(ANY)
            if _variable(pattern) == _variable((*parts[:at], ANY, *parts[at + 1 :])):
                known = [key[at] for key in self._given if len(key) > at and key[:at] == pattern[:at]]
                name = next((each for each in known if _variable((each,)) == _variable((parts[at],))), None)
                name = name or parts[at].lower().replace("_", "-")
                return find(self._settings, (*pattern[:at], name, *pattern[at + 1 :]))
        return None

    def _put(self, layer: Layer, given: Given) -> None:
        other = layer.setdefault(given.setting.target, given)
        if other is not given:
            self.faults.append(
                f"{given.source}: {given.name}: expected this or {other.name}, found both; remove one of them"
            )

    def _refuse(self, source: str, name: str, noun: str, known: Iterable[str]) -> None:
        candidates = list(known)
        near = difflib.get_close_matches(name.upper() if noun == "variable" else name, candidates, 1)
        advice = f"did you mean {near[0]}?" if near else f"known: {', '.join(candidates)}"
        self.faults.append(f"{source}: {name}: unknown {noun}; {advice}")

    def build(self, struct: type[C], at: Key, base: Struct | None) -> C | None:
        """Make a Struct of what was given beneath a key.

        Args:
            struct: what to make.
            at: where it stands.
            base: the values of what was not given; None for the defaults of the Struct's own fields.

        Returns:
            The Struct; None when something in it is at fault, which is then among `faults`.
        """
        values = {} if base is None else structs.asdict(base)
        faults_before = len(self.faults)
        for field in structs.fields(struct):
            key = (*at, field.name)
            default = values.get(field.name, _default(field))
            if member := member_in(field.type):
                names = dict.fromkeys(given[len(key)] for given in self._given if given[:-1][: len(key)] == key)
                values[field.name] = {name: self.build(member, (*key, name), None) for name in names}
            elif section := section_in(field.type):
                if not admits_none(field.type) or self._has_section(key):
                    values[field.name] = self.build(section, key, default if isinstance(default, Struct) else None)
                elif key in self._given:
                    values[field.name] = None
            elif key in self._given:
                values[field.name] = self._convert(self._given[key])
            elif field.required and field.name not in values:
                self.faults.append(
                    f"{'.'.join(key)}: expected {expectation(field.type)}, found nothing in the file or the "
                    f"environment; set {'.'.join(key)} or {_variable(key)}"
                )
        if len(self.faults) > faults_before:
            return None
        try:
            return struct(**values)
        except ValueError as error:
            sources = dict.fromkeys(given.source for key, given in self._given.items() if key[: len(at)] == at)
            self.faults.append(": ".join([", ".join(sources), *filter(None, [".".join(at)]), str(error)]))
            return None

    def _has_section(self, key: Key) -> bool:
        return any(
            given_key[: len(key)] == key and (given_key != key or given.value is not None)
            for given_key, given in self._given.items()
        )

    def _convert(self, given: Given) -> object:
        try:
            return value_of(given)
        except ValueError as error:
            self.faults.append(f"{given.source}: {given.name}: {error}")
            return NODEFAULT


def _document(path: Path) -> Mapping[object, object]:
    if is_ini(path):
        return read_ini(path)
    from kgents_shared.runtime.yaml_file import read_yaml  # noqa: PLC0415 - its parser is imported for a YAML file alone

    return read_yaml(path)
