"""`kgents alerts`: KGENTS_ALERT → pending and firing alerts, the worst first; and what people decide about them."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from importlib import import_module
from typing import Final

import click

from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.options import Target, output_option
from kgents_cli.output import note, say, say_line, say_record, until_reader_leaves
from kgents_cli.query import Query, query_options, read, require_watchable
from kgents_cli.recorded.mark import note_replayed_at
from kgents_cli.records import say_list
from kgents_cli.sentence import line_of, record_of
from kgents_cli.suggestion import did_you_mean
from kgents_cli.table import Cell, table
from kgents_shared.bus.client import Bus
from kgents_shared.contract.alert import Alert
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.feed import feed
from kgents_shared.view.find import path_of
from kgents_shared.view.fold import Fold
from kgents_shared.view.moment import local_time, span

_STATES = ("firing", "pending", "resolved")
_SEVERITIES = ("critical", "warning")
_HEADING = ("SEVERITY", "STATE", "ENTITY", "CHECK", "SINCE", "WHY")


SUBCOMMANDS: Final = {
    "ack": "acknowledge:ack",
    "unack": "acknowledge:unack",
    "silence": "silence:silence",
    "silences": "silence:silences_command",
    "unsilence": "silence:unsilence",
    "route": "route:route",
    "review": "review:review",
    "replay": "what_if:replay",
    "test": "trial:test",
}
"""Name → its module in `alerting` and the command in it, imported only when it runs."""


class _Alerts(click.Group):
    """The list, and the subcommands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        if cmd_name not in SUBCOMMANDS:
            ctx.fail(f"no command {cmd_name!r} of `kgents alerts`; {did_you_mean(cmd_name, SUBCOMMANDS)}")
        module, _, name = SUBCOMMANDS[cmd_name].partition(":")
        found: click.Command = getattr(import_module(f"kgents_cli.alerting.{module}"), name)
        return found


@click.group("alerts", cls=_Alerts, invoke_without_command=True)
@click.option("--all", "with_resolved", is_flag=True, help="Also those that were resolved lately.")
@click.option("-w", "--watch", is_flag=True, help="Then print every change, until Ctrl-C.")
@output_option("table", "wide", "json", "yaml")
@query_options()
@click.pass_context
def command(
    context: click.Context, with_resolved: bool, watch: bool, output: str, query: Query, target: Target
) -> None:
    """List alerts that are pending or firing, the worst first; or decide about them.

    JSON is one list; with --watch it is one alert a line. The exit code is 0 with or without an alert. Alerts with a
    common cause are one incident: `kgents incidents`.

    \b
    Examples:
      kgents alerts
      kgents alerts -n shop -w
      kgents alerts --at -1h                            as they were an hour ago
      kgents alerts -o json | jq -r '.[] | select(.state == "firing") | .text'
      kgents alerts silence namespace=shop --for 2h     see `kgents alerts silence --help`
    """  # noqa: D301
    if context.invoked_subcommand is not None:
        return
    if watch:
        require_watchable(query, output)
    asyncio.run(_alerts(target.load(), query, output, with_resolved=with_resolved, watch=watch))


async def _alerts(common: CommonConfig, query: Query, output: str, *, with_resolved: bool, watch: bool) -> None:
    signals = dict.fromkeys(("alert", *query.selection.signals))
    async with connected(common, log_level="warning" if watch else "error") as bus:
        await require(bus, [STREAMS[signal] for signal in signals])
        found = _ordered(await read(bus, query, signals=signals), with_resolved=with_resolved)
        if watch and output == "json":
            for _, payload in found:
                say_record(payload)
        elif output in ("json", "yaml"):
            say_list([payload for _, payload in found], output)
        elif found:
            _say_table([alert for alert, _ in found], query, wide=output == "wide")
            await note_replayed_at(bus, (alert.ref for alert, _ in found))
        else:
            note("no alert is pending or firing")
        if watch:
            await _watch(bus, query, as_json=output == "json")


def _ordered(fold: Fold, *, with_resolved: bool) -> list[tuple[Alert, bytes]]:
    """Every alert with its message, firing before pending, critical before warning."""
    found = [
        (alert, (view.rows.alerts or {}).get(alert.check, b"null"))
        for view in fold.entities()
        for alert in view.alerts
        if with_resolved or alert.state != "resolved"
    ]
    return sorted(
        found, key=lambda pair: (_rank(pair[0].state, _STATES), _rank(pair[0].severity, _SEVERITIES), pair[0].ref)
    )


def _rank(word: str, known: Sequence[str]) -> int:
    return known.index(word) if word in known else len(known)


def _say_table(alerts: Iterable[Alert], query: Query, *, wide: bool) -> None:
    rows = [
        (
            Cell(alert.severity, "healthy" if alert.state == "resolved" else alert.severity),
            alert.state,
            path_of(alert.ref),
            alert.check,
            _since(alert, query, wide=wide),
            alert.text,
        )
        for alert in alerts
    ]
    for line in table(_HEADING, rows, cut=not wide):
        say(line)


def _since(alert: Alert, query: Query, *, wide: bool) -> str:
    if alert.started_at is None:
        return "-"
    return local_time(alert.started_at) if wide else span((query.time - alert.started_at).total_seconds())


async def _watch(bus: Bus, query: Query, *, as_json: bool) -> None:
    """Print every alert message that comes. Never returns."""
    test = query.selection.subject_test("alert")
    filters = {"alert": query.selection.filters("alert")}
    batches = feed(bus, filters, since=query.asked_at)
    async with until_reader_leaves(), aclosing(batches):
        async for _, batch in batches:
            for each in batch.deliveries:
                if test(each.subject):
                    say_record(record_of(each)) if as_json else say_line(line_of(each))
