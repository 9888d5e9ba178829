"""The `kgents` command and everything under it → docs/reference/cli.md, as `--help` prints it."""

from collections.abc import Iterator
from typing import Final

import click

from kgents_cli.app import kgents
from reference.markdown import listing, page

_WIDTH: Final = 100
"""Fixed, so that the page does not depend on whose terminal it was made in."""


def document() -> str:
    """Every command's help, groups before their commands."""
    return page("Commands", *_helps(kgents, "kgents", None))


def _helps(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    context = click.Context(
        command,
        parent=parent,
        info_name=name,
        terminal_width=_WIDTH,
        max_content_width=_WIDTH,
        color=False,
        **command.context_settings,
    )
    yield f"## {context.command_path}"
    yield listing(command.get_help(context))
    if isinstance(command, click.Group):
        for sub_name in command.list_commands(context):
            sub_command = command.get_command(context, sub_name)
            if sub_command is not None and not sub_command.hidden:
                yield from _helps(sub_command, sub_name, context)
