"""What a client iterates over: state with its changes (StateStream), logs with their messages (LogStream)."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import ExitStack, aclosing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Generic, TypeVar

from kgents.parts import Change, Part
from kgents_shared.bus.client import Bus
from kgents_shared.bus.consume import Batch, Position
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.provision import require_streams
from kgents_shared.contract.codec import Codec
from kgents_shared.contract.errors import MalformedMessageError, UnknownTypeError
from kgents_shared.contract.streams import NAME_BY_SIGNAL, StreamsConfig, streams
from kgents_shared.view.feed import selected_log, start_of
from kgents_shared.view.fold import EntityChange
from kgents_shared.view.live import Live, Update
from kgents_shared.view.position import PositionFile, PositionFileInUseError
from kgents_shared.view.selection import Selection

T = TypeVar("T")

IN_USE_S: Final = 2.0
"""How long to wait for a position file that is open: a loop that is left with `break` closes its own a moment later."""

_BY_SIGNAL: Final = {stream.signal: stream for stream in streams(StreamsConfig())}

_log = get_logger(__name__)


class StateStream(Generic[T]):
    """State, as an asynchronous iterator of changes: first what is there, then every change. It never ends.

    A change counts as handled when the next one is asked for. Over lost connections each is given once; after a
    restart with a position file at least once.

    Iterating raises ProvisionError if the server lacks the streams (run `kgents provision`), ConfigError if the
    position file cannot be used, and BusError if the server refuses to say whether the streams are there.
    """

    def __init__(self, bus: Bus, part: Part[T], selection: Selection, position_file: Path | None) -> None:
        """Made by the methods of `Client`."""
        self.is_complete = False
        """Whether all that is there has been given: true behind the last change of the snapshot."""
        self.resets = 0
        """How often a NATS stream had to be read from its beginning again; see `Change.origin`."""
        self._bus = bus
        self._part = part
        self._selection = selection
        self._path = position_file
        self._live: Live | None = None

    def current(self) -> list[T]:
        """All that is selected now, as far as the stream has been read; also after a restart with a position file."""
        if self._live is None:
            return []
        return [value for view in self._live.fold.entities() for value in self._part.values(view)]

    async def __aiter__(self) -> AsyncGenerator[Change[T], None]:
        signals = self._part.signals(self._selection)
        await _require(self._bus, signals)
        with ExitStack() as stack:
            file = await _open(stack, self._path, self._part.name, self._selection)
            live = Live(self._bus, self._selection, signals=signals, position_file=file)
            self._live = live
            async with aclosing(live.updates()) as updates:
                async for update in updates:
                    if update.reset:
                        self.resets += 1
                        _log.warning("stream_reset", stream=NAME_BY_SIGNAL[update.reset])
                    for change in update.changes:
                        for each in self._changes(change, _origin(update)):
                            yield each
                    self.is_complete = self.is_complete or update.is_complete

    def _changes(self, change: EntityChange, origin: str) -> Iterator[Change[T]]:
        try:
            yield from self._part.changes(change, origin)
        except MalformedMessageError as error:
            _log.warning("malformed_message", subject=change.subject, error=str(error))


class LogStream(Generic[T]):
    """A log, as an asynchronous iterator of its messages, each once and in order. It never ends.

    A message counts as handled when the next one is asked for; the position file is written after each batch, so that
    after a restart a message may come twice.

    Iterating raises what iterating over a StateStream raises.
    """

    def __init__(
        self,
        bus: Bus,
        codec: Codec[T],  # type: ignore[type-var]  # a union of messages is one, too
        selection: Selection,
        since: datetime | timedelta | None,
        position_file: Path | None,
    ) -> None:
        """Made by the methods of `Client`."""
        self.resets = 0
        """How often messages may have been missed: the NATS stream was made again, or has dropped some meanwhile."""
        self._bus = bus
        self._codec = codec
        self._selection = selection
        self._since = since
        self._path = position_file

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        signal = self._codec.signal
        await _require(self._bus, (signal,))
        with ExitStack() as stack:
            file = await _open(stack, self._path, signal, self._selection)
            start = (file.positions().get(signal) if file is not None else None) or await self._start()
            batches = selected_log(self._bus, self._selection, signal, start=start)
            async with aclosing(batches):
                async for batch in batches:
                    if batch.reset:
                        self.resets += 1
                        _log.warning("stream_reset", stream=NAME_BY_SIGNAL[signal])
                    for message in self._messages(batch):
                        yield message
                    if file is not None and batch.position is not None:
                        file.save((), {signal: batch.position})

    async def _start(self) -> Position:
        filters = self._selection.filters(self._codec.signal)
        return await start_of(await self._bus.session(), self._codec.signal, filters, since=self._since)

    def _messages(self, batch: Batch) -> Iterator[T]:
        for each in batch.deliveries:
            try:
                yield self._codec.decode(each.payload, subject=each.subject)
            except UnknownTypeError:
                continue
            except MalformedMessageError as error:
                _log.warning("malformed_message", subject=each.subject, error=str(error))


async def _require(bus: Bus, signals: Sequence[str]) -> None:
    await require_streams(await bus.session(), [_BY_SIGNAL[signal] for signal in signals])


async def _open(stack: ExitStack, path: Path | None, name: str, selection: Selection) -> PositionFile | None:
    """The position file, closed with the stack; one of other filters is refused."""
    if path is None:
        return None
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + IN_USE_S
    while True:
        try:
            return stack.enter_context(PositionFile(path, f"{name} {selection}".strip()))
        except PositionFileInUseError:
            if loop.time() > give_up_at:
                raise
        await asyncio.sleep(IN_USE_S / 20)


def _origin(update: Update) -> str:
    if update.after_reset:
        return "reset"
    return "snapshot" if update.is_snapshot else "live"
