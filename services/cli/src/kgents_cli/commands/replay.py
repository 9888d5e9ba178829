"""`kgents replay`: a file of `kgents record` → its messages on a NATS, at the times at which they came."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from kgents_cli.connection import STREAMS, connected, require
from kgents_cli.options import Target, target_options
from kgents_cli.output import note
from kgents_cli.replayed import Moved, removal_of
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import stream_info
from kgents_shared.bus.publish import TTL
from kgents_shared.bus.session import Session, SessionLostError
from kgents_shared.bus.state_view import StateView
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import META, encode
from kgents_shared.contract.entity import Entity
from kgents_shared.contract.errors import KgentsError
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.recording import MADE, SIGNALS, STATE, Recording, Row
from kgents_shared.contract.streams import NAME_BY_SIGNAL, REMOVAL_TTL_S
from kgents_shared.runtime.config import CommonConfig

PREFIX: Final = "replay-"


@click.command("replay")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--as", "name", metavar="CLUSTER", help=f"The cluster to replay it as; by default {PREFIX}<its own>.")
@click.option("--hold", is_flag=True, help="Leave its last state; else it is removed at the end.")
@target_options
def command(file: Path, name: str | None, hold: bool, target: Target) -> int:
    """Replay FILE, a recording of `kgents record`, into a NATS whose services make topology, health and alerts of it.

    Everything in it is published under another cluster's name, at the times at which it came, and with times as if it
    happened now. Each entity says that it is replayed. At the end, and at Ctrl-C, it is removed again.

    \b
    Examples:
      kgents up                                      in one terminal
      kgents replay incident.kgrec                   in another; then see it with
      kgents get all --cluster replay-prod
    """  # noqa: D301
    return asyncio.run(_replay(target.load(), file, name, hold=hold))


async def _replay(common: CommonConfig, file: Path, name: str | None, *, hold: bool) -> int:
    with file.open("rb") as opened:
        recording = Recording(opened)
        async with connected(common, log_level="warning") as bus:
            await require(bus, [STREAMS[each] for each in SIGNALS])
            now_ns = (await stream_info(await bus.session(), NAME_BY_SIGNAL["meta"])).now_ns
            moved = Moved(
                datetime.fromtimestamp(now_ns / 1e9, UTC) - recording.header.started_at, file.name, name or "", PREFIX
            )
            player = _Player(bus, moved)
            try:
                await player.play(recording.rows())
            finally:
                if not hold:
                    await player.remove()
    note(f"{file}: replayed {player.published} messages" + ("" if hold else "; all of it is removed again"))
    return 0


class _Player:
    """What is replayed, on its way to NATS."""

    def __init__(self, bus: Bus, moved: Moved) -> None:
        self._bus = bus
        self._moved = moved
        self._live: dict[str, Entity] = {}
        self._checked: set[str] = set()
        self.published = 0

    async def play(self, rows: Iterator[Row]) -> None:
        """Publish all of it. What another version wrote and this one cannot read is left out, and counted."""
        loop = asyncio.get_running_loop()
        begun_s = 0.0
        left_out = 0
        for row in rows:
            if row.signal in MADE:
                continue
            if row.kind != STATE:
                begun_s = begun_s or loop.time()  # the state before the first of these took its time
                await asyncio.sleep(max(0.0, begun_s + row.at_us / 1e6 - loop.time()))
            found = self._moved.message(row)
            if found is None:
                left_out += self._moved.is_unreadable(row)
                continue
            subject, message, ttl_s = found
            await self._check(subject)
            await self._publish(subject, encode(message), ttl_s)
            if isinstance(message, Entity):
                self._live.pop(subject, None)
                if not message.is_removal:
                    self._live[subject] = message
        if left_out:
            note(f"{left_out} messages are left out: this kgents cannot read them")

    async def remove(self) -> None:
        """Remove what is there of it, and end its heartbeats."""
        for subject, entity in self._live.items():
            await self._publish(subject, encode(removal_of(entity)), REMOVAL_TTL_S)
        self._live.clear()
        for subject, beat in self._moved.last_beats().items():
            await self._publish(subject, encode(beat), 1)

    async def _publish(self, subject: str, payload: bytes, ttl_s: float | None) -> None:
        headers = {TTL: f"{ttl_s:.0f}s"} if ttl_s else {}
        while True:
            session: Session = await self._bus.session()
            try:
                await session.request(subject, payload, headers=headers)
            except SessionLostError:
                continue  # it is state, or a sample more: to send it again harms nothing
            self.published += 1
            return

    async def _check(self, subject: str) -> None:
        """Refuse a cluster that something observes: it would be two writers of one state.

        Raises:
            KgentsError: it is observed.
        """
        token = subject.split(".")[2]
        if token in self._checked:
            return
        self._checked.add(token)
        cluster = subjects.unescape(token)
        view = StateView(self._bus, META, NAME_BY_SIGNAL["meta"], [subjects.pattern("meta", cluster=cluster)])
        await view.load()
        for row in view.rows.values():
            if isinstance(row.message, Heartbeat) and row.message.source and row.message.state != "stopped":
                raise KgentsError(
                    f"expected a cluster that nothing observes, found {row.message.service} at work in {cluster}; "
                    "try: another name with --as"
                )
