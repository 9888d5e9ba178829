"""`kgents describe`: every stream → everything known about one entity."""

import asyncio
from collections.abc import Sequence

import click
import msgspec

from kgents_cli.complete import complete_kinds, complete_names
from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.detail import Detail, detail_lines, link_of
from kgents_cli.options import Target, output_option
from kgents_cli.output import say
from kgents_cli.query import Query, listed, query_options, read, read_structure, require_any, spelled
from kgents_cli.records import say_object, version_record
from kgents_cli.sentence import line, line_of
from kgents_shared.bus.client import Bus
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import ALL
from kgents_shared.bus.pull import replay
from kgents_shared.contract import subjects
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import NotFoundError
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.vocabulary.kinds import KINDS
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.entity import EntityView
from kgents_shared.view.find import one, path_of
from kgents_shared.view.past import Version, history
from kgents_shared.view.paths import Graph
from kgents_shared.view.pulses import last_pulses
from kgents_shared.view.selection import kind_named

EVENTS_MAX = 20
HISTORY_MAX = 50
"""The newest events; all of them are shown by `kgents events`."""


@click.command("describe")
@click.argument("kinds", metavar="KIND[/NAME]", shell_complete=complete_kinds)
@click.argument("name", metavar="[NAME]", default="", shell_complete=complete_names)
@output_option("text", "json", "yaml")
@query_options(kind=False)
def command(kinds: str, name: str, output: str, query: Query, target: Target) -> None:
    """Show everything known about one entity.

    That is its status, its health with reasons and evidence, its alerts, the figures of its last pulse, its
    connections both ways, its events, and how it changed. A name may be a part that only one entity has.

    \b
    Examples:
      kgents describe pod cart-7f
      kgents describe pod/shop/cart-7f
      kgents describe node n3 --at -1h
      kgents describe db orders -o json | jq .pulse
    """  # noqa: D301
    text = spelled((kinds, name) if name else (kinds,))
    asyncio.run(_describe(target.load(), text, query, output))


async def _describe(common: CommonConfig, text: str, query: Query, output: str) -> None:
    async with connected(common) as bus:
        await require(bus, list(STREAMS.values()))
        views = await read_structure(bus, query)
        if not views:
            await require_any(bus, query)
            return
        ref = _one(text, [view.ref for view in views])
        named = _named(query, ref)
        view = next(iter(listed(await read(bus, named))), None)
        if view is None:
            raise NotFoundError(f"{path_of(ref)} was removed while it was read")
        graph = Graph(each for each in views if _has_connection(each, ref))
        events = await _events(bus, ref)
        past = (await history(bus, ref, limit=HISTORY_MAX)).versions
        found = Detail(
            view,
            query.time,
            await _pulse(bus, named, ref) if query.at is None else None,
            [link_of(edge, ref) for edge in graph.edges(ref)],
            [line_of(each) for each in events[-EVENTS_MAX:]],
            [line(each.at, each.subject, each.payload) for each in past],
        )
    if output != "text":
        say_object(_record(found, events, past), output)
        return
    for each in detail_lines(found):
        say(each)


def _one(text: str, refs: Sequence[Ref]) -> Ref:
    """The one entity that a text means; the name of a kind alone leads to the list of its entities."""
    try:
        return one(text, refs)
    except NotFoundError:
        if kind_named(text) not in KINDS:
            raise
        raise NotFoundError(f"expected a name, found the kind {text!r} alone; `kgents get {text}` lists them") from None


def _named(query: Query, ref: Ref) -> Query:
    """The query narrowed to one entity."""
    selection = msgspec.structs.replace(
        query.selection,
        clusters=(ref.cluster,),
        kinds=(ref.kind,),
        namespaces=(ref.namespace,),
        names=(ref.name,),
    )
    return msgspec.structs.replace(query, selection=selection)


def _has_connection(view: EntityView, ref: Ref) -> bool:
    """Whether an entity carries a connection of this one: it is the same, or one of its peers is."""
    connections = view.topology.connections if view.topology is not None else ()
    return view.ref == ref or any(each.peer == ref for each in connections)


async def _pulse(bus: Bus, named: Query, ref: Ref) -> Pulse | None:
    return (await last_pulses(bus, named.selection)).get(ref)


async def _events(bus: Bus, ref: Ref) -> list[Delivery]:
    """Every event of an entity that the stream holds, oldest first."""
    filter_ = subjects.pattern("event", cluster=ref.cluster, kind=ref.kind, namespace=ref.namespace, name=ref.name)
    found: list[Delivery] = []
    async for batch in replay(await bus.session(), NAME_BY_SIGNAL["event"], [filter_], ALL):
        found += batch
    return found


def _record(found: Detail, events: Sequence[Delivery], past: Sequence[Version]) -> bytes:
    """One object: `entity` as `kgents get -o json` has it, `pulse`, `connections` both ways, `events`, `history`."""
    return msgspec.json.encode(
        {
            "entity": msgspec.Raw(found.view.record()),
            "pulse": found.pulse,
            "connections": found.links,
            "events": [msgspec.Raw(each.payload) for each in events],
            "history": [msgspec.Raw(version_record(each)) for each in past],
        }
    )
