"""`kgents alerts ack` and `unack`: an incident → KGENTS_ACK."""

import asyncio

import click

from kgents_cli.alerting.author import by_option, origin
from kgents_cli.alerting.reading import acknowledgement, one_incident
from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.options import Target, output_option, target_options
from kgents_cli.output import OK, say, say_record
from kgents_shared.bus.audit import decide
from kgents_shared.contract.codec import encode
from kgents_shared.contract.decision import Author, acknowledged, no_longer_acknowledged
from kgents_shared.contract.errors import KgentsError
from kgents_shared.runtime.clock import SystemClock


@click.command("ack")
@click.argument("incident")
@click.option("--note", default="", help="What you do; everyone sees it.")
@by_option()
@output_option("text", "json")
@target_options
def ack(incident: str, note: str, by: str, output: str, target: Target) -> None:
    """Say that you take care of an INCIDENT (its id, or how that begins).

    It is then neither repeated nor escalated. If it becomes more severe, it is open again.

    \b
    Examples:
      kgents alerts ack 5c0ffee5 --note "failing over"
      kgents alerts ack 5c0f --by ada
    """  # noqa: D301
    asyncio.run(_store(target, incident, note, by, output, is_taken_back=False))


@click.command("unack")
@click.argument("incident")
@by_option()
@output_option("text", "json")
@target_options
def unack(incident: str, by: str, output: str, target: Target) -> None:
    """Take back that someone takes care of an INCIDENT.

    \b
    Example:
      kgents alerts unack 5c0ffee5
    """  # noqa: D301
    asyncio.run(_store(target, incident, "", by, output, is_taken_back=True))


async def _store(target: Target, text: str, note: str, by: str, output: str, *, is_taken_back: bool) -> None:
    now = SystemClock().now()
    async with connected(target.load()) as bus:
        await require(bus, [STREAMS[signal] for signal in ("incident", "ack")])
        incident, _ = await one_incident(bus, target.cluster, text)
        if incident.state == "resolved":
            raise KgentsError(f"incident {incident.id} is resolved; see `kgents incidents`")
        if is_taken_back and incident.acknowledged is None:
            raise KgentsError(f"incident {incident.id} is not acknowledged; see `kgents incidents`")
        author = Author(by, "cli")
        if is_taken_back:
            message = no_longer_acknowledged(incident, author, now)
        else:
            message = acknowledged(incident, author, now, note)
        before, seq = await acknowledgement(bus, incident)
        await decide(bus, message, replaces_seq=seq, before=before, origin=origin(), now=now)
    if output == "json":
        say_record(encode(message))
    else:
        say(f"{OK} {message.text.removesuffix('.')}: {incident.title}")
