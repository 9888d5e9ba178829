"""`kgents events`: KGENTS_EVENT → events since a time, newest last, then those that come."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from typing import Final

import click
import msgspec

from kgents_cli.complete import complete_paths
from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.options import Target, output_option
from kgents_cli.output import note, say_line, say_record, until_reader_leaves
from kgents_cli.query import Query, find_one, note_archived, query_options, require_watchable, spelled
from kgents_cli.recorded.mark import note_replayed_at
from kgents_cli.records import say_list
from kgents_cli.sentence import line_of, record_of
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Batch
from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract.codec import EVENT
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import MalformedMessageError
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.events import older_events
from kgents_shared.view.feed import is_selected, selected_log, start_of
from kgents_shared.view.live import snapshot
from kgents_shared.view.moment import duration_s
from kgents_shared.view.selection import Selection

LATEST: Final = 20
"""Events by whose entities it is found whether they are replayed."""


@click.command("events")
@click.argument("entity", metavar="[ENTITY]", nargs=-1, shell_complete=complete_paths)
@click.option("--since", metavar="DURATION", default="1h", show_default=True, help="How far back, such as 10m or 2h.")
@click.option("-w", "--watch", is_flag=True, help="Then print every new event, until Ctrl-C.")
@output_option("text", "json", "yaml")
@query_options(at=False)
def command(entity: tuple[str, ...], since: str, watch: bool, output: str, query: Query, target: Target) -> None:
    """List events of all entities or of one, newest last.

    JSON is one list; with --watch it is one event a line. The stream keeps events for seven days; where an archiver
    runs, older ones are from the archive.

    \b
    Examples:
      kgents events
      kgents events pod cart-7f --since 2d
      kgents events -n shop --kind pod -w
      kgents events -o json | jq -r '.[] | select(.severity != "info") | .text'
    """  # noqa: D301
    if watch:
        require_watchable(query, output)
    try:
        start = query.asked_at - timedelta(seconds=duration_s(since))
    except ValueError as error:
        raise click.UsageError(f"--since: {error}") from None
    asyncio.run(_events(target.load(), spelled(entity), query, start, output, watch=watch))


async def _events(
    common: CommonConfig, entity: str, query: Query, since: datetime, output: str, *, watch: bool
) -> None:
    async with connected(common, log_level="warning" if watch else "error") as bus:
        await require(bus, list(STREAMS.values()))
        selection = query.selection
        if entity:
            view = await find_one(bus, query, entity)
            if view is None:
                return
            selection = _only(view.ref)
        if watch:
            for each in await _older(bus, selection, since):
                say_record(record_of(each)) if output == "json" else say_line(line_of(each))
            async with until_reader_leaves(), aclosing(_batches(bus, selection, query, since)) as batches:
                async for batch in batches:
                    for each in batch.deliveries:
                        say_record(record_of(each)) if output == "json" else say_line(line_of(each))
        found = [*await _older(bus, selection, since), *await _stored(bus, selection, query, since)]
        await note_replayed_at(bus, _latest_of(found))
    if output != "text":
        say_list([each.payload for each in found], output)
        return
    for each in found:
        say_line(line_of(each))
    if not found:
        note("no event since then; a longer time is `kgents events --since 7d`")


def _only(ref: Ref) -> Selection:
    return Selection(clusters=(ref.cluster,), kinds=(ref.kind,), namespaces=(ref.namespace,), names=(ref.name,))


def _latest_of(found: Sequence[Delivery]) -> Iterator[Ref]:
    """What the last of these events are of."""
    for each in reversed(found[-LATEST:]):
        with suppress(MalformedMessageError):
            yield EVENT.decode(each.payload, subject=each.subject).ref


async def _older(bus: Bus, selection: Selection, since: datetime) -> list[Delivery]:
    """The events that the stream no longer holds, from the archive; what it does not know is noted."""
    found = await older_events(bus, selection.filters("event"), since)
    note_archived(["event"] if found.deliveries else [])
    for remark in found.remarks:
        note(remark)
    if found.next:
        note(f"there are older events than these {len(found.deliveries):,}; a shorter time shows fewer, and whole")
    joined = msgspec.structs.replace(selection, sources=())  # an event's subject names its source
    test = selection.subject_test("event")
    fold = await snapshot(bus, joined, signals=joined.signals) if found.deliveries and joined.signals else None
    wanted = [each for each in reversed(found.deliveries) if test(each.subject)]
    return wanted if fold is None else [each for each in wanted if is_selected(fold, joined, each.subject)]


async def _stored(bus: Bus, selection: Selection, query: Query, since: datetime) -> list[Delivery]:
    """The events that the stream holds."""
    found: list[Delivery] = []
    async with aclosing(_batches(bus, selection, query, since)) as batches:
        async for batch in batches:
            found += batch.deliveries
            if batch.caught_up:
                break
    return found


async def _batches(bus: Bus, selection: Selection, query: Query, since: datetime) -> AsyncGenerator[Batch, None]:
    """The events that the stream holds, and all that follow."""
    session = await bus.session()
    start = await start_of(session, "event", selection.filters("event"), since=since)
    async with aclosing(selected_log(bus, selection, "event", start=start)) as batches:
        async for batch in batches:
            yield batch
