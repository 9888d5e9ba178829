"""`kgents up`: nats-server → streams → every service as a process → what they publish, until Ctrl-C."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click
import msgspec

from kgents_cli import demonstration, screen, terminal, web_address
from kgents_cli.auditing.recording import provisioned
from kgents_cli.board import Head
from kgents_cli.children import Log, keep_running, process_group
from kgents_cli.connection import connected
from kgents_cli.discovery import Finding, detect, useful
from kgents_cli.embedded import DEFAULT_PORT, EmbeddedServer, embedded_server, owned
from kgents_cli.installed import entry_point, service_names
from kgents_cli.live_board import LiveBoard
from kgents_cli.options import CLUSTER, DATA_DIR, NATS_URL, Target, output_option, overlaid, target_options
from kgents_cli.output import NEUTRAL, OK, WARNING, note, say
from kgents_cli.ports import free_port
from kgents_cli.relay import relay, relay_to
from kgents_shared.bus import provision
from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.elsewhere import require_one_store_of
from kgents_shared.contract.streams import streams
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.runtime.layers import FILE_VARIABLE

MONITOR_URLS: Final = "KGENTS__COLLECTOR_NATS__MONITOR_URLS"
LOCAL_DATABASES: Final = "KGENTS__COLLECTOR_DB__LOCAL"
"""Collect from databases of this machine that need no password; a configuration file names its targets itself."""
GATEWAY: Final = "gateway"
GATEWAY_PORT: Final = "KGENTS__GATEWAY__PORT"
USUAL_GATEWAY_PORT: Final = 7780


class Plan(msgspec.Struct, frozen=True):
    """What to start."""

    target: Target
    has_own_server: bool
    services: tuple[str, ...]
    findings: tuple[Finding, ...]
    """What is on this machine."""
    duration_s: float | None
    """None: until Ctrl-C or SIGTERM."""
    as_json: bool
    is_demo: bool
    """Whether a recording is shown instead of this machine."""
    gateway_port: int | None
    """Where the gateway listens, on 127.0.0.1; None if it does not run, or the configuration says where."""


@click.command("up")
@click.option("--duration", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Stop after S seconds.")
@click.option("--only", metavar="A,B", help="Start only these services.")
@click.option("--demo", is_flag=True, help="Show a recorded shop with an incident in it, instead of this machine.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Keep all data there.")
@output_option("text", "json")
@target_options
def command(
    duration: float | None, only: str | None, demo: bool, data: Path | None, output: str, target: Target
) -> None:
    """Start everything on this machine and show it live, until Ctrl-C.

    Without --nats it starts a nats-server too, on 127.0.0.1 alone; its data survive. With -o json only messages are
    printed, one JSON object per line. On a terminal it is drawn again and again: what is unwell with the worst first,
    then what changes; elsewhere it is a tree, then a line for each change.

    With --demo it shows the recording of a shop: two clusters, and within five minutes an incident with its symptoms,
    its most probable origin and its end. Nothing of this machine is observed, and nothing is kept.

    \b
    Examples:
      kgents up
      kgents up --demo
      kgents up --only collector-nats,topology-builder --nats nats://host:4222
      kgents up --duration 60 -o json > topology.jsonl
    """  # noqa: D301
    has_own_server = NATS_URL not in map(str.upper, target.environ())
    if demo:
        if not has_own_server or only is not None:
            raise click.UsageError("--demo brings its own NATS and services; expected neither --nats nor --only")
        with TemporaryDirectory(prefix="kgents-demo-") as directory:
            _start([*demonstration.SERVICES], [], duration, data or Path(directory), output, target, is_demo=True)
        return
    findings = detect(target.environ())
    if only is not None:
        names = [name.strip() for name in only.split(",")]
    else:
        names = useful(findings, service_names(), target.addressed())
    _start(names, findings, duration, data, output, target, is_demo=False)


def _start(
    names: Sequence[str],
    findings: Sequence[Finding],
    duration: float | None,
    data: Path | None,
    output: str,
    target: Target,
    *,
    is_demo: bool,
) -> None:
    has_own_server = NATS_URL not in map(str.upper, target.environ())
    for name in names:
        entry_point(name)
    overrides = target.overrides if data is None else {**target.overrides, DATA_DIR: str(data.absolute())}
    target = msgspec.structs.replace(target, overrides=overrides)
    has_gateway = GATEWAY in names and GATEWAY not in target.addressed()
    port = free_port(USUAL_GATEWAY_PORT) if has_gateway else None
    as_json = output == "json"
    plan = Plan(target, has_own_server, tuple(names), tuple(findings), duration, as_json, is_demo, port)
    asyncio.run(_up(plan, target.load()))


async def _up(plan: Plan, common: CommonConfig) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` has it
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    directory = Path(common.data_dir)
    with owned(directory):
        async with process_group() as group, _server(plan, directory, group) as server:
            if server is not None:
                common = msgspec.structs.replace(common, nats=NatsConfig(url=server.url))
            async with connected(common, log_level="warning") as bus:
                changes = await _provision(bus, common, is_own=server is not None)
                board = None
                if plan.as_json:
                    for line in _address_lines(server) if server is not None and not server.has_default_port else ():
                        note(line)
                    if plan.is_demo:
                        note(demonstration.NOTICE)
                else:
                    introduction = await _introduction(plan, common, server, changes, bus)
                    if terminal.can_be_drawn_on():
                        board = LiveBoard(_head(plan, common))
                    for line in introduction:
                        (board.note if board is not None and line else say)(line.strip() if board is not None else line)
                await _live(plan, common, group, server, bus, stopping, board)


@asynccontextmanager
async def _server(plan: Plan, directory: Path, group: int) -> AsyncIterator[EmbeddedServer | None]:
    """Our own nats-server; None when another one is to be used."""
    if not plan.has_own_server:
        yield None
        return
    async with embedded_server(directory, group) as server:
        yield server


async def _provision(bus: Bus, common: CommonConfig, *, is_own: bool) -> int:
    """Create or update the streams; returns how many of them."""
    session = await bus.session()
    plan = await provision.plan(session, streams(common.streams))
    if not is_own:
        await require_one_store_of(session, plan)
    await provisioned(bus, plan, common)
    return sum(not isinstance(step, provision.Unchanged) for step in plan.steps)


async def _introduction(
    plan: Plan, common: CommonConfig, server: EmbeddedServer | None, changes: int, bus: Bus
) -> list[str]:
    """What was started, and what else is on this machine."""
    session = await bus.session()
    version = ".".join(map(str, session.server_version))
    kind = "embedded" if server is not None else "yours"
    place = f"for cluster {common.cluster}" if not plan.is_demo else f"for {demonstration.FILE}"
    lines = [f"{OK} nats-server {version} ({kind})  {common.nats.url}  data: {common.data_dir}"]
    lines += _address_lines(server) if server is not None and not server.has_default_port else ()
    lines.append(f"{OK} {len(streams(common.streams))} streams ({changes} created or updated)")
    lines.append(f"{OK} starting {', '.join(plan.services)} {place}")
    if address := _web_address(plan):
        lines.append(f"{OK} gateway  {address}")
    if plan.is_demo:
        return [*lines, f"{WARNING} {demonstration.NOTICE}", ""]
    lines += ["", "on this machine"]
    lines += [f"  {_mark(each)} {each.detected.name:<13} {each.text}" for each in plan.findings]
    return [*lines, ""]


def _mark(finding: Finding) -> str:
    if not finding.detected.is_usable:
        return NEUTRAL
    return WARNING if finding.detected.problem else OK


def _head(plan: Plan, common: CommonConfig) -> Head:
    """What stays on top of the terminal."""
    facts = [f"web {address}"] if (address := _web_address(plan)) else []
    facts += [common.nats.url, f"cluster {common.cluster}"] if not plan.is_demo else [common.nats.url]
    return Head("kgents up", (*facts, "Ctrl-C ends it"), demonstration.NOTICE if plan.is_demo else "")


def _web_address(plan: Plan) -> str:
    """Where a browser finds the gateway; empty: it does not run, or at a port that only its log names."""
    if plan.gateway_port is not None:
        return f"http://127.0.0.1:{plan.gateway_port}/"
    return web_address.configured(plan.target) if GATEWAY in plan.services else ""


def _address_lines(server: EmbeddedServer) -> tuple[str, ...]:
    """How other commands find the server if it is not at the default address."""
    return (
        f"{WARNING} port {DEFAULT_PORT} is in use by another program; before any other command, run",
        f"    export {NATS_URL}={server.url}",
        f"  or stop this one, and use the server on that port: kgents up --nats nats://127.0.0.1:{DEFAULT_PORT}",
    )


async def _live(
    plan: Plan,
    common: CommonConfig,
    group: int,
    server: EmbeddedServer | None,
    bus: Bus,
    stopping: asyncio.Event,
    board: LiveBoard | None,
) -> None:
    """Run everything until it is time to stop."""
    environ, log = _environ(plan, common, server), Log(relay(list(plan.services)), note, "above")
    show = screen.show_records if plan.as_json else screen.show_tree
    if board is not None:
        show = board.show
        if sys.stderr.isatty():  # what is written there would be on the picture
            file = Path(common.data_dir) / "services.log"
            log = Log(relay_to(file, board.note), lambda text: board.note(text, "warning"), f"in {file}")
    async with asyncio.TaskGroup() as tasks:
        work = [tasks.create_task(keep_running(name, _command(name), environ, group, log)) for name in plan.services]
        work.append(tasks.create_task(show(bus)))
        if plan.is_demo:
            work.append(tasks.create_task(demonstration.play_again_and_again(bus)))
        if server is not None:
            work.append(tasks.create_task(server.keep_running(log.note)))
        with suppress(TimeoutError):
            async with asyncio.timeout(plan.duration_s):
                await stopping.wait()
        for task in work:
            task.cancel()


def _command(service: str) -> Sequence[str]:
    """What starts a service: the same as in production."""
    return (sys.executable, "-m", "kgents_cli", "run", service)


def _environ(plan: Plan, common: CommonConfig, server: EmbeddedServer | None) -> dict[str, str]:
    """The variables of the services."""
    given = {**plan.target.overrides, NATS_URL: common.nats.url, CLUSTER: common.cluster, DATA_DIR: common.data_dir}
    if plan.is_demo:
        given |= demonstration.SETTINGS
    if plan.target.config_file is not None:
        given[FILE_VARIABLE] = str(plan.target.config_file)
    elif "collector-db" in plan.services and LOCAL_DATABASES not in map(str.upper, plan.target.environ()):
        given[LOCAL_DATABASES] = "true"
    if plan.gateway_port is not None:
        given[GATEWAY_PORT] = str(plan.gateway_port)
    if server is not None:
        given[MONITOR_URLS] = msgspec.json.encode([server.monitor_url]).decode()
    return overlaid(plan.target.environ(), given)
