"""`kgents history`: all kept versions of one entity's topology, health and alerts → a line each, oldest first."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

import click
import msgspec

from kgents_cli.complete import complete_kinds, complete_names
from kgents_cli.connection import connected, require_state
from kgents_cli.options import Target, output_option
from kgents_cli.output import note, say, say_line
from kgents_cli.query import Query, find_one, note_archived, past_time, query_options, spelled
from kgents_cli.records import say_list, version_record
from kgents_cli.sentence import clean, line
from kgents_cli.table import table
from kgents_shared.contract.archive import Rolled
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.figures import kept_figures
from kgents_shared.view.moment import local_time
from kgents_shared.view.past import VERSIONS_MAX, history

DAY: Final = timedelta(days=1)
_HEADING: Final = ("TIME", "FIGURE", "MIN", "MEAN", "MAX", "LAST", "GREW")


@click.command("history")
@click.argument("kinds", metavar="KIND[/NAME]", shell_complete=complete_kinds)
@click.argument("name", metavar="[NAME]", default="", shell_complete=complete_names)
@click.option("--since", metavar="TIME", help="Only since then: RFC 3339, or how long ago (-2d).")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, 100_000),
    default=VERSIONS_MAX,
    show_default=True,
    help="At most the newest N.",
)
@click.option("--metrics", is_flag=True, help="Show its figures instead: by minutes for a day, by hours for longer.")
@output_option("text", "json", "yaml")
@query_options(kind=False, at=False)
def command(
    kinds: str, name: str, since: str | None, limit: int, metrics: bool, output: str, query: Query, target: Target
) -> None:
    """Show how one entity, its health and its alerts changed, oldest first.

    The streams keep the last 16 messages of each; where an archiver runs, older ones are from the archive. What neither
    knows is named on stderr. Events are in `kgents events`.

    \b
    Examples:
      kgents history pod cart-7f
      kgents history pod cart-7f --since -2d
      kgents history pod cart-7f --metrics --since -7d -o json
      kgents history pod/shop/cart-7f -o json | jq -r '.[].message.text'
    """  # noqa: D301
    start = past_time(since, query.asked_at, "--since")
    text = spelled((kinds, name) if name else (kinds,))
    if metrics:
        asyncio.run(_metrics(target.load(), text, query, start or query.asked_at - DAY, output))
    else:
        asyncio.run(_history(target.load(), text, query, start, limit, output))


async def _metrics(common: CommonConfig, text: str, query: Query, since: datetime, output: str) -> None:
    async with connected(common) as bus:
        await require_state(bus)
        view = await find_one(bus, query, text)
        if view is None:
            return
        found = await kept_figures(bus, view.ref, since)
    for remark in found.remarks:
        note(remark)
    if output != "text":
        say_list([msgspec.json.encode(each) for each in found.figures], output)
        return
    for row in table(_HEADING, map(_row, found.figures)) if found.figures else ():
        say(row)


def _row(each: Rolled) -> tuple[str, ...]:
    numbers = (each.min, each.mean, each.max, each.last, each.increase)
    return local_time(each.at), clean(each.figure), *map(_number, numbers)


def _number(value: float | None) -> str:
    """Empty: not known, or none."""
    return "" if value is None else f"{value:g}"


async def _history(
    common: CommonConfig, text: str, query: Query, since: datetime | None, limit: int, output: str
) -> None:
    async with connected(common) as bus:
        await require_state(bus)
        view = await find_one(bus, query, text)
        if view is None:
            return
        found = await history(bus, view.ref, since=since, limit=limit)
    note_archived(each.signal for each in found.versions if each.is_archived)
    for remark in found.remarks:
        note(remark)
    versions = found.versions
    if output != "text":
        say_list([version_record(each) for each in versions], output)
        return
    for each in versions:
        say_line(line(each.at, each.subject, each.payload))
