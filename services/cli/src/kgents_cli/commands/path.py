"""`kgents path`: the topology → the shortest ways from one entity to another."""

import asyncio
from collections.abc import Iterator, Sequence

import click
import msgspec

from kgents_cli.complete import complete_paths
from kgents_cli.connection import connected, require_state
from kgents_cli.options import Target, output_option
from kgents_cli.output import say
from kgents_cli.query import Query, query_options, read_structure, require_any
from kgents_cli.records import say_list
from kgents_cli.sentence import clean
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import NotFoundError
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.find import one, path_of
from kgents_shared.view.paths import Edge, Graph


@click.command("path")
@click.argument("start", metavar="FROM", shell_complete=complete_paths)
@click.argument("end", metavar="TO", shell_complete=complete_paths)
@output_option("text", "json", "yaml")
@query_options()
def command(start: str, end: str, output: str, query: Query, target: Target) -> None:
    """Show how two entities are connected: every shortest way, whichever way its connections point.

    FROM and TO are kind/namespace/name, kind/name, or a part of a name that only one entity has.

    \b
    Examples:
      kgents path ingress/shop/web db/orders
      kgents path cart-7f n3 --at -10m
    """  # noqa: D301
    asyncio.run(_path(target.load(), start, end, query, output))


async def _path(common: CommonConfig, start: str, end: str, query: Query, output: str) -> None:
    async with connected(common) as bus:
        await require_state(bus)
        views = await read_structure(bus, query)
        if not views:
            await require_any(bus, query)
            return
    refs = [view.ref for view in views]
    first, last = one(start, refs), one(end, refs)
    found = Graph(views).paths(first, last)
    if output != "text":
        say_list([_record(first, path) for path in found], output)
    else:
        for number, path in enumerate(found):
            if number:
                say("")
            for line in lines(first, path):
                say(line)
    if not found:
        raise NotFoundError(
            f"{path_of(first)} and {path_of(last)} are not connected; see `kgents describe {path_of(first)}`"
        )


def lines(start: Ref, path: Sequence[Edge]) -> Iterator[str]:
    """The entities of a path from its start, each with the connection that leads to it."""
    yield clean(path_of(start))
    here = start
    for edge in path:
        there = edge.other(here)
        arrow = f"─ {edge.kind} →" if edge.source == here else f"← {edge.kind} ─"
        yield f"  {clean(f'{arrow} {path_of(there)}')}"
        here = there


def _record(start: Ref, path: Sequence[Edge]) -> bytes:
    return msgspec.json.encode(
        {"from": start, "steps": [{"from": edge.source, "kind": edge.kind, "to": edge.target} for edge in path]}
    )
