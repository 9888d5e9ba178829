"""`kgents config check`: file and environment → every installed service's settings, or everything that is wrong."""

from pathlib import Path
from typing import Any

import click
import msgspec

from kgents_cli.installed import load_service, service_names
from kgents_cli.options import config_option, output_option
from kgents_cli.output import OK, say, say_record
from kgents_shared.runtime import config as configuration


@click.group("config")
def command() -> None:
    """Check the configuration."""


@command.command("check")
@click.argument("services", nargs=-1)
@output_option("text", "json")
@config_option
def check(services: tuple[str, ...], output: str, config_file: Path | None) -> None:
    """Check what SERVICES (all, unless named) would be told by the file and the environment.

    With -o json it prints the settings in use; secrets are hidden. If anything is wrong, every fault is listed and
    the exit code is 78.

    \b
    Examples:
      kgents config check --config kgents.yaml
      kgents config check health-scorer -o json
    """  # noqa: D301
    names = list(services) or service_names()
    settings = _settings(names, config_file)
    if output == "json":
        say_record(msgspec.json.format(msgspec.json.encode(settings)))
        return
    for name in names:
        say(f"{OK} {name}")


def _settings(names: list[str], path: Path | None) -> dict[str, Any]:
    """The common settings and each service's section.

    Raises:
        ConfigError: with the faults of all services, each once.
    """
    sections = {name: load_service(name).config for name in names}
    common, own = configuration.load_all(
        sections, path=path, environ=configuration.process_environ(), services=service_names()
    )
    return configuration.effective(common, dict(zip(names, own, strict=True)))
