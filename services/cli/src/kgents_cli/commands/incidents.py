"""`kgents incidents`: KGENTS_INCIDENT → open incidents, the worst first; or one with all that is known of it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import click

from kgents_cli.alerting.reading import incidents, known_incident, notices
from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.options import Target, output_option, target_options
from kgents_cli.output import note, say
from kgents_cli.recorded.mark import note_replayed_at
from kgents_cli.records import say_list, say_object
from kgents_cli.sentence import clean
from kgents_cli.table import Cell, table
from kgents_shared.bus.client import Bus
from kgents_shared.contract.codec import NOTICE
from kgents_shared.contract.decision import written
from kgents_shared.contract.incident import STATES, Decided, Incident
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.view.find import path_of
from kgents_shared.view.moment import local_time, span

_HEADING = ("ID", "SEVERITY", "STATE", "SINCE", "AFFECTED", "CAUSE", "WHAT")
_AFFECTED_SHOWN = 10


@click.command("incidents")
@click.argument("incident", required=False)
@click.option("--all", "with_resolved", is_flag=True, help="Also those that are resolved.")
@output_option("table", "json", "yaml")
@target_options
def command(incident: str | None, with_resolved: bool, output: str, target: Target) -> None:
    """List incidents (alerts with a common cause), the worst first; or show one of them.

    INCIDENT is its id, or how that begins. JSON is one list, of one incident an object. The exit code is 0 with or
    without an incident.

    \b
    Examples:
      kgents incidents
      kgents incidents 5c0ffee5                          its cause, what is affected, who decided what, who was notified
      kgents incidents --all -o json | jq -r '.[] | select(.severity == "critical") | .text'
      kgents incidents 5c0ffee5 -o json | jq -c '.timeline[] | select(.decided)'    who did what, and why
    """  # noqa: D301
    asyncio.run(_show(target, incident, output) if incident else _list(target, output, with_resolved=with_resolved))


async def _list(target: Target, output: str, *, with_resolved: bool) -> None:
    async with connected(target.load()) as bus:
        await require(bus, [STREAMS["incident"]])
        found = [pair for pair in await incidents(bus, target.cluster) if with_resolved or pair[0].state != "resolved"]
        await note_replayed_at(bus, (each.root.ref for each, _ in found))
    found.sort(key=lambda pair: (STATES.index(pair[0].state) == 2, pair[0].severity, -pair[0].opened_at.timestamp()))
    now = SystemClock().now()
    if output != "table":
        say_list([payload for _, payload in found], output)
    elif found:
        for line in table(_HEADING, [_row(each, now) for each, _ in found]):
            say(line)
    else:
        note("no incident is open")


def _row(each: Incident, now: datetime) -> Sequence[str]:
    colour = "healthy" if each.state == "resolved" else each.severity
    return (
        each.id[:8],
        Cell(each.severity, colour),
        _state(each),
        span((now - each.started_at).total_seconds()),
        str(each.affected_count),
        path_of(each.root.ref),
        each.title,
    )


def _state(each: Incident) -> str:
    if each.silenced_by:
        return "silenced"
    if each.state == "open" and each.is_flapping:
        return "flapping"
    return each.state


async def _show(target: Target, text: str, output: str) -> None:
    async with connected(target.load()) as bus:
        await require(bus, [STREAMS[signal] for signal in ("incident", "notice")])
        incident, payload = await known_incident(bus, target.cluster, text)
        await note_replayed_at(bus, [incident.root.ref])
        if output != "table":
            say_object(payload, output)
            return
        for line in _lines(incident):
            say(clean(line))
        await _say_notices(bus, incident)


def _lines(each: Incident) -> list[str]:
    found = [
        each.text,
        "",
        f"id         {each.id} (revision {each.revision})",
        f"cause      {path_of(each.root.ref)} {each.root.check}: {each.root.why}",
        f"since      {local_time(each.started_at)}",
    ]
    if each.parent:
        found.append(f"caused by  incident {each.parent}")
    if each.silenced_by:
        found.append(f"silenced   by {', '.join(each.silenced_by)}; see `kgents alerts silences`")
    if each.acknowledged is not None:
        found.append(f"taken by   {each.acknowledged.by}, {local_time(each.acknowledged.at)} {each.acknowledged.note}")
    found += ["", "why"]
    found += [f"  {reason.text}  [{reason.check}, {reason.evidence}]" for reason in each.reasons]
    found += ["", f"affected ({each.affected_count})"]
    found += [
        f"  {one.severity:<8}  {path_of(one.ref)}  {', '.join(one.checks)}" for one in each.affected[:_AFFECTED_SHOWN]
    ]
    if each.affected_count > _AFFECTED_SHOWN:
        found.append(f"  … and {each.affected_count - _AFFECTED_SHOWN} more")
    found += ["", "timeline"]
    found += [f"  {local_time(moment.at)}  {moment.text}" for moment in each.timeline]
    found += ["", "decisions"]
    found += [f"  {line}" for line in _decisions(each)] or ["  none so far"]
    return found


def _decisions(each: Incident) -> list[str]:
    """Who did what, and why."""
    rows = [
        (local_time(moment.at), f"{one.by} ({one.via})" if one.via else one.by, one.action, _object(one), one.reason)
        for moment in each.timeline
        if (one := moment.decided) is not None
    ]
    return list(table(("TIME", "WHO", "ACTION", "SILENCE", "REASON"), rows)) if rows else []


def _object(one: Decided) -> str:
    return f"{one.silence}: {' and '.join(map(written, one.matchers))}" if one.matchers else one.silence


async def _say_notices(bus: Bus, incident: Incident) -> None:
    found = [NOTICE.decode(payload) for payload in await notices(bus, incident)]
    say("")
    say("notified" if found else "no one was notified")
    for each in found:
        state = f"revision {each.delivered} ({each.delivered_state})" if each.delivered else "nothing delivered"
        failure = f", last failure {each.failure}, {each.tries} tries" if each.failure else ""
        say(clean(f"  {each.receiver}  {state}{failure}"))
