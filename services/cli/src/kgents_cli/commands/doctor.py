"""`kgents doctor`: NATS, streams, services and this machine → a line each, with the next command."""

import asyncio
import sys
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from typing import Final

import click
import msgspec

from kgents_cli import replication, snapshot
from kgents_cli.connection import connected
from kgents_cli.discovery import detect, useful
from kgents_cli.holders import Holding, holdings
from kgents_cli.installed import service_names
from kgents_cli.options import Target, output_option, target_options
from kgents_cli.output import NEUTRAL, OK, WRONG, painted, say, say_record
from kgents_cli.sentence import clean
from kgents_shared.bus import provision
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import Placement, stream_info
from kgents_shared.bus.session import Session
from kgents_shared.contract import codec, subjects
from kgents_shared.contract.errors import BusError
from kgents_shared.contract.meta import (
    HEARTBEAT_INTERVAL_S,
    HEARTBEAT_TTL_S,
    READY_STATES,
    STALL_S,
    Cost,
    Heartbeat,
)
from kgents_shared.contract.streams import NAME_BY_SIGNAL, streams
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.writers import WRITERS

LATE_S: Final = HEARTBEAT_TTL_S + HEARTBEAT_INTERVAL_S
"""The server drops a heartbeat when its time is over, but not to the second; older ones are late."""

_NS_PER_S: Final = 1_000_000_000
_PROVISION: Final = "kgents provision"
_LISTED: Final = 20
"""Clusters of an instance that are named; `-o json` names no more."""
_WIDTH: Final = 160
"""Characters of a line about a stream; `kgents provision --dry-run` prints all of it."""


class Verdict(msgspec.Struct, frozen=True):
    """The result of one check."""

    is_ok: bool | None
    """None: neither right nor wrong, but good to know."""
    text: str
    next_step: str = ""
    """The command to run; empty if there is none, or if the text names it."""


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
        found = await snapshot.now(bus, "meta", [filter_])
        server_ns = (await stream_info(session, NAME_BY_SIGNAL["meta"])).now_ns
        ages_s = {subject: (server_ns - each.time_ns) / _NS_PER_S for subject, each in found.items()}
        for verdict in services(snapshot.decoded(codec.META, found), ages_s, expected):
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
        yield Verdict(False, f"none of the {len(steps)} streams of kgents exists yet", _PROVISION)
    else:
        for step in differing:
            yield Verdict(False, _shortened(_stream_fault(step)), _PROVISION if step is differing[-1] else "")


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


def services(meta: Mapping[str, object], ages_s: Mapping[str, float], installed: Collection[str]) -> Iterator[Verdict]:
    """Each service that reports, and each that is installed and does not; the ages are by the server's clock."""
    beats = sorted(
        (
            (subjects.parse(subject).tokens["cluster"], beat, ages_s[subject])
            for subject, beat in meta.items()
            if isinstance(beat, Heartbeat)
        ),
        key=lambda each: (each[1].service, each[0], each[1].instance),
    )
    for cluster, beat, age_s in beats:
        if age_s > LATE_S:
            yield _late(cluster, beat, age_s)
            continue
        is_ready = beat.state in READY_STATES
        has_unread = beat.state == "in_sync" and beat.reason != ""
        next_step = "" if is_ready else f"kgents run {beat.service}"
        yield Verdict(None if has_unread else is_ready, _account(cluster, beat), next_step)
    for name in sorted(set(installed) - {beat.service for _, beat, _ in beats}):
        yield Verdict(False, f"{name} is installed, but does not report", f"kgents run {name}")
    yield from _unattended(beats)
    fresh = {subject: each for subject, each in meta.items() if ages_s[subject] <= LATE_S}
    for holding in holdings(fresh):
        yield from _held(holding)


