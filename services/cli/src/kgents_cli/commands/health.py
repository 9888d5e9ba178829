"""`kgents health`: KGENTS_HEALTH, now or at some time → unhealthy entities, or why one entity is as it is."""

import asyncio
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import click

from kgents_cli.complete import complete_paths
from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.detail import facts
from kgents_cli.options import Target, output_option
from kgents_cli.output import note, painted, say
from kgents_cli.query import Query, query_options, read, require_any, spelled
from kgents_cli.recorded.mark import note_replayed
from kgents_cli.records import say_list, say_object
from kgents_cli.sentence import clean
from kgents_shared.contract.health import LEVELS, Health
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.find import one
from kgents_shared.view.moment import span

_BADNESS: Final = {"critical": 0, "warning": 1, "unknown": 2}
"""Level → its place in the list; a level that is new to us comes behind them."""


@click.command("health")
@click.argument("entity", metavar="[ENTITY]", nargs=-1, shell_complete=complete_paths)
@output_option("text", "json", "yaml")
@query_options()
def command(entity: tuple[str, ...], output: str, query: Query, target: Target) -> None:
    """Show unhealthy entities, the worst first, or every reason for the health of one entity.

    ENTITY is kind/namespace/name, kind/name, or a part of a name that only one entity has.

    \b
    Examples:
      kgents health                     what is not healthy, and why
      kgents health --kind pod -n shop
      kgents health pod/shop/cart-7f    one entity: every reason with its value and threshold
      kgents health cart --at -10m -o json
    """  # noqa: D301
    asyncio.run(_health(target.load(), spelled(entity), query, output))


async def _health(common: CommonConfig, entity: str, query: Query, output: str) -> None:
    signals = dict.fromkeys(("health", *query.selection.signals))
    async with connected(common) as bus:
        await require(bus, [STREAMS[signal] for signal in signals])
        fold = await read(bus, query, signals=signals)
        views = sorted(fold.entities(), key=lambda each: each.ref)
        note_replayed(views)
        if entity:
            ref = one(entity, (each.ref for each in views))
            view = next(each for each in views if each.ref == ref)
            if output != "text":
                say_object(view.rows.health or b"null", output)
            elif view.health is not None:
                _say(explained(view.health, query.time))
            return
        if output != "text":
            say_list([each.rows.health for each in views if each.rows.health is not None], output)
        else:
            _say(summary([each.health for each in views if each.health is not None], query.time))
        if not views and str(query.selection):
            await require_any(bus, query)
        if not views:
            note("no health is published yet; see which services run with `kgents doctor`")


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        say(line)


def summary(health: Iterable[Health], now: datetime) -> Iterator[str]:
    """The clusters, and every entity that is not healthy, the worst first."""
    everything = sorted(health, key=lambda each: each.ref)
    for each in everything:
        if each.aggregate is not None:
            yield from _cluster(each)
    entities = [each for each in everything if each.aggregate is None]
    unhealthy = [each for each in entities if each.level != "healthy"]
    if entities and not unhealthy:
        yield f"{len(entities)}/{len(entities)} entities are healthy"
    for each in sorted(unhealthy, key=lambda each: (_BADNESS.get(each.level, len(_BADNESS)), each.score)):
        yield ""
        yield _headline(each, now)
        yield from (f"    {reason.check}  {clean(reason.text)}" for reason in each.reasons)


def explained(health: Health, now: datetime) -> Iterator[str]:
    """One entity: its level and every reason for it."""
    yield _headline(health, now)
    yield f"  {clean(health.text)}"
    if health.aggregate is not None:
        yield from _cluster(health)
        return
    yield f"  {health.evaluated}/{health.applicable} checks have the data they need"
    for reason in health.reasons:
        yield ""
        yield f"  {reason.check}  {clean(reason.text)}"
        yield from (f"    {name:<10} {clean(value)}" for name, value in facts(reason))


def _cluster(health: Health) -> Iterator[str]:
    aggregate = health.aggregate
    if aggregate is None:
        return
    counts = ", ".join(f"{count} {level}" for level in LEVELS if (count := aggregate.status_breakdown.get(level)))
    mean = f", mean score {aggregate.overall:.2f}" if aggregate.overall is not None else ""
    status = painted(aggregate.status, health.level, sys.stdout)
    yield f"cluster {clean(health.ref.cluster)}: {status} ({counts or 'no entities'}{mean})"
    for kind, each in sorted(aggregate.by_kind.items()):
        worst = f"  worst {each.worst:.2f}" if each.worst is not None else ""
        levels = (("critical", each.critical), ("warning", each.warning), ("unknown", each.unknown))
        unhealthy = ", ".join(f"{count} {level}" for level, count in levels if count)
        yield f"  {clean(kind):<16} {each.count:>6}  {unhealthy or 'all healthy'}{worst if unhealthy else ''}"


def _headline(health: Health, now: datetime) -> str:
    score = "" if health.level == "unknown" else f" {health.score:.2f}"
    for_ = f"  for {span((now - health.since).total_seconds())}" if health.since is not None else ""
    level = painted(f"{health.level}{score}", health.level, sys.stdout)
    return f"{level}  {clean(str(health.ref))}{for_}"
