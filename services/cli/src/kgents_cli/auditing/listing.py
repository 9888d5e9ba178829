"""`kgents audit ls`: who wrote what, and how that ended."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import click

from kgents_archiver.store.database import ArchiveError, Database
from kgents_archiver.store.trail import links
from kgents_cli.archiving import settings
from kgents_cli.auditing.trail import Entry, Stored, Wanted, entries, records_of, stored
from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.options import Target, duration_option, output_option, target_options
from kgents_cli.output import note, say
from kgents_cli.records import say_list
from kgents_cli.sentence import clean
from kgents_cli.table import Cell, table
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.view.moment import local_time

_HEADING = ("TIME", "WHO", "VIA", "FROM", "ACTION", "TARGET", "OUTCOME")
_LEVELS = {"done": "", "failed": "warning", None: "unknown"}


@click.command("ls")
@duration_option("--since", "since_s", "How far back, such as 12h or 30d.  [default: 7d]")
@click.option("--who", default="*", metavar="NAME", help="Only what they wrote; `*` stands for any characters.")
@click.option("--action", default="*", metavar="NAME", help="Only this action, such as silence or `edge-*`.")
@click.option("--target", "of", default="*", metavar="TEXT", help="Only of this target, such as `incident 5c0f*`.")
@output_option("table", "json", "yaml")
@target_options
def ls(since_s: float | None, who: str, action: str, of: str, output: str, target: Target) -> None:
    """List who wrote what, when and from where, and how it ended; the oldest first.

    Each write is recorded before it is done, and its outcome after it. Where the outcome is not known, the writer ended
    in between, and may have done it or not. JSON has also what was there before, and after.

    \b
    Examples:
      kgents audit ls
      kgents audit ls --since 30d --who ada --action 'edge-*'
      kgents audit ls --target 'incident 5c0ffee5*' -o json
    """  # noqa: D301
    since = SystemClock().now() - timedelta(seconds=7 * 86_400 if since_s is None else since_s)
    found = asyncio.run(_read(target, Wanted(since, who, action, of, target.cluster)))
    if output != "table":
        say_list(list(records_of(found)), output)
    elif found:
        for line in table(_HEADING, [_row(each) for each in found]):
            say(line)
    else:
        note("no write since then; a longer time is `kgents audit ls --since 90d`")


async def _read(target: Target, wanted: Wanted) -> list[Entry]:
    async with connected(target.load()) as bus:
        await require(bus, [STREAMS["audit"]])
        found = await stored(bus, wanted.since, wanted.cluster)
        info = await stream_info(await bus.session(), STREAMS["audit"].name)
    if not info.state.messages or info.state.first_ts > wanted.since:
        found = [*await _archived(target, wanted), *found]
    return [each for each in entries(found) if wanted.is_met(each)]


async def _archived(target: Target, wanted: Wanted) -> list[Stored]:
    """What the archive has; empty if there is none. What the stream holds, too, is the same write once more."""
    config = settings(target)
    if not config.is_configured:
        return []
    database = Database(config, name="kgents audit ls")
    try:
        found = [each.stored async for each in links(database, since=wanted.since)]
    except ArchiveError as error:
        note(f"archive: {error}")
        return []
    finally:
        await database.close()
    return [Stored(each.subject, each.at, each.body, each.seq) for each in found]


def _row(each: Entry) -> Sequence[str]:
    record, outcome = each.write.record, each.write.outcome
    shown = Cell(outcome or "not known", _LEVELS.get(outcome, ""))
    said = (record.by, record.via, record.origin, record.action, record.target)
    return (local_time(each.at), *(clean(text) for text in said), shown)
