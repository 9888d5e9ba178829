"""`kgents audit`: who wrote what through us, and whether that record is whole."""

from importlib import import_module
from typing import Final

import click

from kgents_cli.suggestion import did_you_mean

SUBCOMMANDS: Final = {"ls": "listing:ls", "export": "exporting:export", "verify": "verifying:verify"}
"""Name → its module in `auditing` and the command in it, imported only when it runs."""


class _Audit(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        if cmd_name not in SUBCOMMANDS:
            ctx.fail(f"no command {cmd_name!r} of `kgents audit`; {did_you_mean(cmd_name, SUBCOMMANDS)}")
        module, _, name = SUBCOMMANDS[cmd_name].partition(":")
        found: click.Command = getattr(import_module(f"kgents_cli.auditing.{module}"), name)
        return found


@click.group("audit", cls=_Audit)
def command() -> None:
    """See who wrote what: decisions about alerts, streams, logins, edges, restored backups.

    Whatever is written through kgents is recorded in the stream KGENTS_AUDIT first, which can only become longer. The
    archive keeps it in a chain of hashes, which shows whether anything in it was changed, removed or cut off.

    \b
    Examples:
      kgents audit ls --since 30d
      kgents audit ls --who ada -o json
      kgents audit verify --config kgents.yaml
    """  # noqa: D301
