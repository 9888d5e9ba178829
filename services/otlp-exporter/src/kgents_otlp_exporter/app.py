"""otlp-exporter at work: topology, health, alerts → records and gauges → the receiver, as fast as it takes them."""

import asyncio
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import aclosing
from itertools import islice
from pathlib import Path
from typing import Final

from kgents_otlp_exporter.config import Config
from kgents_otlp_exporter.encoding import Encoder
from kgents_otlp_exporter.mapping import change
from kgents_otlp_exporter.mapping.figure import SCORED_MAX, figures
from kgents_otlp_exporter.mapping.state import state
from kgents_otlp_exporter.record import Record
from kgents_otlp_exporter.sending import Sender, SendingError, sending
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.vocabulary import kinds
from kgents_shared.runtime.service import Access, Context, Service
from kgents_shared.view.entity import STATE, EntityView
from kgents_shared.view.live import Live, Update
from kgents_shared.view.position import PositionFile
from kgents_shared.view.selection import select

CHUNK: Final = 100
"""Records that are made and sent at once: 0.1 MiB, and some 30 ms of work, in which nothing else runs."""
NOTED_EVERY_S: Final = 1.0


async def run(context: Context[Config]) -> None:
    """Send until cancelled. While the receiver is away nothing is read, so that everything waits on the streams."""
    for signal in context.service.access.reads:
        context.reads(signal)
    if not context.config.endpoint:
        context.status.set("in_sync", "nothing is sent; set otlp-exporter.endpoint")
        await asyncio.get_running_loop().create_future()
    async with sending(context.config) as sender:
        with PositionFile(_position_of(context), "everything") as file:
            export = _Export(context, sender, file)
            async with asyncio.TaskGroup() as tasks:
                for work in (export.follow, export.repeat, export.measure, export.report):
                    tasks.create_task(work())


def _position_of(context: Context[Config]) -> Path:
    """The file of this receiver: another one knows nothing yet."""
    digest = hashlib.sha256(context.config.endpoint.encode()).hexdigest()[:8]
    return Path(context.common.data_dir) / f"{context.service.name}.{context.cluster}.{digest}.position"


class _Export:
    def __init__(self, context: Context[Config], sender: Sender, file: PositionFile) -> None:
        self._context = context
        self._config = context.config
        self._sender = sender
        self._live = Live(context.bus, select(), position_file=file)
        self._encoder = Encoder(version=context.service.version, instance=context.common.instance)
        self._order = asyncio.Lock()
        """So that no state that was made before a removal is sent after it."""
        self._is_sent = False
        """Whether the receiver has taken all that there was."""
        self._hidden = 0

    async def follow(self) -> None:
        """Send what changes. An update counts as handled once the receiver has taken all of it."""
        async with aclosing(self._live.updates()) as updates:
            async for update in updates:
                async with self._order:
                    await self._send(self._records(update))
                self._is_sent = update.is_complete or (self._is_sent and not update.reset)

    async def repeat(self) -> None:
        """Send the state of every entity again, spread over the interval."""
        interval_s, clock = self._config.entity_interval_s, self._context.clock
        while True:
            await clock.sleep(interval_s / 2)
            keys = self._live.fold.known_keys() if self._live.is_complete else []
            parts = range(0, len(keys), CHUNK)
            for begin in parts:
                async with self._order:
                    views = self._views(keys[begin : begin + CHUNK])
                    await self._send(state(view, self._find, interval_s) for view in views)
                await clock.sleep(interval_s / 2 / len(parts))
            if not parts:
                await clock.sleep(interval_s / 2)

    async def measure(self) -> None:
        """Send the figures as they are now. What the receiver does not take is replaced by the next ones."""
        while True:
            await self._context.clock.sleep(self._config.metrics_interval_s)
            if not self._live.is_complete:
                continue
            time_slice = TimeSlice()
            views: list[EntityView] = []
            for key in self._live.fold.known_keys():
                if (view := self._live.fold.view(key)) is not None and _is_counted(view):
                    views.append(view)
                await time_slice.checkpoint()
            found = figures(views)
            self._hidden = sum(each.hidden for each in found.values())
            gauges = [gauge for each in found.values() for gauge in each.gauges()]
            try:
                for request in self._encoder.metrics(gauges, self._context.now_ns()):
                    await self._sender.attempt(request)
            except SendingError:
                continue  # the sender has noted it

    async def report(self) -> None:
        """Keep the heartbeat true."""
        status, sender = self._context.status, self._sender
        while True:
            if sender.fault:
                status.set("degraded", sender.fault)
            elif self._is_sent:
                status.set("in_sync")
            status.note("; ".join(self._faults()))
            await asyncio.sleep(NOTED_EVERY_S)

    def _faults(self) -> Iterator[str]:
        if self._sender.refused:
            yield f"{self._sender.refused:,} records or points were refused; read the log of the receiver"
        if self._hidden:
            yield f"{self._hidden:,} entities have no metric of their own: there are more than {SCORED_MAX:,}"

    def _records(self, update: Update) -> Iterator[Record]:
        for each in update.changes:
            yield from change.records(each, self._find, self._config.entity_interval_s)

    async def _send(self, records: Iterable[Record]) -> None:
        made = iter(records)
        while chunk := list(islice(made, CHUNK)):
            for request in self._encoder.logs(chunk, self._context.now_ns()):
                await self._sender.send(request)

    def _find(self, ref: Ref) -> EntityView | None:
        return self._live.fold.get(ref)

    def _views(self, keys: Iterable[str]) -> Iterator[EntityView]:
        for key in keys:
            view = self._live.fold.view(key)
            if view is not None and view.topology is not None:
                yield view


def _is_counted(view: EntityView) -> bool:
    """Whether it is an entity, or a cluster's health as a whole."""
    return view.topology is not None or (view.ref.kind == kinds.CLUSTER and view.health is not None)


SERVICE = Service(
    name="otlp-exporter",
    config=Config,
    run=run,
    access=Access((), reads=STATE, everywhere=True, hears_writers=True, alone=True),
)