def _unattended(beats: Sequence[tuple[str, Heartbeat, float]]) -> Iterator[Verdict]:
    """Clusters of which a collector reports, and whose topology or health no service keeps up to date."""
    clusters = dict.fromkeys(cluster for cluster, beat, _ in beats if beat.source)
    for service in WRITERS:
        served = {cluster for cluster, beat, _ in beats if beat.service == service and beat.state != "standby"}
        if missing := [cluster for cluster in clusters if cluster not in served]:
            text = f"{service}: no instance reports on {_listed(missing)}, which readers take for stale"
            yield Verdict(None, clean(text), f"kgents run {service}")


def _held(holding: Holding) -> Iterator[Verdict]:
    """Who writes which cluster, where that is a question; and what has no writer."""
    count = sum(map(len, holding.held.values()))
    if len(holding.held) > 1 or count > 1:
        shares = "; ".join(f"{instance} {_listed(clusters)}" for instance, clusters in holding.held.items())
        clusters = f"{count} cluster{'' if count == 1 else 's'}"
        yield Verdict(True, clean(f"{holding.service}: {clusters} on {len(holding.held)} instances: {shares}"))
    if waiting := [each for each in holding.free if each not in holding.barred]:
        text = f"{holding.service}: no instance holds {_listed(waiting)} at this moment; one takes it within seconds"
        yield Verdict(None, clean(text))
    if holding.barred:
        text = f"{holding.service}: no instance may write {_listed(holding.barred)} by its configured clusters"
        yield Verdict(False, clean(text), f"kgents run {holding.service}")


def _listed(clusters: Sequence[str]) -> str:
    if not clusters:
        return "stands by"
    more = f" and {len(clusters) - _LISTED} more" if len(clusters) > _LISTED else ""
    return f"{', '.join(clusters[:_LISTED])}{more}"


def _late(cluster: str, beat: Heartbeat, age_s: float) -> Verdict:
    """A heartbeat that is no sign of life, and which a server that can write would have dropped."""
    text = (
        f"{cluster}: expected {beat.service} {beat.instance} to report every {HEARTBEAT_INTERVAL_S:g} s, found its "
        f"last report {age_s:.0f} s old, and still on the server: NATS may be unable to write; check its disk and its "
        "log, and restart it once there is space: until then it stores nothing"
    )
    return Verdict(False, clean(text), f"kgents run {beat.service}")


def _account(cluster: str, beat: Heartbeat) -> str:
    """A heartbeat in words."""
    facts = [
        f"version {beat.version}",
        *([f"lag {beat.lag_s:.1f} s"] if beat.lag_s is not None else []),
        *([f"{beat.rows} rows"] if beat.rows else []),
        *([f"{count} {name}" for name, count in _troubles(beat) if count]),
        *([_buffered(beat)] if beat.spilled else []),
        *(_cost(beat.cost) if beat.cost is not None else []),
    ]
    return clean(f"{cluster}: {beat.text} ({', '.join(facts)})")


def _buffered(beat: Heartbeat) -> str:
    """How much waits on disk for NATS to take it, and how full that makes the buffer."""
    full = f", {beat.spilled_bytes / beat.spilled_max_bytes:.0%} of the buffer" if beat.spilled_max_bytes else ""
    return f"{beat.spilled} messages waiting on disk{full}".replace("%", " %")


def _cost(cost: Cost) -> Iterator[str]:
    yield f"{cost.cpu_percent:.1f} % of a core, {cost.memory_bytes >> 20} MiB"
    if cost.longest_stall_s > STALL_S:
        yield f"computed for {cost.longest_stall_s * 1000:.0f} ms without a pause"


def _troubles(beat: Heartbeat) -> tuple[tuple[str, int], ...]:
    return (
        ("conflicts", beat.conflicts),
        ("dead letters", beat.dead_letters),
        ("messages dropped", beat.evicted),
    )


def _line(verdict: Verdict) -> str:
    mark, style = {True: (OK, "healthy"), False: (WRONG, "critical"), None: (NEUTRAL, "dim")}[verdict.is_ok]
    step = f"; next: `{verdict.next_step}`" if verdict.next_step else ""
    return f"{painted(mark, style, sys.stdout)} {verdict.text}{step}"
