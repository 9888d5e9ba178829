"""`kgents top`: the last pulse of each entity → a table of figures, the largest first."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

import click
import msgspec

from kgents_cli.complete import complete_kinds
from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.kinds import kinds_of
from kgents_cli.options import Target, output_option
from kgents_cli.output import note, say
from kgents_cli.query import Query, listed, query_options, read, require_any
from kgents_cli.recorded.mark import note_replayed
from kgents_cli.records import say_list
from kgents_cli.suggestion import did_you_mean
from kgents_cli.table import table
from kgents_cli.units import NOT_KNOWN, figure
from kgents_shared.bus.client import Bus
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import NotFoundError
from kgents_shared.contract.figures import RESOURCES, figures
from kgents_shared.contract.pulse import Pulse
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures import coherency, database, docker, nats, redis, resource
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.find import path_of
from kgents_shared.view.pulses import last_pulses

COST: Final = "cost_per_hour"
"""Not a figure of a pulse: the cost, where prices are given."""
_SHORT: Final = {
    "cpu": resource.CPU_PERCENT,
    "memory": resource.MEMORY_BYTES,
    "rx": resource.NETWORK_RX_BYTES,
    "tx": resource.NETWORK_TX_BYTES,
    "cost": COST,
}
"""What may be written for a figure that every kind has."""
_HEADINGS: Final[Mapping[str, str]] = {
    resource.CPU_PERCENT: "CPU",
    resource.MEMORY_BYTES: "MEMORY",
    resource.MEMORY_LIMIT_BYTES: "LIMIT",
    resource.NETWORK_RX_BYTES: "RX",
    resource.NETWORK_TX_BYTES: "TX",
}
_OF_KIND: Final[Mapping[str, Sequence[str]]] = {
    kinds.DATABASE: (
        f"pool.{database.POOL_ACTIVE}",
        f"pool.{database.POOL_MAX}",
        f"memory.{database.MEMORY_USED_MB}",
        f"performance.{database.QPS}",
        f"performance.{redis.OPS_PER_SECOND}",
    ),
    kinds.COMPARISON: (
        coherency.COHERENCY_RATE,
        coherency.COHERENCY_RATE_LOW,
        coherency.MISSING,
        coherency.STALE,
        coherency.GHOST_RATE,
    ),
    kinds.HOST: (docker.CONTAINERS_RUNNING, docker.CONTAINERS_CPU_PERCENT),
    kinds.NATS_SERVER: (nats.CONNECTIONS, nats.IN_MSGS_PER_SEC, nats.OUT_MSGS_PER_SEC),
    kinds.NATS_STREAM: (nats.MESSAGES, nats.BYTES, nats.MESSAGES_PER_SEC),
    kinds.NATS_CONSUMER: (nats.PENDING_MESSAGES, nats.ACK_PENDING, nats.REDELIVERED, nats.DELIVERED_PER_SEC),
    kinds.NATS_CLIENT: (nats.CONNECTIONS, nats.IN_MSGS_PER_SEC, nats.OUT_MSGS_PER_SEC, nats.SUBSCRIPTIONS),
}
"""Kind → the figures worth a column beside CPU, memory and network."""


@click.command("top")
@click.argument("kinds", metavar="[KIND[,KIND…]]", default="all", shell_complete=complete_kinds)
@click.option("--sort", "sort", metavar="FIGURE", help="Largest first by cpu, memory, rx, tx, or any other figure.")
@click.option("--figures", "wanted", metavar="A,B", help="These figures instead of the usual ones.")
@click.option("--prices", type=click.Path(path_type=Path), metavar="FILE", help="Also the cost, see `kgents cost`.")
@output_option("table", "wide", "json", "yaml")
@query_options(kind=False, at=False)
def command(
    kinds: str, sort: str | None, wanted: str | None, prices: Path | None, output: str, query: Query, target: Target
) -> None:
    """Show CPU, memory, network and other figures, the largest first.

    The figures are those of the last pulse; `-` is not known. A column without any value is left out. `-o wide` shows
    every figure that is sent.

    \b
    Examples:
      kgents top                                        everything, by CPU
      kgents top pods -n shop --sort memory
      kgents top pods --prices prices.yaml --sort cost
      kgents top streams --sort messages_per_sec
      kgents top db --figures postgres_locks,replication.lag_s
    """  # noqa: D301
    names = [_SHORT.get(name.strip(), name.strip()) for name in wanted.split(",")] if wanted is not None else None
    by = _SHORT.get(sort, sort) if sort is not None else None
    if prices is not None and output in ("json", "yaml"):
        raise click.UsageError("expected --prices with a table; costs as JSON are in `kgents cost -o json`")
    asyncio.run(_top(target.load(), query.narrowed(kinds_of(kinds)), names, by, output, prices))


async def _top(
    common: CommonConfig,
    query: Query,
    names: Sequence[str] | None,
    sort: str | None,
    output: str,
    prices: Path | None,
) -> None:
    cost: Mapping[Ref, float | None] = {}
    async with connected(common) as bus:
        await require(bus, list(STREAMS.values()))
        views = listed(await read(bus, query, signals=dict.fromkeys(("topology", *query.selection.signals))))
        note_replayed(views)
        found = await last_pulses(bus, query.selection)
        pulses = [found[view.ref] for view in views if view.ref in found]
        if not views:
            await require_any(bus, query)
        if prices is not None:
            cost = await _cost(bus, query, prices)
    values = {pulse.ref: _with_cost(figures(pulse), cost, pulse.ref) for pulse in pulses}
    by = _sorting(sort, names, values)
    pulses.sort(key=lambda pulse: (-(values[pulse.ref].get(by) or 0), pulse.ref))
    if output in ("json", "yaml"):
        say_list([msgspec.json.encode(pulse) for pulse in pulses], output)
        return
    columns = _columns(pulses, values, names, by, wide=output == "wide")
    shown = [pulse for pulse in pulses if any(values[pulse.ref].get(name) is not None for name in columns)]
    if shown:
        for line in lines(shown, values, columns):
            say(line)
    if not pulses:
        note("no pulse of these entities is stored; see which collectors report with `kgents doctor`")
    elif others := sorted({pulse.ref.kind for pulse in pulses} - {pulse.ref.kind for pulse in shown}):
        note(f"other figures: `kgents top {others[0]}`" + (f" (also {', '.join(others[1:])})" if others[1:] else ""))


async def _cost(bus: Bus, query: Query, prices: Path) -> Mapping[Ref, float | None]:
    reading = import_module("kgents_cli.cost.reading")
    clusters = query.selection.clusters
    found = await reading.current_costs(bus, clusters, reading.price_list(prices), query.asked_at)
    costs: dict[Ref, float | None] = import_module("kgents_shared.view.cost.summary").cost_of(found)
    return costs


def _with_cost(
    values: Mapping[str, float | None], cost: Mapping[Ref, float | None], ref: Ref
) -> Mapping[str, float | None]:
    return {**values, COST: cost[ref]} if ref in cost else values


def _sorting(sort: str | None, names: Sequence[str] | None, values: Mapping[Ref, Mapping[str, float | None]]) -> str:
    """The figure to sort by.

    Raises:
        NotFoundError: no entity has a figure that was named.
    """
    known = {name for each in values.values() for name in each}
    for name in (*(names or ()), *([sort] if sort is not None else [])):
        if known and name not in known:
            raise NotFoundError(
                f"no entity has a figure {name!r}; {did_you_mean(name, known)} See `kgents top -o wide`"
            )
    return sort or (names[0] if names else resource.CPU_PERCENT)


def _columns(
    pulses: Iterable[Pulse],
    values: Mapping[Ref, Mapping[str, float | None]],
    names: Sequence[str] | None,
    by: str,
    *,
    wide: bool,
) -> list[str]:
    """The figures to show: those asked for, else the usual ones: of one kind its own, of several what all may have."""
    if names is not None:
        return list(names)
    there = sorted({pulse.ref.kind for pulse in pulses})
    usual = [*RESOURCES, COST, *(_OF_KIND.get(there[0], ()) if len(there) == 1 else ())]
    every = [name for each in values.values() for name in each] if wide else [by]
    measured = {name for each in values.values() for name, value in each.items() if value is not None}
    return [name for name in dict.fromkeys((*usual, *every)) if name in measured]


def lines(
    pulses: Sequence[Pulse], values: Mapping[Ref, Mapping[str, float | None]], columns: Sequence[str]
) -> Iterable[str]:
    """The table."""
    has_cluster = len({pulse.ref.cluster for pulse in pulses}) > 1
    heading = [
        *(["CLUSTER"] if has_cluster else []),
        "ENTITY",
        *(_HEADINGS.get(name, _heading(name)) for name in columns),
    ]
    rows = [
        [
            *([pulse.ref.cluster] if has_cluster else []),
            path_of(pulse.ref),
            *(_cell(name, values[pulse.ref].get(name)) for name in columns),
        ]
        for pulse in pulses
    ]
    return table(heading, rows, cut=False)


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return NOT_KNOWN
    return f"{value:,.4f}" if name == COST else figure(name, value)


def _heading(name: str) -> str:
    return name.rpartition(".")[2].upper().replace("_", "-")
