"""`kgents edge`: a hub and its edges: keys and NATS configuration, how far the copies are, and repairing them."""

from importlib import import_module
from typing import Final

import click

from kgents_cli.suggestion import did_you_mean

SUBCOMMANDS: Final = {
    "init": "creating:init",
    "new": "creating:new",
    "update": "updating:update",
    "ls": "listing:listing",
    "resync": "resync:resync",
    "rotate": "rotation:rotate",
    "revoke": "rotation:revoke",
}
"""Name → its module in `edge` and the command in it, imported only when it runs."""


class _Edge(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        if cmd_name not in SUBCOMMANDS:
            ctx.fail(f"no command {cmd_name!r} of `kgents edge`; {did_you_mean(cmd_name, SUBCOMMANDS)}")
        module, _, name = SUBCOMMANDS[cmd_name].partition(":")
        found: click.Command = getattr(import_module(f"kgents_cli.edge.{module}"), name)
        return found


@click.group("edge", cls=_Edge)
def command() -> None:
    """Set up a hub and its edges, and see how far they are.

    An edge is a NATS beside the collectors of one cluster. They go on while the link to the hub is down, and the hub
    copies from the edge what it has missed, in order.

    \b
    Examples:
      kgents edge init hub --host nats.example.org
      kgents edge new paris --hub hub --url tls://nats.example.org:7422
      kgents edge ls
    """  # noqa: D301
