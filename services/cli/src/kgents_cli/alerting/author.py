"""Who decides: a flag, or the user of this machine."""

import getpass
import socket
from collections.abc import Callable

import click

from kgents_cli.options import Command


def by_option() -> Callable[[Command], Command]:
    """The flag `--by`."""
    return click.option("--by", metavar="NAME", default=user, help="Who decides this.  [default: your user name]")


def origin() -> str:
    """From where a command is run: `user@machine`."""
    return f"{user()}@{socket.gethostname()}"


def user() -> str:
    """The user of this machine who runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
