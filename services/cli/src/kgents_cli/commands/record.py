"""`kgents record`: what collectors publish, and what is made of it, from now on or from a time on → one file."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import click

from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.options import Target, duration_option, target_options
from kgents_cli.output import note
from kgents_cli.recorded.redacted import Redactor
from kgents_cli.recorded.tape import Tape, part_of
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Batch
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.contract import subjects
from kgents_shared.contract.errors import RecordingError
from kgents_shared.contract.recording import MADE, PUBLISHED, SIGNALS, STATE, Recording, Row
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.feed import LOGS, feed
from kgents_shared.view.merge import merged

SETTLE_S: Final = 2.0
"""Messages of different streams come here at different times; so long they wait to be put in order."""
_NS_PER_US: Final = 1_000
_RECORDED: Final = (*SIGNALS, *MADE)
_RANK: Final = {name: place for place, name in enumerate(_RECORDED)}


@click.command("record")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@duration_option("--for", "for_s", "Stop after so long, such as 10m; else at Ctrl-C.")
@duration_option("--since", "since_s", "Samples and events of so long before, too.")
@click.option("--redact", is_flag=True, help="Replace every name, address and text, the same one by the same.")
@click.option(
    "--from",
    "other",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Take the messages of another recording, not of NATS, as to redact it.",
)
@target_options
def command(
    file: Path, for_s: float | None, since_s: float | None, redact: bool, other: Path | None, target: Target
) -> int:
    """Record what collectors publish into FILE, to be replayed elsewhere with `kgents replay`.

    Topology and alerts are recorded, too, for `kgents alerts replay`: who would have been notified by other routes.

    It begins with the state there is: all entities, and who reports them. Samples and events are kept by NATS for some
    time (an hour, a week), which --since reaches; of entities NATS keeps the last message alone, so --since does not
    show how they were before. The file holds what the streams hold: names, labels and addresses, no secrets; with
    --redact none of these, only kinds, conditions and figures, by which it is judged as before.

    \b
    Examples:
      kgents record incident.kgrec --for 10m
      kgents record --cluster prod --since 30m incident.kgrec
      kgents record --from incident.kgrec --redact shared.kgrec
    """  # noqa: D301
    if file.exists():
        raise click.UsageError(f"expected a new file, found {file}; try: another name, or remove it")
    redactor = Redactor() if redact else None
    if other is not None:
        if for_s is not None or since_s is not None or target.overrides:
            raise click.UsageError("--from takes all of another recording; expected no other flag but --redact")
        messages = _copy(other, file, redactor)
    else:
        messages = asyncio.run(_record(target.load(), file, target.cluster, for_s, since_s or 0.0, redactor))
    if redactor is not None and redactor.left_out:
        note(f"{redactor.left_out} messages are left out: this kgents cannot read them, and so not redact them")
    note(f"{file}: {messages} messages, {-(-file.stat().st_size // 1024)} KiB; try: kgents replay {file}")
    return 0


def _copy(other: Path, file: Path, redactor: Redactor | None) -> int:
    """Take over another file; of one that was cut off, what it holds.

    Raises:
        RecordingError: it was cut off, or is damaged.
    """
    fault: RecordingError | None = None
    with other.open("rb") as opened:
        recording = Recording(opened)
        with part_of(file) as out:
            tape = Tape(out, recording.header.started_at, recording.header.clusters, redactor, recording.header.made)
            try:
                for row in recording.rows():
                    tape.put(row)
            except RecordingError as error:
                fault = error
            tape.end()
    if fault is not None:
        raise RecordingError(f"{other}: {fault}; what could be read is in {file}")
    return tape.messages


async def _record(
    common: CommonConfig,
    file: Path,
    cluster: str | None,
    for_s: float | None,
    since_s: float,
    redactor: Redactor | None,
) -> int:
    stopping = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stopping.set)
    async with connected(common, log_level="warning") as bus:
        await require(bus, [STREAMS[each] for each in _RECORDED])
        now_ns = (await stream_info(await bus.session(), NAME_BY_SIGNAL["entity"])).now_ns
        with part_of(file) as out:
            tape = Tape(out, _time(now_ns), [cluster] if cluster is not None else [], redactor, MADE)
            order = _Order(tape, now_ns)
            await _until(stopping, for_s, order, _sources(bus, cluster, now_ns, since_s))
            order.write(is_end=True)
            tape.end()
    return tape.messages


def _sources(bus: Bus, cluster: str | None, now_ns: int, since_s: float) -> AsyncGenerator[tuple[str, Batch], None]:
    fields = {"cluster": cluster} if cluster is not None else {}
    filters = {each: [subjects.pattern(each, **fields)] for each in _RECORDED}
    begin = _time(now_ns) - timedelta(seconds=since_s)
    state = {each: filters[each] for each in _RECORDED if each not in LOGS}
    return _flat(
        merged(
            {
                "state": feed(bus, state),
                "logs": feed(bus, {each: filters[each] for each in _RECORDED if each in LOGS}, since=begin),
            }
        )
    )


async def _flat(
    found: AsyncGenerator[tuple[str, tuple[str, Batch]], None],
) -> AsyncGenerator[tuple[str, Batch], None]:
    async with aclosing(found) as batches:
        async for _, named in batches:
            yield named


async def _until(
    stopping: asyncio.Event, for_s: float | None, order: "_Order", batches: AsyncGenerator[tuple[str, Batch], None]
) -> None:
    """Write what comes until it is time to stop."""
    writing = asyncio.create_task(_write(order, batches))
    stop = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait([writing, stop], timeout=for_s, return_when=asyncio.FIRST_COMPLETED)
        if writing.done():
            writing.result()
    finally:
        for each in (writing, stop):
            each.cancel()
            with suppress(asyncio.CancelledError):
                await each


async def _write(order: "_Order", batches: AsyncGenerator[tuple[str, Batch], None]) -> None:
    async with aclosing(batches), asyncio.TaskGroup() as tasks:
        tasks.create_task(_settle(order))
        async for name, batch in batches:
            order.take(name, batch.deliveries)


async def _settle(order: "_Order") -> None:
    while True:
        await asyncio.sleep(SETTLE_S)
        order.write()


class _Order:
    """Messages of several streams, put in one order on the way to the tape."""

    def __init__(self, tape: Tape, started_ns: int) -> None:
        self._tape = tape
        self._started_ns = started_ns
        self._waiting: list[tuple[int, int, int, Delivery]] = []
        self._newest_ns = 0

    def take(self, name: str, deliveries: list[Delivery]) -> None:
        """Messages of one stream, in its order. What the server alone has to say (markers) is left out."""
        for each in deliveries:
            if not each.marker:
                self._waiting.append((each.time_ns, _RANK[name], each.seq, each))
                self._newest_ns = max(self._newest_ns, each.time_ns)

    def write(self, *, is_end: bool = False) -> None:
        """Write what no message of another stream can come before any more."""
        before_ns = self._newest_ns - int(SETTLE_S * 1e9)
        ready = sorted(each for each in self._waiting if is_end or each[0] <= before_ns or each[0] < self._started_ns)
        if not ready:
            return
        done = set(map(id, ready))
        self._waiting = [each for each in self._waiting if id(each) not in done]
        for *_, delivery in ready:
            self._tape.put(self._row(delivery))
        self._tape.flush()
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{self._tape.messages} messages ")
            sys.stderr.flush()

    def _row(self, each: Delivery) -> Row:
        is_state = each.time_ns < self._started_ns and each.subject.split(".")[1] not in LOGS
        at_us = (each.time_ns - self._started_ns) // _NS_PER_US
        return Row(at_us, STATE if is_state else PUBLISHED, each.seq, each.subject, each.headers, each.payload)


def _time(ns: int) -> datetime:
    return datetime.fromtimestamp(ns / 1e9, UTC)
