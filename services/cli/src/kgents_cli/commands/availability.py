"""`kgents availability`: versions of health over a time → how available entities were, and whether as promised."""

import asyncio
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import msgspec

from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.options import Target, output_option
from kgents_cli.output import note, say, say_document
from kgents_cli.query import Query, query_options
from kgents_cli.table import table
from kgents_shared.bus.jetstream import rfc3339
from kgents_shared.contract.errors import KgentsError
from kgents_shared.view.moment import duration_s

_READ = ("topology", "health", "alert", "incident", "audit", "pulse", "meta")
_BY = ("namespace", "entity", "kind", "cluster")


@click.command("availability")
@click.option("--since", default="30d", show_default=True, metavar="TIME", help="How far back: 12h, 7d, 30d.")
@click.option("--by", type=click.Choice(_BY), default="namespace", show_default=True, help="What to sum up by.")
@click.option(
    "--objectives", type=click.Path(path_type=Path), metavar="FILE", help="Objectives and planned times, in YAML."
)
@output_option("table", "json", "html")
@query_options(at=False)
def command(since: str, by: str, objectives: Path | None, output: str, query: Query, target: Target) -> None:
    """Show how available entities were, how objectives were met, what changed often, and which alerts fired most.

    Available is the share of the observed time in which an entity was healthy or warning. What was not observed, when
    health-scorer or topology-builder did not run, and what was planned (maintenance windows, silences for maintenance,
    `planned` in the file), counts neither way. What is planned of nodes or hosts by their kind is so of what ran there
    alone when it began, unless that failed for a reason of its own. Any critical is the time in which at least one
    entity of the group was critical; MTTR is of incidents that began in this time and have ended. What the streams have
    forgotten is from the archive, where an archiver runs: requests in whole minutes, beyond a day in whole hours. What
    is not known is on stderr.

    Of requests that Prometheus or OpenTelemetry counts in buckets, those beyond the last bound are taken for that
    bound: a `within_ms` of that bound or more would take slow ones for fast. Of before the last hour or so it is known
    how many took at most 5, 10, 25, 50, 100, 250 or 500 ms, 1, 2.5, 5 or 10 s.

    \b
    The file:
      objectives:
        - {name: shop is up, target: 0.999, namespace: shop, kind: deployment}
        - {name: cart answers, target: 0.99, edge: {caller: "app/*", peer: "*cart*"}}
        - {name: cart is fast, target: 0.95, edge: {peer: "*cart*", within_ms: 250}}
      planned:
        - {begin: 2026-11-01T02:00:00Z, end: 2026-11-01T04:00:00Z, namespace: shop, reason: new database}

    \b
    Examples:
      kgents availability --since 7d
      kgents availability --by entity -n shop --kind deploy
      kgents availability --objectives slo.yaml -o html > november.html
    """  # noqa: D301
    try:
        seconds = duration_s(since.removeprefix("-"))
    except ValueError as error:
        raise click.UsageError(f"--since: {error}") from None
    if query.selection.levels:
        raise click.UsageError("expected no --level: this is about the time in each level")
    report = asyncio.run(_collected(target, query, seconds, by, objectives))
    until = query.asked_at.replace(microsecond=0)  # of the report's heading, for people
    begin, end = rfc3339(until - timedelta(seconds=seconds)), rfc3339(until)
    for each in report.remarks:
        note(each)
    if output == "json":
        say_document(msgspec.json.format(msgspec.json.encode(report.record(begin, end))))
    elif output == "html":
        say_document(import_module("kgents_cli.availability.html").document(report, begin, end).encode())
    else:
        _say(report)


async def _collected(target: Target, query: Query, seconds: float, by: str, file: Path | None) -> Any:
    collecting = import_module("kgents_cli.availability.collecting")  # slow to import: others start without it
    stated = _objectives(file)
    since = query.asked_at - timedelta(seconds=seconds)
    async with connected(target.load()) as bus:
        await require(bus, [STREAMS[each] for each in _READ])
        asked = collecting.Asked(query.selection, since, query.asked_at, by, stated)
        return await collecting.collected(bus, target, asked)


def _objectives(file: Path | None) -> Any:
    objectives = import_module("kgents_cli.availability.objectives")
    if file is None:
        return objectives.Objectives()
    try:
        return import_module("kgents_shared.runtime.yaml_file").read_struct(file, objectives.Objectives)
    except ValueError as error:
        raise KgentsError(f"{file}: {error}; see `kgents availability --help`") from None


def _say(report: Any) -> None:
    text = import_module("kgents_cli.availability.text")
    if report.budgets:
        _table(text.OBJECTIVES, [text.budget_row(each) for each in report.budgets])
        say("")
    if not report.groups:
        note("nothing was scored in this time; see what is published with `kgents get all`")
        return
    _table((report.by.upper(), *text.GROUPS), [text.group_row(each) for each in report.groups])
    for heading, found in (
        (("CHANGED MOST OFTEN", "CHANGES"), report.changes),
        (("FIRED MOST OFTEN", "TIMES"), report.noisiest),
    ):
        if found:
            say("")
            _table(heading, text.counted_rows(found))


def _table(heading: Any, rows: Any) -> None:
    for line in table(heading, rows):
        say(line)
