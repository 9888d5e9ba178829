"""`kgents record`: what collectors publish, and what is made of it, from now on or from a time on → one file."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO, Final

import click

from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.options import Target, target_options
from kgents_cli.output import note
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Batch
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.contract import subjects
from kgents_shared.contract.errors import KgentsError
from kgents_shared.contract.recording import MADE, MEMBER_BYTES, PUBLISHED, SIGNALS, STATE, Encoder, Row
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.view.feed import LOGS, feed
from kgents_shared.view.merge import merged
from kgents_shared.view.moment import duration_s

SETTLE_S: Final = 2.0
"""Messages of different streams come here at different times; so long they wait to be put in order."""
_NS_PER_US: Final = 1_000
_RECORDED: Final = (*SIGNALS, *MADE)
_RANK: Final = {name: place for place, name in enumerate(_RECORDED)}


@click.command("record")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--for", "for_", metavar="DURATION", help="Stop after so long, such as 10m; else at Ctrl-C.")
@click.option("--since", metavar="DURATION", help="Samples and events of so long before, too.")
@target_options
def command(file: Path, for_: str | None, since: str | None, target: Target) -> int:
    """Record what collectors publish into FILE, to be replayed elsewhere with `kgents replay`.

    Topology and alerts are recorded, too, for `kgents alerts replay`: who would have been notified by other routes.

    It begins with the state there is: all entities, and who reports them. Samples and events are kept by NATS for some
    time (an hour, a week), which --since reaches; of entities NATS keeps the last message alone, so --since does not
    show how they were before. The file holds what the streams hold: names, labels and addresses, no secrets.

    \b
    Examples:
      kgents record incident.kgrec --for 10m
      kgents record --cluster prod --since 30m incident.kgrec
    """  # noqa: D301
    for_s, since_s = _seconds("--for", for_), _seconds("--since", since)
    if file.exists():
        raise click.UsageError(f"expected a new file, found {file}; try: another name, or remove it")
    messages = asyncio.run(_record(target.load(), file, target.cluster, for_s, since_s or 0.0))
    note(f"{file}: {messages} messages, {-(-file.stat().st_size // 1024)} KiB; try: kgents replay {file}")
    return 0


def _seconds(option: str, text: str | None) -> float | None:
    try:
        return duration_s(text) if text is not None else None
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from None


async def _record(common: CommonConfig, file: Path, cluster: str | None, for_s: float | None, since_s: float) -> int:
    part = file.with_name(f"{file.name}.part")
    stopping = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stopping.set)
    async with connected(common, log_level="warning") as bus:
        await require(bus, [STREAMS[each] for each in _RECORDED])
        now_ns = (await stream_info(await bus.session(), NAME_BY_SIGNAL["entity"])).now_ns
        try:
            with part.open("xb") as out:
                tape = _Tape(out, now_ns, [cluster] if cluster is not None else [])
                await _until(stopping, for_s, tape, _sources(bus, cluster, now_ns, since_s))
                tape.end()
        except FileExistsError:
            raise KgentsError(f"another recording writes {part}; try: another name, or remove it") from None
        except OSError as error:
            raise KgentsError(f"cannot write {part}: {error.strerror}; what it holds can be replayed") from None
    part.rename(file)
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
    stopping: asyncio.Event, for_s: float | None, tape: "_Tape", batches: AsyncGenerator[tuple[str, Batch], None]
) -> None:
    """Write what comes until it is time to stop."""
    writing = asyncio.create_task(_write(tape, batches))
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


async def _write(tape: "_Tape", batches: AsyncGenerator[tuple[str, Batch], None]) -> None:
    async with aclosing(batches), asyncio.TaskGroup() as tasks:
        tasks.create_task(_settle(tape))
        async for name, batch in batches:
            tape.take(name, batch.deliveries)


async def _settle(tape: "_Tape") -> None:
    while True:
        await asyncio.sleep(SETTLE_S)
        tape.write()


class _Tape:
    """The file: messages of several streams, put in one order."""

    def __init__(self, out: BinaryIO, started_ns: int, clusters: list[str]) -> None:
        self._out = out
        self._started_ns = started_ns
        self._encoder = Encoder()
        self._waiting: list[tuple[int, int, int, Delivery]] = []
        self._newest_ns = 0
        out.write(self._encoder.begin(clusters, _time(started_ns), f"kgents {version('kgents-cli')}", MADE))

    @property
    def messages(self) -> int:
        """Messages written."""
        return self._encoder.messages

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
        rows, size = list[Row](), 0
        for *_, delivery in ready:
            rows.append(self._row(delivery))
            size += len(delivery.payload)
            if size >= MEMBER_BYTES:
                self._out.write(self._encoder.member(rows))
                rows, size = [], 0
        if rows:
            self._out.write(self._encoder.member(rows))
        self._out.flush()
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{self.messages} messages ")
            sys.stderr.flush()

    def end(self) -> None:
        """Write the rest, and the end."""
        self.write(is_end=True)
        self._out.write(self._encoder.end())

    def _row(self, each: Delivery) -> Row:
        is_state = each.time_ns < self._started_ns and each.subject.split(".")[1] not in LOGS
        at_us = (each.time_ns - self._started_ns) // _NS_PER_US
        return Row(at_us, STATE if is_state else PUBLISHED, each.seq, each.subject, each.headers, each.payload)


def _time(ns: int) -> datetime:
    return datetime.fromtimestamp(ns / 1e9, UTC)
