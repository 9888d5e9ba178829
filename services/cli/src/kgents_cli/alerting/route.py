"""`kgents alerts route`: the configuration's routes, and who is notified of an alert, and why."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click
import msgspec

from kgents_alert_notifier.config import Config
from kgents_alert_notifier.routing.route import listed
from kgents_alert_notifier.routing.router import Router, Step, facts_of
from kgents_alert_notifier.routing.window import oddities
from kgents_cli.alerting.reading import SERVICE, one_incident
from kgents_cli.alerting.when import any_moment
from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.installed import service_names
from kgents_cli.options import Target, output_option, target_options
from kgents_cli.output import NEUTRAL, OK, WARNING, note, say, say_record
from kgents_shared.runtime import config as configuration
from kgents_shared.runtime.clock import SystemClock


@click.command("route")
@click.option("--explain", is_flag=True, help="Say of each route why it takes the alert, or not.")
@click.option("--incident", metavar="ID", help="An incident that there is or was.")
@click.option("--namespace", default="", help="Of the probable cause.")
@click.option("--kind", default="", help="Of the probable cause.")
@click.option("--name", default="", help="Of the probable cause.")
@click.option("--check", default="", help="Such as KG-041.")
@click.option("--severity", type=click.Choice(["critical", "warning"]), default="critical", show_default=True)
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="May be repeated.")
@click.option("--at", metavar="TIME", help="At another time: RFC 3339, or -10m.")
@output_option("text", "json")
@target_options
def route(
    explain: bool,
    incident: str | None,
    labels: tuple[str, ...],
    at: str | None,
    output: str,
    target: Target,
    **facts: str,
) -> None:
    """Show who is notified of an alert by the configuration, or with no flag all routes.

    \b
    Examples:
      kgents alerts route --config kgents.yaml
      kgents alerts route --explain --namespace shop --severity critical --label team=core
      kgents alerts route --explain --incident 5c0ffee5
      kgents alerts route --explain --severity warning --at 2026-12-24T22:00:00Z
    """  # noqa: D301
    now = _time(at)
    own, cluster = _settings(target)
    router = Router(own.all_routes(), own.windows)
    if not explain and incident is None:
        _say_routes(own, now, output)
        return
    if incident is not None:
        known = asyncio.run(_facts(target, incident))
    else:
        known = {"cluster": target.cluster or cluster, **facts, **dict(_label(each) for each in labels)}
    _say_steps(router.explain(known, now), own, known, output)


def _settings(target: Target) -> tuple[Config, str]:
    common, own = configuration.load(
        SERVICE, Config, path=target.config_file, environ=target.environ(), services=service_names()
    )
    return own, common.cluster


async def _facts(target: Target, text: str) -> Mapping[str, str]:
    async with connected(target.load()) as bus:
        await require(bus, [STREAMS["incident"]])
        return facts_of((await one_incident(bus, target.cluster, text))[0])


def _say_steps(steps: list[Step], own: Config, facts: Mapping[str, str], output: str) -> None:
    to = list(dict.fromkeys(name for step in steps for name in step.to))
    if output == "json":
        found: dict[str, Any] = {"facts": facts, "to": to if own.enabled else [], "steps": steps}
        say_record(msgspec.json.format(msgspec.json.encode(found)))
        return
    for step in steps:
        if not step.takes:
            say(f"{NEUTRAL} routes[{step.route}] passes: {step.why}")
            continue
        receivers = ", ".join(step.to) or "no one"
        say(f"{OK} routes[{step.route}] takes it ({step.why}): {receivers}, after {step.wait_s:g} s")
        for line in step.escalation:
            say(f"    then {line}")
    if not own.enabled:
        say(f"{WARNING} alert-notifier.enabled is false: no one is notified")
    else:
        say(f"notified: {', '.join(to) or 'no one'}")


def _say_routes(own: Config, now: datetime, output: str) -> None:
    remarks = [*own.remarks(), *(f"windows.{name}: {each}" for name in own.windows for each in _odd(own, name, now))]
    if output == "json":
        found = {"routes": own.all_routes(), "remarks": remarks}
        say_record(msgspec.json.format(msgspec.json.encode(found)))
        return
    for place, each in enumerate(own.all_routes()):
        wanted = " ".join(f"{name}={'|'.join(listed(value))}" for name, value in each.match.items()) or "everything"
        when = f" when {each.when}" if each.when else ""
        say(f"{place}  {wanted}{when} → {', '.join(each.to) or 'no one'}{', and the next ones' if each.also else ''}")
    for line in remarks:
        note(f"{WARNING} {line}")


def _odd(own: Config, name: str, now: datetime) -> list[str]:
    return oddities(own.windows[name], now)


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--label: expected NAME=VALUE, found {text!r}; try: team=core")
    return f"label.{name}", value


def _time(text: str | None) -> datetime:
    now = SystemClock().now()
    return now if text is None else any_moment("--at", text, now)
