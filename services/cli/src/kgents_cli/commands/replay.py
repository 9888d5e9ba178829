"""`kgents replay`: a file of `kgents record` → its messages on a NATS, at the times at which they came."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from kgents_cli.auditing.recording import written
from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.options import NATS_URL, Target, duration_option, output_option, target_options
from kgents_cli.output import note
from kgents_cli.recorded.moved import Moved
from kgents_cli.recorded.player import Pace, before, player
from kgents_shared.bus.audit import audited
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.contract.audit import REPLAY
from kgents_shared.contract.errors import RecordingError
from kgents_shared.contract.recording import SIGNALS, Recording
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.runtime.config import CommonConfig

PREFIX: Final = "replay-"
SPEED_MIN: Final = 0.5
"""Slower, and the reports of collectors would expire between two of them."""
SPEED_MAX: Final = 100.0


@click.command("replay")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--as", "name", metavar="CLUSTER", help=f"The cluster to replay it as; by default {PREFIX}<its own>.")
@click.option("--hold", is_flag=True, help="Leave its last state; else it is removed at the end.")
@click.option(
    "--speed",
    type=click.FloatRange(SPEED_MIN, SPEED_MAX),
    default=1.0,
    metavar="N",
    help="So many times as fast. What must last for a time before it is an alert lasts a shorter time then.",
)
@duration_option("--until", "until_s", "Stop so long after its beginning, such as 2m.")
@click.option("--offline", is_flag=True, help="Without NATS, at once: print the topology, health and alerts of it.")
@output_option("text", "json")
@target_options
def command(
    file: Path,
    name: str | None,
    hold: bool,
    speed: float,
    until_s: float | None,
    offline: bool,
    output: str,
    target: Target,
) -> int:
    """Replay FILE, a recording of `kgents record`, into a NATS whose services make topology, health and alerts of it.

    Everything in it is published under another cluster's name, at the times at which it came, and with times as if it
    happened now. Each entity says that it is replayed. At the end, and at Ctrl-C, it is removed again.

    With --offline nothing is published: the same services judge it here, by the times in the file, and each message
    that they would publish is a line. The same file always gives the same lines.

    \b
    Examples:
      kgents up                                      in one terminal
      kgents replay incident.kgrec                   in another; then see it with
      kgents get all --cluster replay-prod
      kgents replay incident.kgrec --offline --until 3m
      kgents replay incident.kgrec --offline -o json > judged.jsonl
    """  # noqa: D301
    if offline:
        if name is not None or hold or speed != 1.0 or NATS_URL in target.overrides:
            raise click.UsageError("--offline publishes nothing; expected none of --as, --hold, --speed and --nats")
        from kgents_cli.recorded.judged import say_judged  # noqa: PLC0415 - imports two services, which others do not need

        return say_judged(file, until_s, as_json=output == "json")
    if output == "json":
        raise click.UsageError("-o json prints what --offline finds; try: kgents watch -o json, beside the replay")
    return asyncio.run(_replay(target.load(), file, name, hold=hold, speed=speed, until_s=until_s))


async def _replay(
    common: CommonConfig, file: Path, name: str | None, *, hold: bool, speed: float, until_s: float | None
) -> int:
    with file.open("rb") as opened:
        recording = Recording(opened)
        if name is not None and len(clusters := recording.header.clusters) > 1:
            found = ", ".join(clusters)
            raise RecordingError(f"expected one cluster to replay as {name}, found {found}; try: without --as")
        async with connected(common, log_level="warning") as bus:
            await require(bus, [STREAMS[each] for each in (*SIGNALS, "audit")])
            now_ns = (await stream_info(await bus.session(), NAME_BY_SIGNAL["meta"])).now_ns
            pace = Pace(recording.header.started_at, datetime.fromtimestamp(now_ns / 1e9, UTC), speed)
            moved = Moved(pace.time, lambda cluster: name or f"{PREFIX}{cluster}", file.name)
            after = {"file": str(file), "as": name or f"{PREFIX}…", "hold": hold, "speed": speed}
            is_interrupted = False
            record = written(name or common.cluster, REPLAY, f"recording {file.name}", after=after)
            async with player(bus, moved, pace) as playing, audited(bus, record):
                try:
                    await playing.play(before(recording.rows(), until_s))
                except asyncio.CancelledError:  # the user has seen enough
                    is_interrupted = True
                finally:
                    if not hold:
                        await playing.remove()
            if is_interrupted:
                raise asyncio.CancelledError
    note(f"{file}: replayed {playing.published} messages" + ("" if hold else "; all of it is removed again"))
    return 0
