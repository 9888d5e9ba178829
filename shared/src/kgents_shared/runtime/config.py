"""Settings, from their three sources to typed values: before anything else of a service runs.

Defaults < file (YAML or INI) < environment. Every fault is collected, so that one run is enough to fix them all.
This is the only module that reads the environment.

Steps: the Structs define the settings (`settings`); each source becomes a layer, and the layers are laid
over each other (`layers`); the Structs are made from the innermost outwards (`assembly`); faults are collected
(`report`).
"""

import os
import socket
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from msgspec import structs

from kgents_shared.bus.config import NatsConfig, Secret
from kgents_shared.bus.outbox import MAX_BYTES
from kgents_shared.contract.errors import ConfigError
from kgents_shared.contract.meta import is_reserved
from kgents_shared.contract.section import Fault, Section
from kgents_shared.contract.streams import Positive, StreamsConfig
from kgents_shared.runtime.assembly import assemble
from kgents_shared.runtime.ini import UnusableFileError
from kgents_shared.runtime.layers import ENVIRONMENT, Layer, Layers, document, variable
from kgents_shared.runtime.report import Report
from kgents_shared.runtime.sections import BackupConfig, LogConfig, ProbesConfig, TelemetryConfig
from kgents_shared.runtime.settings import Given, Setting, settings_of

_OTLP_VARIABLE: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"

C = TypeVar("C", bound=Section)


SERVICES: Final = (
    "alert-notifier", "archiver", "collector-db", "collector-docker", "collector-host", "collector-k8s",
    "collector-nats", "collector-otel", "edge-sync", "gateway", "health-scorer", "operator", "otlp-exporter",
    "topology-builder",
)  # fmt: skip
"""Services of kgents. A file that all of them share is the same where only some are installed, so their sections are
never unknown."""


class CommonConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of every service; a service's own are in a section of its name."""

    cluster: str = "local"
    """The name of what is observed, part of every subject. Collectors of one Kubernetes cluster share it, and two
    clusters on one NATS must differ."""

    instance: str = ""
    """The name of this process among those of its service. Empty: the host's name, which in Kubernetes is the pod's."""

    data_dir: str = ""
    """The directory of the bounded buffers on disk. Empty: `$XDG_STATE_HOME/kgents`, or `~/.local/state/kgents`
    without that variable: state worth keeping over a restart, but not worth a backup."""

    buffer_max_bytes: Positive = MAX_BYTES
    """Bound of the buffer on disk, which keeps samples and events while NATS is away; the oldest are dropped beyond it.
    The file is an eighth larger. 100 MiB hold ten minutes of some 300 samples a second."""

    nats: NatsConfig = NatsConfig()
    """The NATS server, and how to authenticate."""

    streams: StreamsConfig = StreamsConfig()
    """How the streams are kept; `kgents provision` makes the server match."""

    log: LogConfig = LogConfig()
    """Log level and format."""

    telemetry: TelemetryConfig = TelemetryConfig()
    """Where spans are sent."""

    probes: ProbesConfig = ProbesConfig()
    """Where `/livez`, `/readyz` and `/metrics` are served."""

    backup: BackupConfig = BackupConfig()
    """Where `kgents backup` and `restore` find a storage for `s3://…`; services do not use it."""

    def faults(self) -> Iterator[Fault]:
        if not self.cluster.strip():
            yield Fault("cluster", "a name", "an empty text", "try: local, the default")
        if is_reserved(self.instance):
            yield Fault("instance", "a name of its own", self.instance, "subjects of leases and dead letters end so")

    def check(self) -> Iterator[Fault]:
        if not self.data_dir:
            return
        nearest = Path(self.data_dir)
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
        if not nearest.is_dir():
            found = f"a file at {nearest}"
        elif not os.access(nearest, os.W_OK | os.X_OK):
            found = f"no permission to write at {nearest}"
        else:
            return
        yield Fault("data_dir", "a directory that can be written, or made", found, "check the path and its owner")


def process_environ() -> Mapping[str, str]:
    """Return the variables of this process, for `load`; all other code takes a mapping."""
    return os.environ  # noqa: TID251 - the one place; everything else takes a mapping


