"""Who decides: a flag, or the user of this machine."""

import getpass
from collections.abc import Callable

import click

from kgents_cli.options import Command


def by_option() -> Callable[[Command], Command]:
    """The flag `--by`."""
    return click.option("--by", metavar="NAME", default=user, help="Who decides this.  [default: your user name]")


def user() -> str:
    """The user of this machine who runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
