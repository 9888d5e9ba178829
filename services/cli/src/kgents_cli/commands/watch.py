"""`kgents watch`: a filter → the messages of every stream it spans, one line each."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import datetime, timedelta

import click

from kgents_cli import selection
from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.options import Target, output_option, target_options
from kgents_cli.output import note, say_line, say_record, until_reader_leaves
from kgents_cli.sentence import Line, is_departure_again, line_of, record_of
from kgents_cli.silence import WRITER, Silences
from kgents_shared.bus.consume import Batch
from kgents_shared.contract import subjects
from kgents_shared.contract.subjects import is_hashed, unescape
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.feed import feed
from kgents_shared.view.liveness import Liveness
from kgents_shared.view.merge import merged
from kgents_shared.view.moment import duration_s


@click.command("watch")
@click.argument("subject", default="kgents.topology.>", metavar="[SUBJECT]")
@click.option("--since", metavar="DURATION", help="Start with everything stored since then, such as 10m or 2h.")
@output_option("text", "json")
@target_options
def command(subject: str, since: str | None, output: str, target: Target) -> None:
    """Print messages as they are published, until Ctrl-C.

    SUBJECT is any NATS filter below `kgents.`. Of a state stream (entity, topology, health, alert, meta) the present
    state comes first; of a log (pulse, event) only what is new. With -o json each line is one message as it is stored.
    When topology-builder or health-scorer falls silent, or is back, that is a line, too; with -o json on stderr.

    \b
    Examples:
      kgents watch                                   the topology
      kgents watch 'kgents.alert.>' -o json          alerts, for another program
      kgents watch 'kgents.event.prod.>' --since 2h  what happened in the last two hours
    """  # noqa: D301
    selected = _selection(subject, target.cluster)
    now = SystemClock().now()
    asyncio.run(_watch(target.load(), selected, _since(since, now), as_json=output == "json"))


def _selection(filter_: str, cluster: str | None) -> dict[str, str]:
    """Signal → filter, narrowed to one cluster if one is named."""
    try:
        found = selection.signals(filter_)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if cluster is None:
        return found
    return {signal: _in_cluster(part, cluster) for signal, part in found.items()}


def _in_cluster(filter_: str, cluster: str) -> str:
    root, signal, asked, *rest = filter_.split(".")
    token = subjects.escape(cluster)
    if asked not in ("*", token):
        raise click.UsageError(f"expected --cluster {cluster} to fit the subject, found {filter_!r}; leave one out")
    return ".".join((root, signal, token, *rest))


def _since(text: str | None, now: datetime) -> datetime | None:
    try:
        return now - timedelta(seconds=duration_s(text)) if text is not None else None
    except ValueError as error:
        raise click.UsageError(f"--since: {error}") from None


async def _watch(common: CommonConfig, selected: dict[str, str], since: datetime | None, *, as_json: bool) -> None:
    filters = {signal: [filter_] for signal, filter_ in selected.items()}
    writers = dict.fromkeys(WRITER[signal] for signal in selected if signal in WRITER)
    async with connected(common, log_level="warning") as bus:
        await require(bus, [STREAMS[signal] for signal in selected])
        liveness = Liveness(bus, [*writers], cluster_tokens=sorted({each.split(".")[2] for each in selected.values()}))
        sources: dict[str, AsyncGenerator[tuple[str, Batch] | None, None]] = {}
        sources["messages"] = feed(bus, filters, since=since)
        if writers:
            sources["writers"] = liveness.ticks()
        async with until_reader_leaves(), aclosing(merged(sources)) as news:
            await _print(news, liveness, has_topology="topology" in selected, as_json=as_json)


async def _print(
    news: AsyncIterator[tuple[str, tuple[str, Batch] | None]], liveness: Liveness, *, has_topology: bool, as_json: bool
) -> None:
    silences = Silences()
    clusters: set[str] = set()  # as in subjects
    async for _, found in news:
        if found is None:
            shown = [unescape(each) for each in clusters if not is_hashed(each)]
            for level, text in silences.changes(liveness.silent({*shown, *liveness.clusters})):
                if as_json:
                    note(text)
                else:
                    say_line(Line(SystemClock().now(), level, text))
            continue
        for each in found[1].deliveries:
            clusters.add(each.subject.split(".")[2])
            if as_json:
                say_record(record_of(each))
            elif not (has_topology and is_departure_again(each.subject, each.payload)):
                say_line(line_of(each))
