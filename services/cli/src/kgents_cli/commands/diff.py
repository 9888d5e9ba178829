"""`kgents diff`: the state at two times → what was added, removed and changed."""

import asyncio
import sys
from collections.abc import Iterable, Iterator
from typing import Final

import click
import msgspec

from kgents_cli.connection import connected, require_state
from kgents_cli.options import Target, output_option
from kgents_cli.output import note, painted, say
from kgents_cli.query import Query, past_time, query_options, read_known
from kgents_cli.records import say_list
from kgents_cli.sentence import clean
from kgents_cli.units import plain
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.difference import EntityDifference, differences
from kgents_shared.view.find import path_of

_MARKS: Final = {
    "added": ("+", "healthy"),
    "removed": ("-", "critical"),
    "changed": ("~", "warning"),
    "unknown": ("?", "unknown"),
}


@click.command("diff", context_settings={"ignore_unknown_options": True})
@click.argument("before", metavar="TIME")
@click.argument("after", metavar="[TIME]", default="now")
@output_option("text", "json", "yaml")
@query_options(at=False)
def command(before: str, after: str, output: str, query: Query, target: Target) -> None:
    """Compare entities, connections, health and alerts at two times.

    TIME is RFC 3339, how long ago (-10m), or `now`, which the second one is unless given. What the
    streams no longer hold is from the archive, where an archiver runs; what neither knows is named on stderr. An
    entity whose state at one of the times is not known is marked with a question mark.

    \b
    Examples:
      kgents diff -10m                                   since ten minutes ago
      kgents diff -2h -1h -n shop
      kgents diff 2026-11-28T09:00:00Z --kind pod,deploy
    """  # noqa: D301
    asyncio.run(_diff(target.load(), _at(query, before), _at(query, after), output))


def _at(query: Query, text: str) -> Query:
    return msgspec.structs.replace(query, at=None if text == "now" else past_time(text, query.asked_at, "TIME"))


async def _diff(common: CommonConfig, before: Query, after: Query, output: str) -> None:
    async with connected(common) as bus:
        await require_state(bus)
        old, unknown = await read_known(bus, before)
        new, also_unknown = await read_known(bus, after)
    found = differences(old.entities(), new.entities(), (*unknown, *also_unknown))
    if output != "text":
        say_list([_record(each) for each in found], output)
        return
    if not found:
        note("no difference")
    for line in lines(found):
        say(line)


def lines(found: Iterable[EntityDifference]) -> Iterator[str]:
    """A line for each entity, and beneath one that changed a line for each field."""
    for each in found:
        mark, level = _MARKS[each.op]
        view = each.after or each.before
        status = f"  {view.condition}" if view is not None and each.op != "changed" else ""
        status += ", at the other time not known" if not each.is_known else ""
        yield painted(f"{mark} {clean(path_of(each.ref) + status)}", level, sys.stdout)
        yield from (f"    {clean(f'{field.field}: {plain(field.old)} → {plain(field.new)}')}" for field in each.fields)


def _record(each: EntityDifference) -> bytes:
    return msgspec.json.encode({"op": each.op, "ref": each.ref, "fields": each.fields})
