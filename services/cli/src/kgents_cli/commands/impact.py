"""`kgents impact`: the topology → what the loss of one entity reaches."""

import asyncio

import click
import msgspec

from kgents_cli.complete import complete_kinds, complete_names
from kgents_cli.connection import connected, require_state
from kgents_cli.options import Target, output_option
from kgents_cli.output import note, say
from kgents_cli.query import Query, query_options, read_structure, require_any, spelled
from kgents_cli.records import say_list
from kgents_cli.table import Cell, table
from kgents_shared.contract.entity import Ref
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.find import one, path_of
from kgents_shared.view.paths import Affected, Graph

_HEADING = ("EFFECT", "ENTITY", "STEPS", "THROUGH")


@click.command("impact")
@click.argument("kinds", metavar="KIND[/NAME]", shell_complete=complete_kinds)
@click.argument("name", metavar="[NAME]", default="", shell_complete=complete_names)
@output_option("table", "wide", "json", "yaml")
@query_options(kind=False)
def command(kinds: str, name: str, output: str, query: Query, target: Target) -> None:
    """Show what depends on an entity: what is lost with it, then what is impaired.

    Lost is what runs on it or is part of it; impaired is what needs something that is lost.

    \b
    Examples:
      kgents impact node n3
      kgents impact db/orders
    """  # noqa: D301
    asyncio.run(_impact(target.load(), spelled((kinds, name) if name else (kinds,)), query, output))


async def _impact(common: CommonConfig, text: str, query: Query, output: str) -> None:
    async with connected(common) as bus:
        await require_state(bus)
        views = await read_structure(bus, query)
        if not views:
            await require_any(bus, query)
            return
    ref = one(text, (view.ref for view in views))
    found = Graph(views).impact(ref)
    if output in ("json", "yaml"):
        say_list([_record(each) for each in found], output)
    elif not found:
        note(f"nothing depends on {path_of(ref)}")
    else:
        for line in table(_HEADING, (_cells(each, ref) for each in found), cut=output != "wide"):
            say(line)


def _cells(each: Affected, ref: Ref) -> tuple[str, ...]:
    effect = Cell("lost", "critical") if each.is_lost else Cell("impaired", "warning")
    cause = each.through.other(each.ref)
    return (
        effect,
        path_of(each.ref),
        str(each.distance),
        f"{each.through.kind} {path_of(cause)}" if cause != ref else each.through.kind,
    )


def _record(each: Affected) -> bytes:
    return msgspec.json.encode(
        {
            "ref": each.ref,
            "effect": "lost" if each.is_lost else "impaired",
            "distance": each.distance,
            "through": {"from": each.through.source, "kind": each.through.kind, "to": each.through.target},
        }
    )
