"""`kgents topology`: KGENTS_TOPOLOGY and KGENTS_HEALTH, now or at some time → tree, table or json."""

import asyncio
from datetime import datetime
from typing import Final

import click
import msgspec

from kgents_cli import snapshot
from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.moment import moment, rfc3339, span
from kgents_cli.options import Target, output_option, target_options
from kgents_cli.output import note, say
from kgents_cli.record import Record, joined
from kgents_cli.snapshot import Payloads, decoded
from kgents_cli.table import Cell, table
from kgents_cli.tree import tree
from kgents_shared.bus.client import Bus
from kgents_shared.contract import codec, subjects
from kgents_shared.runtime.clock import SystemClock, unix_ns
from kgents_shared.runtime.config import CommonConfig

_HEADING: Final = ("CLUSTER", "KIND", "NAMESPACE", "NAME", "STATUS", "HEALTH", "AGE", "WHY")


class Query(msgspec.Struct, frozen=True):
    """Which part of the topology, and when."""

    fields: dict[str, str]
    """Subject field → its value; fields not named may be anything."""
    at: datetime | None
    """None: now."""
    asked_at: datetime


@click.command("topology")
@click.option("--kind", metavar="KIND", help="Only things of this kind, such as pod.")
@click.option("--namespace", metavar="NAME", help="Only things of this namespace.")
@click.option("--at", "at", metavar="TIME", help="As it was: RFC 3339, or so long ago (-10m).")
@output_option("tree", "table", "json")
@target_options
def command(kind: str | None, namespace: str | None, at: str | None, output: str, target: Target) -> None:
    """Show what is there and how it hangs together, with its health.

    \b
    Examples:
      kgents topology                                      everything
      kgents topology --kind pod --namespace shop -o table
      kgents topology --at -10m                            as it was ten minutes ago
    """  # noqa: D301
    now = SystemClock().now()
    try:
        then = moment(at, now) if at is not None else None
    except ValueError as error:
        raise click.UsageError(f"--at: {error}") from None
    given = {"cluster": target.cluster, "kind": kind, "namespace": namespace}
    query = Query({field: value for field, value in given.items() if value is not None}, then, now)
    asyncio.run(_topology(target.load(), query, output))


async def _topology(common: CommonConfig, query: Query, output: str) -> None:
    async with connected(common) as bus:
        await require(bus, [STREAMS["topology"], STREAMS["health"]])
        topology = await _read(bus, "topology", query)
        if output == "json":
            say("[" + ",\n".join(payload.decode() for payload in topology.values()) + "]")
            return
        health = await _read(bus, "health", query)
    shown = joined(decoded(codec.TOPOLOGY, topology).values(), decoded(codec.HEALTH, health).values())
    if not shown:
        note("nothing is there; see who observes with `kgents doctor`")
    elif output == "table":
        for line in table(_HEADING, (_cells(each, query.at or query.asked_at) for each in shown)):
            say(line)
    else:
        for line in tree(shown):
            say(line)


def _cells(record: Record, now: datetime) -> tuple[str, ...]:
    ref, created = record.ref, record.entity.created_at
    age = span((now - created).total_seconds()) if created is not None else ""
    health = Cell(record.score, record.level)
    return (ref.cluster, ref.kind, ref.namespace, ref.name, record.entity.status, health, age, record.why)


async def _read(bus: Bus, signal: str, query: Query) -> Payloads:
    filter_ = subjects.pattern(signal, **query.fields)
    if query.at is None:
        return await snapshot.now(bus, signal, filter_, unix_ns(query.asked_at))
    past = await snapshot.then(bus, signal, filter_, query.at)
    if query.at < past.begins:
        note(f"{signal}: nothing is known before {rfc3339(past.begins)}, when its stream was made")
    elif past.forgotten:
        count = len(past.forgotten)
        things = "1 thing has" if count == 1 else f"{count} things have"
        note(
            f"{signal}: {things} changed too often since {rfc3339(query.at)} to tell the state of then, "
            f"such as {past.forgotten[0]}"
        )
    return past.payloads
