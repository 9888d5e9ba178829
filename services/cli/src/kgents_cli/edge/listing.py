"""`kgents edge ls`: heartbeats of edge-sync and of the collectors, and the hub's entities → a line for each edge."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import click
import msgspec

from kgents_cli.connection import connected
from kgents_cli.options import Target, output_option, target_options
from kgents_cli.output import note, say, say_record
from kgents_cli.table import Cell, table
from kgents_cli.units import percent, scaled, size
from kgents_shared.bus import edges
from kgents_shared.bus.client import Bus
from kgents_shared.bus.sources import filter_of
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import ENTITY, META
from kgents_shared.contract.meta import EDGE_SYNC, Heartbeat, Lease, Meta
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.runtime.config import CommonConfig

UNKNOWN: Final = "unknown"
_HEADING = ("EDGE", "LINK", "LEASE", "ENTITIES", "RATE", "BACKLOG", "WATERMARK", "CPU", "MEMORY", "WHY")


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one edge; None: unknown, which is not 0."""

    edge: str
    link: str
    """`up`, `catching up`, `down`, `blocked`, or unknown: no edge-sync reports it."""
    reason: str
    lease_age_s: float | None
    """Since the collector that was heard from last renewed its lease."""
    entities: int
    """That the hub has of it."""
    rate_per_s: float | None
    """Messages of its collectors, since they started."""
    backlog: int | None
    """Messages that wait at the edge."""
    last_seq: Mapping[str, int]
    """Stream → the last sequence of the edge that the hub has."""
    cpu_percent: float | None
    memory_bytes: int | None


@click.command("ls")
@output_option("text", "json")
@target_options
def listing(output: str, target: Target) -> None:
    """List the edges of a hub: the link, how much waits there, and what their collectors cost.

    What is not known now is `unknown`, never 0.

    \b
    Examples:
      kgents edge ls
      kgents edge ls -o json
    """  # noqa: D301
    found = asyncio.run(_read(target.load()))
    if output == "json":
        for each in found:
            say_record(msgspec.json.encode(each))
        return
    if not found:
        note("this hub copies no edge; make one with `kgents edge new`")
        return
    for line in table(_HEADING, map(_row, found)):
        say(line)


async def _read(common: CommonConfig) -> list[Edge]:
    async with connected(common) as bus:
        return [await _edge(bus, name) for name in await edges.edges_of(await bus.session())]


async def _edge(bus: Bus, name: str) -> Edge:
    meta = StateView(bus, META, NAME_BY_SIGNAL["meta"], [filter_of("meta", name)])
    now_ns = await meta.load()
    entities = StateView(bus, ENTITY, NAME_BY_SIGNAL["entity"], [filter_of("entity", name)])
    await entities.load()
    found = {subject: (row.message, (now_ns - row.time_ns) / 1e9) for subject, row in meta.rows.items()}
    return edge_of(name, found, len(entities.rows), datetime.fromtimestamp(now_ns / 1e9, UTC))


def edge_of(name: str, meta: Mapping[str, tuple[Meta, float]], entities: int, now: datetime) -> Edge:
    """What heartbeats and leases (with their age in seconds) say of an edge. Pure."""
    beats = [message for message, _ in meta.values() if isinstance(message, Heartbeat)]
    keepers = [each for each in beats if each.service == EDGE_SYNC and each.state not in ("standby", "stopped")]
    keeper = max(keepers, key=lambda each: each.state == "in_sync", default=None)
    collectors = [each for each in beats if each.source]
    costs = [each.cost for each in collectors if each.cost is not None]
    ages_s = [*_lease_ages_s(meta)]
    return Edge(
        edge=name,
        link=_link(keeper),
        reason="no edge-sync reports it; try: `kgents run edge-sync`" if keeper is None else keeper.reason,
        lease_age_s=round(min(ages_s), 1) if ages_s else None,
        entities=entities,
        rate_per_s=_rate(collectors, now),
        backlog=sum(keeper.behind.values()) if keeper is not None and keeper.behind is not None else None,
        last_seq=keeper.watermark if keeper is not None else {},
        cpu_percent=round(sum(each.cpu_percent for each in costs), 2) if costs else None,
        memory_bytes=sum(each.memory_bytes for each in costs) if costs else None,
    )


def _lease_ages_s(meta: Mapping[str, tuple[Meta, float]]) -> Iterator[float]:
    for subject, (message, age_s) in meta.items():
        if isinstance(message, Lease) and subjects.parse(subject).value("service").startswith("collector-"):
            yield age_s


def _link(keeper: Heartbeat | None) -> str:
    match keeper:
        case None:
            return UNKNOWN
        case Heartbeat(state="in_sync"):
            return "up"
        case Heartbeat(state="degraded", behind=None):
            return "down"
        case Heartbeat(state="degraded"):
            return "blocked"
        case _:
            return "catching up"


def _rate(collectors: Sequence[Heartbeat], now: datetime) -> float | None:
    rates = [each.published / max(1.0, (now - each.started_at).total_seconds()) for each in collectors]
    return round(sum(rates), 2) if rates else None


def _row(edge: Edge) -> Sequence[str]:
    level = {"up": "healthy", "catching up": "warning", UNKNOWN: "unknown"}.get(edge.link, "critical")
    return (
        edge.edge,
        Cell(edge.link, level),
        UNKNOWN if edge.lease_age_s is None else f"{edge.lease_age_s:g} s",
        str(edge.entities),
        UNKNOWN if edge.rate_per_s is None else f"{scaled(edge.rate_per_s)}/s",
        UNKNOWN if edge.backlog is None else str(edge.backlog),
        " ".join(f"{stream.removeprefix('KGENTS_')}:{seq}" for stream, seq in edge.last_seq.items()) or UNKNOWN,
        UNKNOWN if edge.cpu_percent is None else percent(edge.cpu_percent),
        UNKNOWN if edge.memory_bytes is None else size(edge.memory_bytes),
        edge.reason,
    )
