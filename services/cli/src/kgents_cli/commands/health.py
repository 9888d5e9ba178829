"""`kgents health`: KGENTS_HEALTH → how everything is, or why one thing is as it is."""

import asyncio
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

import click

from kgents_cli import snapshot
from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.moment import span
from kgents_cli.options import Target, output_option, target_options
from kgents_cli.output import note, painted, say, say_record
from kgents_cli.sentence import clean
from kgents_cli.suggestion import did_you_mean
from kgents_shared.contract import codec, subjects
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.errors import KgentsError
from kgents_shared.contract.health import LEVELS, Health, Reason
from kgents_shared.runtime.clock import SystemClock, unix_ns
from kgents_shared.runtime.config import CommonConfig

_BADNESS: Final = {"critical": 0, "warning": 1, "unknown": 2}
"""Level → its place in the list; a level that is new to us comes behind them."""
_LISTED_MAX: Final = 10
"""Names in an error: more are no help."""


@click.command("health")
@click.argument("entity", default="")
@output_option("text", "json")
@target_options
def command(entity: str, output: str, target: Target) -> None:
    """Show how everything is, the worst first; or why one thing is as it is.

    ENTITY is kind/namespace/name, kind/name, or a part of a name that only one thing has.

    \b
    Examples:
      kgents health                     what is not well
      kgents health pod/shop/cart-7f    one thing: every reason with its value and threshold
      kgents health cart -o json
    """  # noqa: D301
    asyncio.run(_health(target.load(), entity, target.cluster, as_json=output == "json"))


async def _health(common: CommonConfig, entity: str, cluster: str | None, *, as_json: bool) -> None:
    now = SystemClock().now()
    fields = {"cluster": cluster} if cluster is not None else {}
    async with connected(common) as bus:
        await require(bus, [STREAMS["health"]])
        payloads = await snapshot.now(bus, "health", subjects.pattern("health", **fields), unix_ns(now))
    health = snapshot.decoded(codec.HEALTH, payloads)
    if entity:
        subject = find(entity, health)
        record, lines = payloads[subject], explained(health[subject], now)
    else:
        record, lines = b"[" + b",\n".join(payloads.values()) + b"]", summary(list(health.values()), now)
    if as_json:
        say_record(record)
        return
    if not health:
        note("no health is published yet; see who scores it with `kgents doctor`")
    for line in lines:
        say(line)


def find(text: str, health: Mapping[str, Health]) -> str:
    """The subject of the one thing that a person means.

    Raises:
        KgentsError: nothing, or more than one thing, is called that.
    """
    names = {subject: _path(each.ref) for subject, each in health.items()}
    exact = [subject for subject, each in health.items() if text in _spellings(each.ref)]
    hits = exact or [subject for subject, name in names.items() if text in name]
    if len(hits) == 1:
        return hits[0]
    if not hits:
        known = {spelling for each in health.values() for spelling in _spellings(each.ref)}
        raise KgentsError(f"no health of {text!r}; {did_you_mean(text, known)} See all with `kgents health`")
    meant = sorted({names[subject] for subject in hits})
    more = f" and {len(meant) - _LISTED_MAX} more" if len(meant) > _LISTED_MAX else ""
    if len(meant) == 1:
        raise KgentsError(f"{meant[0]} is in several clusters; name one, as in `kgents health {meant[0]} --cluster …`")
    raise KgentsError(
        f"{text!r} may be {', '.join(meant[:_LISTED_MAX])}{more}; name one, as in `kgents health {meant[0]}`"
    )


def summary(health: Iterable[Health], now: datetime) -> Iterator[str]:
    """The clusters, and everything that is not healthy, the worst first."""
    everything = sorted(health, key=lambda each: each.ref)
    for each in everything:
        if each.aggregate is not None:
            yield from _cluster(each)
    things = [each for each in everything if each.aggregate is None]
    unwell = [each for each in things if each.level != "healthy"]
    if things and not unwell:
        yield f"everything is healthy ({len(things)})"
    for each in sorted(unwell, key=lambda each: (_BADNESS.get(each.level, len(_BADNESS)), each.score)):
        yield ""
        yield _headline(each, now)
        yield from (f"    {reason.check}  {clean(reason.text)}" for reason in each.reasons)


def explained(health: Health, now: datetime) -> Iterator[str]:
    """One thing: its level and every reason for it."""
    yield _headline(health, now)
    yield f"  {clean(health.text)}"
    if health.aggregate is not None:
        yield from _cluster(health)
        return
    yield f"  {health.evaluated} of {health.applicable} checks had the data they need"
    for reason in health.reasons:
        yield ""
        yield f"  {reason.check}  {clean(reason.text)}"
        yield from (f"    {name:<10} {clean(value)}" for name, value in _facts(reason))


def _facts(reason: Reason) -> Iterator[tuple[str, str]]:
    yield "severity", f"{reason.severity:.2f}"
    unit = f" {reason.unit}" if reason.unit not in ("", "1") else ""
    for name, value in (("value", reason.value), ("threshold", reason.threshold)):
        if value is not None:
            yield name, f"{value:g}{unit}" if isinstance(value, float) else f"{value}{unit}"
    if reason.evidence:
        yield "evidence", reason.evidence


def _cluster(health: Health) -> Iterator[str]:
    aggregate = health.aggregate
    if aggregate is None:
        return
    counts = ", ".join(f"{count} {level}" for level in LEVELS if (count := aggregate.status_breakdown.get(level)))
    mean = f", mean score {aggregate.overall:.2f}" if aggregate.overall is not None else ""
    status = painted(aggregate.status, health.level, sys.stdout)
    yield f"cluster {clean(health.ref.cluster)}: {status} ({counts or 'nothing in it'}{mean})"
    for kind, each in sorted(aggregate.by_kind.items()):
        worst = f"  worst {each.worst:.2f}" if each.worst is not None else ""
        levels = (("critical", each.critical), ("warning", each.warning), ("unknown", each.unknown))
        unwell = ", ".join(f"{count} {level}" for level, count in levels if count)
        yield f"  {clean(kind):<16} {each.count:>6}  {unwell or 'all healthy'}{worst if unwell else ''}"


def _headline(health: Health, now: datetime) -> str:
    score = "" if health.level == "unknown" else f" {health.score:.2f}"
    for_ = f"  for {span((now - health.since).total_seconds())}" if health.since is not None else ""
    level = painted(f"{health.level}{score}", health.level, sys.stdout)
    return f"{level}  {clean(str(health.ref))}{for_}"


def _path(ref: Ref) -> str:
    return f"{ref.kind}/{ref.namespace}/{ref.name}" if ref.namespace else f"{ref.kind}/{ref.name}"


def _spellings(ref: Ref) -> tuple[str, ...]:
    """What a thing may be called, if nothing else is."""
    return (_path(ref), f"{ref.kind}/{ref.name}", ref.name)
