"""`kgents cost`: a price list, requests and usage → what workloads, namespaces, nodes and clusters cost."""

import asyncio
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.options import Target, output_option, target_options
from kgents_cli.output import note, say, say_document
from kgents_cli.records import say_list
from kgents_cli.table import table
from kgents_cli.units import NOT_KNOWN
from kgents_shared.bus.jetstream import rfc3339
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.view.cost.prices import HOURS_A_MONTH

_BY: Final = ("workload", "namespace", "node", "cluster")
_MEANING: Final = (
    "A pod costs the larger of what it requests and what it uses now; BY says which. What no pod is charged for is "
    "idle. A cost with “known” lacks parts that are not known."
)
_HEADING: Final = ("PODS", "VCPU", "USED", "GIB", "USED", "DISK GIB", "AN HOUR", "A MONTH", "BY", "PRICES")


@click.command("cost")
@click.option(
    "--prices", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The price list, in YAML."
)
@click.option("--by", type=click.Choice(_BY), default="workload", show_default=True, help="What to sum up by.")
@click.option("-n", "--namespace", metavar="NAME", multiple=True, help="Only these namespaces, and no nodes.")
@output_option("table", "json", "yaml", "html")
@target_options
def command(prices: Path, by: str, namespace: tuple[str, ...], output: str, target: Target) -> None:
    """Show what pods and their disks cost by a price list, and what of the nodes is idle.

    A pod costs the larger of what it requests and what it uses now; BY says which. The price of a node is divided among
    its vCPUs and memory; what no pod is charged for is idle, and negative where pods use more than the node has. `-` is
    not known: usage without a recent pulse, cost without a price. `known` marks a sum without such parts. A month has
    730 hours.

    \b
    The file, prices of an hour:
      {name: list of May, currency: EUR, vcpu_hour: 0.03, gib_hour: 0.004,
       nodes: {m7i.xlarge: 0.2}, disks: {gp3: 0.00011, "*": 0.0001}}

    \b
    Examples:
      kgents cost --prices prices.yaml
      kgents cost --prices prices.yaml --by namespace -o json
      kgents cost --prices prices.yaml -o html > cost.html
      kgents top pods --prices prices.yaml
    """  # noqa: D301
    now = SystemClock().now()
    found, listed = asyncio.run(_costs(target, prices, by, namespace, now))
    has_clusters = len({each.cluster for each in found}) > 1
    heading = (*(["CLUSTER"] if has_clusters else []), by.upper(), *_HEADING)
    rows = [(*([each.cluster] if has_clusters else []), *_row(each)) for each in found]
    about = f"prices: {listed.name or prices}" + (f", in {listed.currency}" if listed.currency else "")
    if output == "html":
        html = import_module("kgents_cli.html")
        when = f"{rfc3339(now.replace(microsecond=0))}, {about}"
        page = html.document("Cost", when, _MEANING, [html.Table(f"By {by}", heading, rows)], [])
        say_document(page.encode())
        return
    if output != "table":
        say_list([msgspec.json.encode(each.record(listed)) for each in found], output)
        return
    if not found:
        note("no running pod, claim or node is published; see which collectors report with `kgents doctor`")
        return
    for line in table(heading, rows):
        say(line)
    note(about)


async def _costs(
    target: Target, file: Path, by: str, namespaces: tuple[str, ...], now: datetime
) -> tuple[list[Any], Any]:
    reading, summary = (import_module(each) for each in ("kgents_cli.cost.reading", "kgents_shared.view.cost.summary"))
    prices = reading.price_list(file)
    async with connected(target.load()) as bus:
        await require(bus, [STREAMS[each] for each in ("topology", "pulse")])
        clusters = (target.cluster,) if target.cluster is not None else ()
        found = await reading.current_costs(bus, clusters, prices, now)
    if namespaces:
        items = [each for each in found.items if each.ref.namespace in namespaces]
        found = msgspec.structs.replace(found, items=items, nodes=[])
    return summary.lines(found, by), prices


def _row(each: Any) -> tuple[str, ...]:
    cost = _number(each.cost)
    if each.cost is None and each.known:
        cost = f"{_number(each.known)} known"
    month = NOT_KNOWN if each.cost is None else f"{each.cost * HOURS_A_MONTH:,.2f}"
    amounts = (each.cpu, each.cpu_used, each.memory_gib, each.memory_used_gib, each.disk_gib)
    return (
        each.name, str(each.pods) if each.pods else NOT_KNOWN, *map(_amount, amounts), cost, month,
        "+".join(each.charged_by) or NOT_KNOWN, ", ".join(each.prices) or NOT_KNOWN,
    )  # fmt: skip


def _amount(value: float | None) -> str:
    return NOT_KNOWN if value is None else f"{value:,.2f}"


def _number(value: float | None) -> str:
    return NOT_KNOWN if value is None else f"{value:,.4f}"
