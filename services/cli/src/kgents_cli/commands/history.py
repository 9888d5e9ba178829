"""`kgents history`: all kept versions of one entity's topology, health and alerts → a line each, oldest first."""

import asyncio

import click

from kgents_cli.complete import complete_kinds, complete_names
from kgents_cli.connection import connected, require_state
from kgents_cli.options import Target, output_option
from kgents_cli.output import say_line
from kgents_cli.query import Query, find_one, query_options, spelled
from kgents_cli.records import say_list, version_record
from kgents_cli.sentence import line
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.past import history


@click.command("history")
@click.argument("kinds", metavar="KIND[/NAME]", shell_complete=complete_kinds)
@click.argument("name", metavar="[NAME]", default="", shell_complete=complete_names)
@output_option("text", "json", "yaml")
@query_options(kind=False, at=False)
def command(kinds: str, name: str, output: str, query: Query, target: Target) -> None:
    """Show how one entity, its health and its alerts changed, oldest first.

    The streams keep the last 16 messages of each. Events are in `kgents events`.

    \b
    Examples:
      kgents history pod cart-7f
      kgents history pod/shop/cart-7f -o json | jq -r '.[].message.text'
    """  # noqa: D301
    asyncio.run(_history(target.load(), spelled((kinds, name) if name else (kinds,)), query, output))


async def _history(common: CommonConfig, text: str, query: Query, output: str) -> None:
    async with connected(common) as bus:
        await require_state(bus)
        view = await find_one(bus, query, text)
        versions = await history(bus, view.ref) if view is not None else []
    if output != "text":
        say_list([version_record(each) for each in versions], output)
        return
    for each in versions:
        say_line(line(each.at, each.subject, each.payload))
