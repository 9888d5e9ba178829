"""`kgents alerts review`: the incidents of some weeks → how useful each check was."""

import asyncio
from datetime import timedelta

import click
import msgspec

from kgents_alert_notifier.grouping.shape import duration
from kgents_alert_notifier.review import INCIDENTS_A_SHIFT, CheckReview, Review
from kgents_alert_notifier.review import review as reviewed
from kgents_cli.alerting.reading import incidents
from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.options import Target, output_option, target_options
from kgents_cli.output import note, say, say_record
from kgents_cli.table import table
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.view.moment import duration_s

_HEADING = ("CHECK", "INCIDENTS", "CRITICAL", "MEDIAN", "ACKNOWLEDGED", "FLAPPING", "REMARK")


@click.command("review")
@click.option("--since", default="30d", show_default=True, metavar="TIME", help="How far back: 12h, 7d, 30d.")
@output_option("table", "json")
@target_options
def review(since: str, output: str, target: Target) -> None:
    """Show how useful alerts were: of each check how many incidents it was the cause of, how long they lasted, and
    whether anyone took care.

    A check of which no incident was ever acknowledged wakes people for nothing: raise its threshold, route it to no
    one, or switch it off. Resolved incidents are kept for `alert-notifier.grouping.keep_days`.

    \b
    Examples:
      kgents alerts review
      kgents alerts review --since 7d -o json
    """  # noqa: D205, D301
    try:
        seconds = duration_s(since.removeprefix("-"))
    except ValueError as error:
        raise click.UsageError(f"--since: {error}") from None
    found = asyncio.run(_review(target, seconds))
    if output == "json":
        say_record(msgspec.json.format(msgspec.json.encode(found)))
        return
    if not found.checks:
        note(f"no incident since {found.since:%Y-%m-%d %H:%M} UTC")
        return
    for line in table(_HEADING, [_row(each) for each in found.checks]):
        say(line)
    more = (
        ""
        if found.per_shift <= INCIDENTS_A_SHIFT
        else f"; more than {INCIDENTS_A_SHIFT:g} are more than people can handle"
    )
    note(f"{found.incidents} incidents, {found.per_shift:.1f} in twelve hours{more}")


async def _review(target: Target, seconds: float) -> Review:
    now = SystemClock().now()
    async with connected(target.load()) as bus:
        await require(bus, [STREAMS["incident"]])
        return reviewed(
            (each for each, _ in await incidents(bus, target.cluster)), now - timedelta(seconds=seconds), now
        )


def _row(each: CheckReview) -> tuple[str, ...]:
    lasted = duration(timedelta(seconds=each.median_s)) if each.median_s is not None else "-"
    remark = "no one ever acted on it" if each.never_acted_on else ""
    share = f"{each.acknowledged_ratio:.0%}".replace("%", " %")
    return each.check, str(each.count), str(each.critical), lasted, share, str(each.flapping), remark
