"""Flags → environment → configuration: flags override the variables.

The flags are the variables' short forms, and so they are checked by the same rules.
"""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click
import msgspec

from kgents_cli.installed import service_names
from kgents_shared.runtime import config as configuration
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.runtime.layers import FILE_VARIABLE, PREFIX
from kgents_shared.view.moment import duration_s

NATS_URL: Final = "KGENTS__NATS__URL"
CREDENTIALS: Final = "KGENTS__NATS__CREDENTIALS_FILE"
CLUSTER: Final = "KGENTS__CLUSTER"
DATA_DIR: Final = "KGENTS__DATA_DIR"

Command = Callable[..., int | None]


class Target(msgspec.Struct, frozen=True):
    """The values of the common flags."""

    overrides: dict[str, str]
    """Variable → its value from a flag."""
    config_file: Path | None
    cluster: str | None
    """The one cluster asked for; None: every cluster, when reading."""

    def environ(self) -> dict[str, str]:
        """This process's variables with the flags laid over them."""
        return overlaid(configuration.process_environ(), self.overrides)

    def load(self) -> CommonConfig:
        """The settings that all commands share.

        Raises:
            ConfigError: they cannot be used.
        """
        environ = self.environ()
        flags = (NATS_URL, CREDENTIALS, CLUSTER, DATA_DIR)
        names_services = self.config_file is not None or any(
            name.upper().startswith(PREFIX) and name.upper() not in flags for name in environ
        )
        # Reading the metadata of every installed package is slow: only if there may be a section of a service.
        services = service_names() if names_services else []
        return configuration.load_common(path=self.config_file, environ=environ, services=services)

    def addressed(self) -> set[str]:
        """The services that the configuration has settings for."""
        return configuration.sections_given(self.config_file, self.environ(), service_names())


def overlaid(environ: Mapping[str, str], overrides: Mapping[str, str]) -> dict[str, str]:
    """Variables with others in their place. The loader reads upper and lower case, so both are replaced."""
    return {**{name: value for name, value in environ.items() if name.upper() not in overrides}, **overrides}


config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    envvar=FILE_VARIABLE,
    metavar="FILE",
    help=f"YAML configuration, the one the services use.  [env: {FILE_VARIABLE}]",
)


def target_options(command: Command) -> Command:
    """Give a command the flags that say which NATS server and cluster; it receives them as `target`."""

    @config_option
    @click.option("--cluster", metavar="NAME", help="Only this cluster.")
    @click.option("--creds", metavar="FILE", help="NATS credentials file (.creds).")
    @click.option("--nats", metavar="URL", help=f"NATS server, such as nats://host:4222.  [env: {NATS_URL}]")
    @functools.wraps(command)
    def with_target(
        *args: Any, nats: str | None, creds: str | None, cluster: str | None, config_file: Path | None, **others: Any
    ) -> int | None:
        return command(*args, target=target_of(nats, creds, cluster, config_file), **others)

    return with_target


def nats_options(command: Command) -> Command:
    """Give a command that has a `--cluster` of its own the flags that say which NATS server; received as `target`."""

    @config_option
    @click.option("--creds", metavar="FILE", help="NATS credentials file (.creds).")
    @click.option("--nats", metavar="URL", help=f"NATS server, such as nats://host:4222.  [env: {NATS_URL}]")
    @functools.wraps(command)
    def with_target(
        *args: Any, nats: str | None, creds: str | None, config_file: Path | None, **others: Any
    ) -> int | None:
        return command(*args, target=target_of(nats, creds, None, config_file), **others)

    return with_target


def target_of(nats: str | None, creds: str | None, cluster: str | None, config_file: Path | None) -> Target:
    """The values of the common flags as a Target.

    Raises:
        UsageError: the url has a user or password.
    """
    if any(urlsplit(url).username is not None for url in (nats or "").split(",")):
        raise click.UsageError(
            "--nats: expected servers without user or password, found one with them; give them as KGENTS__NATS__USER "
            "and KGENTS__NATS__PASSWORD (or KGENTS__NATS__PASSWORD_FILE), or a file with --creds"
        )
    flags = {NATS_URL: nats, CREDENTIALS: creds, CLUSTER: cluster}
    return Target({name: value for name, value in flags.items() if value is not None}, config_file, cluster)


def output_option(*formats: str) -> Callable[[Command], Command]:
    """The flag `-o`; the first format is the default."""
    return click.option(
        "-o", "--output", type=click.Choice(formats), default=formats[0], show_default=True, help="How to print it."
    )


def duration_option(flag: str, name: str, text: str) -> Callable[[Command], Command]:
    """A flag that takes a duration such as `10m`, in seconds; None: it is not given."""

    def seconds(_: click.Context, __: click.Parameter, given: str | None) -> float | None:
        try:
            return duration_s(given) if given is not None else None
        except ValueError as error:
            raise click.UsageError(f"{flag}: {error}") from None

    return click.option(flag, name, metavar="DURATION", callback=seconds, help=text)
