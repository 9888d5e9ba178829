"""`kgents alerts silence`, `silences`, `unsilence`: matchers and a duration → KGENTS_SILENCE."""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

import click
import msgspec

from kgents_cli.alerting.author import by_option, origin
from kgents_cli.alerting.reading import clusters, silences
from kgents_cli.alerting.when import any_moment
from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.options import Target, output_option, target_options
from kgents_cli.output import OK, note, say
from kgents_cli.records import say_list
from kgents_cli.suggestion import did_you_mean
from kgents_cli.table import table
from kgents_shared.bus.audit import decide
from kgents_shared.contract.codec import encode
from kgents_shared.contract.decision import MATCHABLE, SILENCE_MAX_S, Author, ended, is_matchable, silenced, written
from kgents_shared.contract.errors import NotFoundError
from kgents_shared.contract.silence import Matcher, Silence
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.view.moment import duration_s, local_time, span

_HEADING = ("ID", "CLUSTER", "ENDS IN", "BY", "MATCHES", "REASON")


@click.command("silence")
@click.argument("matchers", nargs=-1, required=True)
@click.option("--for", "duration", default="1h", show_default=True, metavar="TIME", help="How long: 30m, 2h, 7d.")
@click.option("--from", "start", metavar="TIME", help="When it begins: RFC 3339, or +2h.  [default: now]")
@click.option("--reason", default="", help="Why; everyone sees it.")
@click.option("--maintenance", is_flag=True, help="The disruption is planned; of a machine, with what runs there.")
@by_option()
@output_option("text", "json")
@target_options
def silence(
    matchers: tuple[str, ...],
    duration: str,
    start: str | None,
    reason: str,
    maintenance: bool,
    by: str,
    output: str,
    target: Target,
) -> None:
    """Let alerts that match all MATCHERS notify no one for a time.

    A matcher is FIELD=VALUE or FIELD!=VALUE; `*` stands for any characters. Fields: namespace, kind, name, check,
    severity, incident, label.NAME. An incident is silenced while every alert of it that fires is. Nothing is hidden:
    `kgents incidents` shows it as silenced, and who was notified of its beginning is notified of its end.

    With --maintenance a machine (kind=node or kind=host) covers what is unwell because of it, too: what runs there and
    nowhere else, and what that explains.

    \b
    Examples:
      kgents alerts silence namespace=shop --for 2h --reason "database upgrade"
      kgents alerts silence kind=node name='worker-*' --from +1h --for 30m --maintenance
      kgents alerts silence check=KG-101 label.team!=core --for 1d
    """  # noqa: D301
    found = [_matcher(each) for each in matchers]
    now = SystemClock().now()
    begins = _begin(start, now)
    template = silenced(
        Author(by, "cli"), id_=secrets.token_hex(4), cluster="", matchers=found, starts_at=begins,
        ends_at=begins + timedelta(seconds=_seconds(duration)), reason=reason,
        purpose="maintenance" if maintenance else "silence",
    )  # fmt: skip
    asyncio.run(_silence(target, template, now, output))


async def _silence(target: Target, template: Silence, now: datetime, output: str) -> None:
    async with connected(target.load()) as bus:
        await require(bus, [STREAMS["silence"]])
        stored = []
        for cluster in await clusters(bus, target.cluster):
            each = msgspec.structs.replace(template, cluster=cluster)
            await decide(bus, each, replaces_seq=0, before=None, origin=origin(), now=now)
            stored.append(each)
    if output == "json":
        say_list([encode(each) for each in stored], "json")
        return
    places = ", ".join(each.cluster for each in stored)
    say(f"{OK} silenced in {places} until {local_time(template.ends_at)}")
    note(f"end it with `kgents alerts unsilence {template.id}`")


@click.command("silences")
@output_option("table", "json", "yaml")
@target_options
def silences_command(output: str, target: Target) -> None:
    """List silences that act or will act, the next to end first.

    \b
    Examples:
      kgents alerts silences
      kgents alerts silences -o json | jq -r '.[].reason'
    """  # noqa: D301
    asyncio.run(_list(target, output))


async def _list(target: Target, output: str) -> None:
    async with connected(target.load()) as bus:
        await require(bus, [STREAMS["silence"]])
        now = SystemClock().now()
        found = sorted(await silences(bus, target.cluster), key=lambda each: each[0].ends_at)
    found = [each for each in found if each[0].ends_at > now]
    if output != "table":
        say_list([stored.payload for _, stored in found], output)
    elif found:
        for line in table(_HEADING, [_row(each, now) for each, _ in found]):
            say(line)
    else:
        note("nothing is silenced")


def _row(each: Silence, now: datetime) -> Sequence[str]:
    ends = span((each.ends_at - now).total_seconds())
    begins = f"begins in {span((each.starts_at - now).total_seconds())}" if each.starts_at > now else ends
    return each.id, each.cluster, begins, each.by, " ".join(map(written, each.matchers)), each.reason


@click.command("unsilence")
@click.argument("silence_id", metavar="ID")
@by_option()
@output_option("text", "json")
@target_options
def unsilence(silence_id: str, by: str, output: str, target: Target) -> None:
    """End a silence now, in every cluster where it acts.

    \b
    Example:
      kgents alerts unsilence a1b2c3d4
    """  # noqa: D301
    asyncio.run(_unsilence(target, silence_id, by, output))


async def _unsilence(target: Target, id_: str, by: str, output: str) -> None:
    now = SystemClock().now()
    async with connected(target.load()) as bus:
        await require(bus, [STREAMS["silence"]])
        known = await silences(bus, target.cluster)
        found = [pair for pair in known if pair[0].id == id_]
        if not found:
            near = did_you_mean(id_, [each.id for each, _ in known]) if known else "nothing is silenced"
            raise NotFoundError(f"no silence {id_}; {near}; see `kgents alerts silences`")
        gone = []
        for each, stored in found:
            removal = ended(each, Author(by, "cli"))
            await decide(bus, removal, replaces_seq=stored.seq, before=each, origin=origin(), now=now)
            gone.append(removal)
    if output == "json":
        say_list([encode(each) for each in gone], "json")
    else:
        say(f"{OK} the silence {id_} is over in {', '.join(each.cluster for each in gone)}")


def _matcher(text: str) -> Matcher:
    name, equals, value = text.partition("=")
    is_negated = name.endswith("!")
    name = name.removesuffix("!")
    if not equals or not value:
        raise click.UsageError(f"expected FIELD=VALUE or FIELD!=VALUE, found {text!r}; try: namespace=shop")
    if not is_matchable(name):
        raise click.UsageError(f"no field {name!r} to match; {did_you_mean(name, MATCHABLE)}")
    return Matcher(field=name, value=value, is_negated=is_negated)


def _begin(text: str | None, now: datetime) -> datetime:
    if text is None:
        return now
    if text.startswith("+"):
        return now + timedelta(seconds=_seconds(text[1:]))
    return any_moment("--from", text, now)


def _seconds(text: str) -> float:
    try:
        found = duration_s(text)
    except ValueError as error:
        raise click.UsageError(f"--for: {error}") from None
    if not 0 < found <= SILENCE_MAX_S:
        raise click.UsageError(f"--for: expected more than 0 s and at most 366 d, found {text}; try: 2h")
    return found
