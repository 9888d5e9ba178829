"""`kgents config`: file and environment → every service's settings, or all that is wrong; another layout → ours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from kgents_cli.config_text import yaml_text
from kgents_cli.installed import load_service, service_names
from kgents_cli.options import config_option, output_option
from kgents_cli.output import OK, note, say, say_record
from kgents_cli.translation import translate
from kgents_shared.bus.config import late_faults
from kgents_shared.contract.errors import ConfigError, KgentsError
from kgents_shared.contract.section import Fault
from kgents_shared.runtime import config as configuration
from kgents_shared.runtime.ini import UnusableFileError
from kgents_shared.runtime.layers import PREFIX, document, unknown_variables
from kgents_shared.runtime.other_layouts import FOREIGN_SECTIONS


@click.group("config")
def command() -> None:
    """Check the configuration, or import one."""


@command.command("check")
@click.argument("services", nargs=-1)
@output_option("text", "json")
@config_option
def check(services: tuple[str, ...], output: str, config_file: Path | None) -> None:
    """Check the file and the environment for SERVICES (all, unless named).

    With -o json it prints the settings in use; secrets are hidden. If anything is wrong, every fault is listed and
    the exit code is 78.

    \b
    Examples:
      kgents config check --config kgents.yaml
      kgents config check health-scorer -o json
    """  # noqa: D301
    names = list(services) or service_names()
    settings = _settings(names, config_file)
    for variable in unknown_variables(configuration.process_environ()):
        note(f"{variable}: no variable of kgents, so it does nothing here; ours begin with {PREFIX}")
    if output == "json":
        say_record(msgspec.json.format(msgspec.json.encode(settings)))
        return
    for name in names:
        say(f"{OK} {name}")


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write there; not over a file.")
def import_(file: Path, output: Path | None) -> None:
    """Print the configuration that does what FILE, in another layout, asks for.

    Read are YAML with the sections collectors, visualization, health and alerts, and INI with database, collection,
    listener and buffer. What has no counterpart is listed on stderr. Secrets are never copied: the settings name the
    files that are to hold them.

    \b
    Examples:
      kgents config import infrastructure.yaml -o kgents.yaml
      kgents config import agent.ini > kgents.yaml
    """  # noqa: D301
    content, twice = _read(file)
    translation = translate(content)
    text = yaml_text(translation.settings, translation.comments, heading=f"Made from {file.name} by kgents.")
    if output is None:
        say(text.rstrip())
    else:
        _write(output, text)
    for remark in (*map(str, twice), *translation.remarks):
        note(remark)
    note(f"next: `kgents config check --config {output or 'FILE'}`")


def _read(file: Path) -> tuple[Mapping[object, object], list[Fault]]:
    """Read a file in another layout.

    Raises:
        ConfigError: it cannot be read, or is in ours or none that is known.
    """
    try:
        content, twice = document(file)
    except UnusableFileError as error:
        raise ConfigError([f"{file}: {error.fault}"]) from error
    if not any(name in FOREIGN_SECTIONS for name in content):
        expected = f"one of the sections {', '.join(FOREIGN_SECTIONS)}"
        advice = f"try: kgents config check --config {file}, if it is in the layout of kgents"
        raise ConfigError([f"{file}: {Fault('', expected, 'none of them', advice)}"])
    return content, twice


def _write(path: Path, text: str) -> None:
    """Write a new file.

    Raises:
        KgentsError: it exists, or its folder cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        advice = "try: another name for `--output`"
        raise KgentsError(f"{path}: expected a new file, found: {error.strerror}; {advice}") from error


def _settings(names: list[str], path: Path | None) -> dict[str, Any]:
    """The common settings and each service's section.

    Raises:
        ConfigError: with the faults of all services, each once.
    """
    sections = {name: load_service(name).config for name in names}
    common, own = configuration.load_all(
        sections, path=path, environ=configuration.process_environ(), services=service_names()
    )
    if late := [str(each) for name, section in zip(names, own, strict=True) for each in late_faults(section, name)]:
        raise ConfigError(late)
    return configuration.effective(common, dict(zip(names, own, strict=True)))
