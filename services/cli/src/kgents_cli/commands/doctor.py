"""`kgents doctor`: NATS, streams, services and this machine → a line each, with the next command."""

import asyncio
import sys
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from typing import Final

import click
import msgspec

from kgents_cli import replication, snapshot
from kgents_cli.connection import connected
from kgents_cli.discovery import detect, useful
from kgents_cli.installed import service_names
from kgents_cli.kept_copies import PROVISION, copy_verdicts
from kgents_cli.options import Target, output_option, target_options
from kgents_cli.output import NEUTRAL, OK, WRONG, painted, say, say_record
from kgents_cli.sentence import clean
from kgents_shared.bus import provision
from kgents_shared.bus.client import Bus
from kgents_shared.bus.copies import plan_copies
from kgents_shared.bus.jetstream import Placement, stream_info
from kgents_shared.bus.session import Session
from kgents_shared.contract import subjects
from kgents_shared.contract.errors import BusError
from kgents_shared.contract.streams import NAME_BY_SIGNAL, StreamsConfig, copies, streams
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.runtime.pipeline import Reports, Verdict

_WIDTH: Final = 160
"""Characters of a line about a stream; `kgents provision --dry-run` prints all of it."""


@click.command("doctor")
@output_option("text", "json")
@target_options
def command(output: str, target: Target) -> int:
    """Check NATS, streams, services and this machine, and suggest the next step.

    The exit code is 1 if something is wrong.

    \b
    Examples:
      kgents doctor
      kgents doctor --nats nats://host:4222 -o json
    """  # noqa: D301
    return asyncio.run(_doctor(target, target.load(), as_json=output == "json"))


async def _doctor(target: Target, common: CommonConfig, *, as_json: bool) -> int:
    is_ok = True
    async for verdict in _verdicts(target, common):
        is_ok = is_ok and verdict.is_ok is not False
        if as_json:
            say_record(msgspec.json.encode(verdict))
        else:
            say(_line(verdict))
    return 0 if is_ok else 1


async def _verdicts(target: Target, common: CommonConfig) -> AsyncIterator[Verdict]:
    findings = await asyncio.to_thread(detect, target.environ())
    expected = useful(findings, service_names(), target.addressed())
    try:
        async with connected(common) as bus:
            async for verdict in _nats(bus, common, target.cluster, expected):
                yield verdict
    except BusError as error:
        yield Verdict(False, str(error))
    for finding in findings:
        yield Verdict(None, f"{finding.detected.name}: {finding.text}")


async def _nats(
    bus: Bus, common: CommonConfig, cluster: str | None, expected: Collection[str]
) -> AsyncIterator[Verdict]:
    session = await bus.session()
    version = ".".join(map(str, session.server_version))
    yield Verdict(True, f"NATS answers at {common.nats.url}: server {session.server_name}, version {version}")
    for fault in replication.faults(await _placements(session)):  # first: without a majority only this is answered
        yield Verdict(False, _shortened(fault))
    plan = await provision.plan(session, streams(common.streams))
    for verdict in stream_verdicts(plan.steps):
        yield verdict
    if not plan.has_changes:
        fields = {"cluster": cluster} if cluster is not None else {}
        filter_ = subjects.pattern("meta", **fields)
        found = await snapshot.last(bus, "meta", [filter_])
        server_ns = (await stream_info(session, NAME_BY_SIGNAL["meta"])).now_ns
        for verdict in Reports.read(found, server_ns).verdicts(expected):
            yield msgspec.structs.replace(verdict, text=clean(verdict.text))
        async for verdict in _copies(session, common.streams):
            yield verdict


async def _copies(session: Session, config: StreamsConfig) -> AsyncIterator[Verdict]:
    """Of the copies for the archive; last, since a login that may not ask for them waits for its answer."""
    kept = copies(config)
    try:
        steps = (await plan_copies(session, kept)).steps
        infos = {each.name: await provision.find(session, each.name) for each in kept}
    except BusError as error:
        yield Verdict(None, f"whether the copies for the archive are in order is not known: {error}")
        return
    for verdict in copy_verdicts(kept, steps, infos):
        yield verdict


async def _placements(session: Session) -> dict[str, Placement]:
    """Of each stream that a cluster holds."""
    infos = {name: await provision.find(session, name) for name in NAME_BY_SIGNAL.values()}
    return {name: info.cluster for name, info in infos.items() if info is not None and info.cluster is not None}


def stream_verdicts(steps: Sequence[provision.Step]) -> Iterator[Verdict]:
    """Whether the streams have their expected form; a line for each that does not, and the way out in the last."""
    differing = [step for step in steps if not isinstance(step, provision.Unchanged)]
    if not differing:
        yield Verdict(True, f"JetStream holds all {len(steps)} streams in their expected form")
    elif all(isinstance(step, provision.Create) for step in steps):
        yield Verdict(False, f"none of the {len(steps)} streams of kgents exists yet", PROVISION)
    else:
        for step in differing:
            yield Verdict(False, _shortened(_stream_fault(step)), PROVISION if step is differing[-1] else "")


def _stream_fault(step: provision.Step) -> str:
    match step:
        case provision.Create():
            return f"stream {step.stream} is missing"
        case provision.Update():
            return f"stream {step.stream} differs: {', '.join(map(str, step.changes))}"
        case _:
            return str(step)


def _shortened(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _line(verdict: Verdict) -> str:
    mark, style = {True: (OK, "healthy"), False: (WRONG, "critical"), None: (NEUTRAL, "dim")}[verdict.is_ok]
    step = f"; next: `{verdict.next_step}`" if verdict.next_step else ""
    return f"{painted(mark, style, sys.stdout)} {verdict.text}{step}"
