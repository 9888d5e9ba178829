"""`kgents topology`: KGENTS_TOPOLOGY, KGENTS_HEALTH and KGENTS_ALERT, now or at some time → tree, table or JSON."""

import asyncio

import click

from kgents_cli.columns import Row, health
from kgents_cli.connection import connected, require_state
from kgents_cli.options import Target, output_option
from kgents_cli.output import say
from kgents_cli.query import Query, listed, query_options, read, require_any
from kgents_cli.recorded.mark import note_replayed
from kgents_cli.records import say_views
from kgents_cli.table import table
from kgents_cli.tree import tree
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.moment import span

_HEADING = ("CLUSTER", "KIND", "NAMESPACE", "NAME", "STATUS", "HEALTH", "AGE", "WHY")


@click.command("topology")
@output_option("tree", "table", "json", "yaml")
@query_options()
def command(output: str, query: Query, target: Target) -> None:
    """Show entities, their connections and their health as a tree.

    JSON and YAML are the topology messages with `health` (null if not scored) and `alerts` in each. If flags select
    nothing, the exit code is 1.

    \b
    Examples:
      kgents topology                                      everything
      kgents topology --kind pod,svc -n shop
      kgents topology --at -10m                            as it was ten minutes ago
      kgents topology -o json | jq -r '.[].health.level'
    """  # noqa: D301
    asyncio.run(_topology(target.load(), query, output))


async def _topology(common: CommonConfig, query: Query, output: str) -> None:
    async with connected(common) as bus:
        await require_state(bus)
        views = listed(await read(bus, query))
        note_replayed(views)
        if output in ("json", "yaml"):
            say_views(views, output)
        elif output == "table":
            for line in table(_HEADING, (_cells(Row(view, query.time)) for view in views)) if views else ():
                say(line)
        else:
            for line in tree(views):
                say(line)
        if not views:
            await require_any(bus, query)


def _cells(row: Row) -> tuple[str, ...]:
    view = row.view
    created = view.topology.created_at if view.topology is not None else None
    age = span((row.now - created).total_seconds()) if created is not None else ""
    ref = view.ref
    return (ref.cluster, ref.kind, ref.namespace, ref.name, view.status, health(row), age, view.why)
