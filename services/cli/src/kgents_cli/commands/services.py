"""`kgents services`: the entry points, by name."""

from importlib.metadata import PackageNotFoundError, version

import click
import msgspec

from kgents_cli.installed import service_names
from kgents_cli.options import output_option
from kgents_cli.output import note, say, say_record


@click.command("services")
@output_option("text", "json")
def command(output: str) -> None:
    """List the services installed here, with their versions.

    \b
    Example:
      kgents services -o json
    """  # noqa: D301
    services = [{"service": name, "version": _version(name)} for name in service_names()]
    if output == "json":
        say_record(msgspec.json.encode(services))
        return
    if not services:
        note("no service is installed; start with `pip install kgents-topology-builder`")
    for service in services:
        say(f"{service['service']}  {service['version']}")


def _version(service: str) -> str:
    """A service's version; a third party may have named its package otherwise."""
    try:
        return version(f"kgents-{service}")
    except PackageNotFoundError:
        return ""
