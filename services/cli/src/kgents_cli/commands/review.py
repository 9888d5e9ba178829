"""`kgents review`: what changed before an incident, or before a moment → the most suspicious changes first."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from importlib import import_module
from typing import Final

import click
import msgspec

from kgents_cli.alerting.reading import known_incident
from kgents_cli.availability.spans import microseconds
from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.options import Target, duration_option, output_option
from kgents_cli.output import note, say, say_document
from kgents_cli.query import Query, query_options, read
from kgents_cli.records import say_list
from kgents_cli.reviewing.candidates import Candidate, Change, candidates, changes_of
from kgents_cli.table import table
from kgents_cli.versions import Versions, decoded, versions
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import rfc3339
from kgents_shared.contract.codec import TOPOLOGY
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.view.entity import EntityView, Rows, key_of
from kgents_shared.view.find import path_of
from kgents_shared.view.moment import local_time, moment, span
from kgents_shared.view.paths import Graph
from kgents_shared.view.selection import Selection

_HEADING: Final = ("BEFORE", "HOW NEAR", "WHAT CHANGED")
_WINDOW_S: Final = 3_600.0
_SHOWN: Final = 15
_NAMED: Final = 3
_MEANING: Final = (
    "Ranked by what sort of change it was, how near in the graph of connections to what became unwell, and how shortly "
    "before. A hint, not a proof."
)


@click.command("review")
@click.option("--at", "when", required=True, metavar="TIME|INCIDENT", help="RFC 3339, -10m, or the id of an incident.")
@duration_option("--window", "window", "How long before that; an hour unless given.")
@click.option("--all", "with_all", is_flag=True, help=f"All changes instead of the {_SHOWN} first.")
@output_option("table", "json", "yaml", "html")
@query_options(kind=True, at=False)
def command(when: str, window: float | None, with_all: bool, output: str, query: Query, target: Target) -> None:
    """Show what changed before an incident: images, configuration, scaling, restarts, nodes, connections.

    Changes are ranked by three facts: what sort of change it was, how near in the graph of connections to what became
    unwell, and how shortly before. That is a hint, not a proof. The flags that select entities select whose changes are
    shown. Of a moment, what became unwell is what had an alert then. What the streams have
    forgotten is from the archive, where an archiver runs. What is not known is on stderr.

    \b
    Examples:
      kgents review --at 5c0ffee5
      kgents review --at -20m --window 2h -n shop
      kgents review --at 2026-11-28T09:00:00Z -o json | jq -r '.[0].text'
      kgents review --at 5c0ffee5 -o html > review.html
    """  # noqa: D301
    if query.selection.levels:
        raise click.UsageError("expected no --level: this is about changes")
    found, at, remarks = asyncio.run(_review(target, query, when, window or _WINDOW_S))
    shown = found if with_all else found[:_SHOWN]
    for each in remarks:
        note(each)
    if output == "html":
        html = import_module("kgents_cli.html")
        about = f"the {span(window or _WINDOW_S)} before {rfc3339(at.replace(microsecond=0))}"
        changes = html.Table("The most suspicious first", _HEADING, [*map(_row, shown)])
        say_document(html.document("What changed", about, _MEANING, [changes], remarks).encode())
        return
    if output != "table":
        say_list([msgspec.json.encode(each) for each in shown], output)
        return
    if not found:
        note("no change is known in that time")
        return
    for line in table(_HEADING, [*map(_row, shown)]):
        say(line)
    if len(found) > len(shown):
        note(f"and {len(found) - len(shown)} more; all with --all")


async def _review(
    target: Target, query: Query, at: str, window_s: float
) -> tuple[list[Candidate], datetime, list[str]]:
    """The changes, before which moment, and what is to be said beside them."""
    async with connected(target.load()) as bus:
        await require(bus, [STREAMS[each] for each in ("topology", "alert", "incident")])
        when, clusters, unwell = await _asked(bus, query, at)
        since = when - timedelta(seconds=window_s)
        everything = Selection(clusters=clusters)
        then = msgspec.structs.replace(query, selection=everything, at=when)
        state = await read(bus, then, signals=("topology", "alert"))
        views = {each.ref: each for each in state.entities()}
        kept = await versions(bus, "topology", everything.filters("topology"), since)
    unwell = unwell or [ref for ref, each in views.items() if each.firing]
    graph = Graph(views.values())
    changes = [each for each in _changes(kept, graph, since) if _is_selected(each.ref, views, query.selection)]
    return candidates(changes, graph, unwell, microseconds(when)), when, _remarks(kept, when, unwell)


async def _asked(bus: Bus, query: Query, at: str) -> tuple[datetime, tuple[str, ...], list[Ref]]:
    """The moment, the clusters that it is about, and what became unwell then, if an incident says so."""
    try:
        return moment(at, query.asked_at), query.selection.clusters, []
    except ValueError as error:
        if at.startswith("-"):
            raise click.UsageError(f"--at: {error}") from None
    cluster = query.selection.clusters[0] if query.selection.clusters else None
    incident, _ = await known_incident(bus, cluster, at)
    unwell = dict.fromkeys([incident.root.ref, *(each.ref for each in incident.affected)])
    return incident.started_at, (incident.cluster,), list(unwell)


def _changes(kept: Versions, graph: Graph, since: datetime) -> Iterator[Change]:
    """The changes since a moment. What was removed is added to the graph, with the connections that it had."""
    for subject, found in kept.by_subject.items():
        key = key_of(subject)[1]
        for place, each in enumerate(found):
            if each.at < microseconds(since):
                continue
            if each.body is None:
                # The last message of a container whose pod went first names no owner any more: an earlier one does.
                before = [EntityView(key, Rows(topology=earlier.body)) for earlier in found[:place] if earlier.body]
                for view in before:
                    graph.add(view)
                yield Change((before or [EntityView(key, Rows())])[-1].ref, each.at, "removed")
                continue
            for at, message in decoded([each], TOPOLOGY):
                if message is not None:
                    yield from changes_of(at, message, since)


def _is_selected(ref: Ref, views: Mapping[Ref, EntityView], selection: Selection) -> bool:
    if ref.kind in (kinds.SOURCE, kinds.CLUSTER):
        return False
    return selection.takes(views[ref]) if ref in views else selection.takes_ref(ref)


def _remarks(kept: Versions, when: datetime, unwell: Sequence[Ref]) -> list[str]:
    named = ", ".join(map(path_of, unwell[:_NAMED])) + (", …" if len(unwell) > _NAMED else "")
    about = f"what changed before {local_time(when)}; unwell: {named or 'nothing that is known, so ranked by time'}"
    return [*kept.remarks, about]


def _row(each: Candidate) -> tuple[str, ...]:
    return span(each.before_s), each.reasons[-1], each.text