def unset_variable(name: str) -> None:
    """Take a variable away from this process, for the sake of a library that reads it by itself."""
    os.environ.pop(name, None)  # noqa: TID251 - as above


def load(
    name: str,
    section: type[C],
    *,
    path: Path | None,
    environ: Mapping[str, str],
    services: Collection[str] = (),
    elsewhere: bool = False,
) -> tuple[CommonConfig, C]:
    """Read the settings of one service.

    Args:
        name: the service, such as `collector-nats`: also the name of its section.
        section: the Struct of its own settings.
        path: the file, INI if it is named so and else YAML; None for none.
        environ: the variables, see `process_environ`.
        services: the names of services installed beside this one. As for those of kgents, their sections are not
            unknown keys: one file may serve all.
        elsewhere: they are of another machine: files that they name, such as secrets, need not be on this one.

    Returns:
        The common settings with `instance` and `data_dir` filled in, and the service's own.

    Raises:
        ConfigError: the settings cannot be used; it lists every fault with its source.
    """
    common, (own,) = load_all({name: section}, path=path, environ=environ, services=services, elsewhere=elsewhere)
    return common, own


def load_common(
    *, path: Path | None, environ: Mapping[str, str], services: Collection[str], elsewhere: bool = False
) -> CommonConfig:
    """Read the settings common to all services; arguments as for `load`.

    Raises:
        ConfigError: they cannot be used; it lists every fault with its source.
    """
    return load_all({}, path=path, environ=environ, services=services, elsewhere=elsewhere)[0]


def load_all(
    sections: Mapping[str, type[C]],
    *,
    path: Path | None,
    environ: Mapping[str, str],
    services: Collection[str],
    above: Path | None = None,
    elsewhere: bool = False,
) -> tuple[CommonConfig, list[C]]:
    """Read the settings of several services out of the same file and variables, as `load` does for one.

    Args:
        sections: the Struct of each service's own settings, by its name.
        path: as for `load`.
        environ: as for `load`.
        services: as for `load`.
        above: another file, whose settings override those of the first one.
        elsewhere: as for `load`.

    Returns:
        The common settings, and the services' own in the order of `sections`.

    Raises:
        ConfigError: the settings cannot be used; it lists every fault of all of them, each once.
    """
    report = Report()
    settings = dict(settings_of(CommonConfig))
    for name, section in sections.items():
        settings |= {(name,): Setting((name,), section), **dict(settings_of(section, (name,)))}
    layers = Layers(settings, report, skipped={*SERVICES, *services} - set(sections), elsewhere=elsewhere)
    layers.take(_standard_layer(environ))
    for file in (path, above):
        if file is not None:
            layers.take(layers.file_layer(file))
    layers.take(layers.environment_layer(environ))
    common = assemble(CommonConfig, (), CommonConfig(), layers, report)
    own = [assemble(section, (name,), None, layers, report) for name, section in sections.items()]
    if report.lines:
        raise ConfigError(report.lines)
    return _resolved(common, environ), own


def sections_given(path: Path | None, environ: Mapping[str, str], services: Collection[str]) -> set[str]:
    """Return the services that the file or a variable names. What is wrong with the file is reported by `load`."""
    content: Mapping[object, object] = {}
    if path is not None:
        with suppress(UnusableFileError):
            content, _ = document(path)
    variables = {name.upper() for name in environ}
    return {
        name
        for name in services
        if content.get(name) is not None or any(each.startswith(f"{variable((name,))}__") for each in variables)
    }


def effective(common: CommonConfig, own: Mapping[str, Section]) -> dict[str, Any]:
    """Return the settings in use as plain data, as the YAML file would give them; secrets are shown as `***`.

    Args:
        common: the settings of every service.
        own: the settings of some, by name.
    """
    return {
        **msgspec.to_builtins(common, enc_hook=_printable),
        **{name: msgspec.to_builtins(section, enc_hook=_printable) for name, section in own.items()},
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
    """Return the value of OpenTelemetry's own variable: a default that our file and our variables override."""
    endpoint = environ.get(_OTLP_VARIABLE)
    if not endpoint:
        return {}
    setting = Setting(("telemetry", "otlp_endpoint"), str | None)
    return {setting.target: Given(setting, endpoint, ENVIRONMENT, _OTLP_VARIABLE, textual=True)}
