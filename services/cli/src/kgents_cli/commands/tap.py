"""`kgents tap`: a NATS subject → its messages as they come, without payloads, no more than can be read."""

import asyncio
import select
import sys
from contextlib import suppress
from typing import Final

import click
import msgspec

from kgents_cli.connection import connected
from kgents_cli.options import Target, duration_option, output_option, target_options
from kgents_cli.output import note, say, say_record, until_reader_leaves
from kgents_cli.tapped import Sampler, Tapped
from kgents_shared.bus.client import Bus
from kgents_shared.bus.session import Session, SessionLostError
from kgents_shared.contract.errors import BusError
from kgents_shared.contract.subjects import fault_of_filter
from kgents_shared.runtime.clock import SystemClock
from kgents_shared.runtime.config import CommonConfig

WINDOW_S: Final = 1.0
"""How often is said what was left out."""
RATE_MAX: Final = 1_000
FLOOD: Final = 20_000
"""Messages in one window; then nothing is listened to until its end: to read more would only load the server."""


@click.command("tap")
@click.argument("subject")
@click.option("--rate", type=click.IntRange(1, RATE_MAX), default=50, show_default=True, help="Messages shown per s.")
@duration_option("--for", "for_s", "Stop after so long, such as 10s; else at Ctrl-C.")
@click.option("--payload", is_flag=True, help="Show payloads and the values of headers, too; on a terminal only.")
@output_option("text", "json")
@target_options
def command(subject: str, rate: int, for_s: float | None, payload: bool, output: str, target: Target) -> None:
    """Show the messages of any NATS subject as they are published: subject, size and headers.

    SUBJECT is any filter, also of other applications: `*` is one token, `>` the rest. It is quoted, since a shell
    reads both. Only what is published from now on is shown; see what streams hold with `kgents watch`.

    When more comes than --rate, some of it is shown, and how much came is said. Payloads may hold what is private:
    they are shown with --payload, and never printed into a file or pipe. Messages of kgents are shown as a sentence.
    With -o json each line is a message, or `seen` and `shown` of a second in which some were left out.

    \b
    Examples:
      kgents tap 'orders.>'
      kgents tap 'orders.created' --payload
      kgents tap 'kgents.event.>' -o json --for 1m
    """  # noqa: D301
    if (fault := fault_of_filter(subject)) is not None:
        raise click.UsageError(f"expected a NATS subject such as 'orders.>', found {fault} in {subject!r}")
    if payload and (output == "json" or not sys.stdout.isatty()):
        raise click.UsageError("--payload: expected a terminal, found a file, a pipe or -o json; leave it out")
    tap = _Tap(subject, Sampler(rate), has_payload=payload, as_json=output == "json")
    asyncio.run(_run(target.load(), tap, for_s))


async def _run(common: CommonConfig, tap: "_Tap", for_s: float | None) -> None:
    async with connected(common, log_level="error") as bus, until_reader_leaves():
        with suppress(TimeoutError):
            async with asyncio.timeout(for_s), asyncio.TaskGroup() as tasks:
                tasks.create_task(tap.write())
                await tap.follow(bus)


class _Tap:
    """What comes from the connection waits here to be printed."""

    def __init__(self, subject: str, sampler: Sampler, *, has_payload: bool, as_json: bool) -> None:
        self._subject = subject
        self._sampler = sampler
        self._has_payload = has_payload
        self._as_json = as_json
        self._waiting: asyncio.Queue[Tapped] = asyncio.Queue(maxsize=RATE_MAX)
        self._flooded = asyncio.Event()
        self._is_listening = False
        self._clock = SystemClock()

    async def follow(self, bus: Bus) -> None:
        """Take the messages of every session. Never returns.

        Raises:
            BusError: the login may not subscribe to the subject.
        """
        async for session in bus.sessions():
            with suppress(SessionLostError):
                while not session.lost.is_set():
                    await self._listen(session)
            note("connection to NATS lost; what is published meanwhile is not shown")

    async def write(self) -> None:
        """Print what waits. Never returns."""
        while True:
            message = await self._waiting.get()
            if not select.select([], [sys.stdout.fileno()], [], 0)[1]:  # stopped by Ctrl-S, or a slow reader
                self._sampler.miss()
            elif self._as_json:
                say_record(msgspec.json.encode(message.record()))
            else:
                say("\n".join(message.shown(has_payload=self._has_payload)))

    def _take(self, subject: str, reply: str, payload: bytes, headers: dict[str, str] | None) -> None:
        if self._sampler.takes():
            try:
                self._waiting.put_nowait(Tapped(self._clock.now(), subject, reply, payload, headers))
            except asyncio.QueueFull:
                self._sampler.miss()
        if self._sampler.messages >= FLOOD:
            self._flooded.set()

    async def _listen(self, session: Session) -> None:
        """Take messages until too many come at once, or the session ends; a report after each window."""
        end = await session.receive(self._subject, self._take)
        if not self._is_listening:
            self._is_listening = True
            note(f"listening to {self._subject}; Ctrl-C ends it")
        while not session.lost.is_set():
            started_s = self._clock.monotonic_s()
            with suppress(TimeoutError):
                async with asyncio.timeout(WINDOW_S):
                    await self._flooded.wait()
            if refusal := session.refusal_of(self._subject):
                expected = f"expected a login that may subscribe to {self._subject}"
                raise BusError(f"{expected}{refusal}; try: `kgents tap` with the --creds of another")
            listened_s = self._clock.monotonic_s() - started_s
            self._report(listened_s)
            if self._flooded.is_set():
                await end()
                await asyncio.sleep(max(0.0, WINDOW_S - listened_s))
                self._flooded.clear()
                return

    def _report(self, seconds: float) -> None:
        seen = self._sampler.end(seconds)
        if seen.shown == seen.messages:
            return
        if self._as_json:
            say_record(msgspec.json.encode({"seen": seen.messages, "shown": seen.shown, "seconds": round(seconds, 3)}))
        else:
            note(str(seen))
