"""`kgents get`: KGENTS_TOPOLOGY, KGENTS_HEALTH and KGENTS_ALERT → a table for each kind, or the messages."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Final

import click
import msgspec

from kgents_cli.columns import Column, Row, columns_of, health
from kgents_cli.complete import complete_kinds, complete_names
from kgents_cli.connection import connected, require_state
from kgents_cli.kinds import kinds_of
from kgents_cli.options import Target, output_option
from kgents_cli.output import say, say_record, until_reader_leaves
from kgents_cli.query import Query, listed, query_options, read, require_any, require_watchable
from kgents_cli.recorded.mark import note_replayed
from kgents_cli.records import say_views
from kgents_cli.sentence import clean
from kgents_cli.suggestion import did_you_mean
from kgents_cli.table import table
from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import NotFoundError
from kgents_shared.contract.vocabulary.kinds import KINDS
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.entity import EntityView
from kgents_shared.view.find import path_of
from kgents_shared.view.fold import EntityChange
from kgents_shared.view.live import Live
from kgents_shared.view.pulses import last_pulses

_ORDER: Final[dict[str, int]] = {kind: number for number, kind in enumerate(KINDS)}
"""Kinds as they are listed: what holds others first."""
_ELSEWHERE: Final = {"event": "events", "events": "events", "ev": "events", "alert": "alerts", "alerts": "alerts"}
"""What is no entity → the command that lists it."""
_NAME_WIDTH: Final = 48
_STATUS_WIDTH: Final = 16
"""Columns of `--watch`: what is still to come is not known, so the widths are fixed."""


@click.command("get")
@click.argument("kinds", metavar="KIND[,KIND…]", shell_complete=complete_kinds)
@click.argument("names", metavar="[NAME…]", nargs=-1, shell_complete=complete_names)
@click.option("-w", "--watch", is_flag=True, help="Then print every change, until Ctrl-C.")
@output_option("table", "wide", "json", "yaml", "name")
@query_options(kind=False)
def command(kinds: str, names: tuple[str, ...], watch: bool, output: str, query: Query, target: Target) -> None:
    """List entities with their status and health.

    KIND is a kind, its plural or short name (pod, pods, po), several of them, or `all`. NAME may contain * and ?.
    JSON and YAML are the topology messages with `health` (null if not scored) and `alerts` in each. If nothing
    matches, the exit code is 1.

    \b
    Examples:
      kgents get pods -n shop                        what kubectl shows, and the health of each
      kgents get deploy,sts -l app=cart -o wide
      kgents get all --level critical,warning        everything that is not healthy
      kgents get pod 'cart-*' -w                     follow some pods
      kgents get pods --at -10m                      as they were ten minutes ago
      kgents get svc -o json | jq -r '.[].health.level'
    """  # noqa: D301
    kinds, slash, name = kinds.partition("/")
    if slash:  # pod/cart, as `-o name` prints it
        names = (name, *names)
    if (command_ := _ELSEWHERE.get(kinds.lower())) is not None:
        raise click.UsageError(f"expected a kind of entity, found {kinds!r}; try `kgents {command_}`")
    if watch:
        require_watchable(query, output)
    asyncio.run(_get(target.load(), query.narrowed(kinds_of(kinds), names), output, watch=watch))


async def _get(common: CommonConfig, query: Query, output: str, *, watch: bool) -> None:
    async with connected(common, log_level="warning" if watch else "error") as bus:
        await require_state(bus)
        if watch:
            await _watch(bus, query, output)
            return
        views = await find(bus, query)
        note_replayed(views)
        if output in ("table", "wide"):
            await _show_tables(bus, query, views, wide=output == "wide")
        else:
            say_views(views, output)
        if not views:
            await require_any(bus, query)
        _require_each(query, views)


async def find(bus: Bus, query: Query) -> list[EntityView]:
    """The entities that a query takes. A name may be given with its namespace: `shop/cart`."""
    names = query.selection.names
    wider = query.narrowed(query.selection.kinds, () if any("/" in name for name in names) else names)
    views = listed(await read(bus, wider))
    return [view for view in views if not names or any(_is_named(view.ref, name) for name in names)]


def _is_named(ref: Ref, name: str) -> bool:
    return fnmatchcase(ref.name, name) or fnmatchcase(f"{ref.namespace}/{ref.name}", name)


def _require_each(query: Query, views: Sequence[EntityView]) -> None:
    """Raise if one of the names asked for, or a kind that is none of ours, is missing among those found."""
    for kind in query.selection.kinds:
        if kind not in KINDS and kind not in _kinds(views):
            raise NotFoundError(f"no entity is of kind {kind!r}; {did_you_mean(kind, KINDS)}")
    for name in query.selection.names:
        if not any(_is_named(view.ref, name) for view in views):
            kinds = ",".join(query.selection.kinds) or "entity"
            raise NotFoundError(f"no {kinds} is named {name!r}; {did_you_mean(name, (v.ref.name for v in views))}")


async def _show_tables(bus: Bus, query: Query, views: Sequence[EntityView], *, wide: bool) -> None:
    rows = await _rows(bus, query, views, wide=wide)
    has_kind = len(_kinds(views)) > 1
    for number, (kind, of_kind) in enumerate(groupby(sorted(rows, key=_order), key=lambda row: row.view.ref.kind)):
        if number:
            say("")
        for line in _lines(list(of_kind), columns_of(kind, wide=wide), query, is_wide=wide, has_kind=has_kind):
            say(line)


def _lines(
    rows: Sequence[Row], columns: Sequence[Column], query: Query, *, is_wide: bool, has_kind: bool
) -> Iterable[str]:
    """The table of the entities of one kind. Cluster and namespace are columns only where they differ."""
    has_cluster = len({row.view.ref.cluster for row in rows}) > 1
    has_namespace = len(query.selection.namespaces) != 1 and any(row.view.ref.namespace for row in rows)
    heading = [
        *(["CLUSTER"] if has_cluster else []),
        *(["NAMESPACE"] if has_namespace else []),
        "NAME",
        *(column.heading for column in columns),
        "HEALTH",
        "WHY",
    ]
    cells = [
        [
            *([row.view.ref.cluster] if has_cluster else []),
            *([row.view.ref.namespace] if has_namespace else []),
            f"{row.view.ref.kind}/{row.view.ref.name}" if has_kind else row.view.ref.name,
            *(column.read(row) for column in columns),
            health(row),
            row.view.why,
        ]
        for row in rows
    ]
    return table(heading, cells, cut=not is_wide)


async def _rows(bus: Bus, query: Query, views: Sequence[EntityView], *, wide: bool) -> list[Row]:
    """The entities with what their columns need besides them: pods their containers, others their last pulse."""
    containers: dict[Ref, list[EntityView]] = {}
    if "pod" in _kinds(views):
        wider = Query(
            msgspec.structs.replace(query.selection, kinds=("container",), names=(), labels=(), levels=()),
            query.asked_at,
            query.at,
        )
        for view in (await read(bus, wider, signals=("topology",))).entities():
            if view.owner is not None:
                containers.setdefault(view.owner, []).append(view)
    measured = [kind for kind in _kinds(views) if any(each.needs_pulse for each in columns_of(kind, wide=wide))]
    pulses = await last_pulses(bus, query.narrowed(measured).selection) if measured and query.at is None else {}
    return [Row(view, query.time, pulses.get(view.ref), tuple(containers.get(view.ref, ()))) for view in views]


def _kinds(views: Iterable[EntityView]) -> set[str]:
    return {view.ref.kind for view in views}


def _order(row: Row) -> tuple[int, Ref]:
    return _ORDER.get(row.view.ref.kind, len(_ORDER)), row.view.ref


async def _watch(bus: Bus, query: Query, output: str) -> None:
    """Print what is there, then every change. Never returns."""
    live = Live(bus, query.selection)
    show = _Watching(query, output)
    async with until_reader_leaves(), aclosing(live.updates()) as updates:
        async for update in updates:
            for change in update.changes:
                show.take(change)


class _Watching:
    """Prints a line for each change; a table has one heading for all kinds, since its rows come in any order."""

    def __init__(self, query: Query, output: str) -> None:
        self._query = query
        self._output = output
        self._has_heading = False

    def take(self, change: EntityChange) -> None:
        """Print one change."""
        if self._output == "json":
            say_record(change.after.record() if change.after is not None else _removal(change))
        elif self._output == "name":
            if (view := change.after or change.before) is not None:
                say(path_of(view.ref))
        else:
            self._line(change)

    def _line(self, change: EntityChange) -> None:
        view = change.after or change.before
        if view is None:
            return
        is_there = change.after is not None
        cells = [
            clean(path_of(view.ref)).ljust(_NAME_WIDTH),
            ((view.reason or view.status) if is_there else "removed").ljust(_STATUS_WIDTH),
            health(Row(view, self._query.asked_at)) if is_there else "",
            clean(view.why) if is_there else "",
        ]
        if not self._has_heading:
            self._has_heading = True
            say(f"{'NAME'.ljust(_NAME_WIDTH)}  {'STATUS'.ljust(_STATUS_WIDTH)}  HEALTH  WHY")
        say("  ".join(cells).rstrip())


def _removal(change: EntityChange) -> bytes:
    """The message of a removal; the server's own note that one expired has none, and gets one."""
    if change.removal is not None:
        return change.removal
    ref = change.before.ref if change.before is not None else None
    return msgspec.json.encode({"op": "remove", "ref": ref, "subject": change.subject})
