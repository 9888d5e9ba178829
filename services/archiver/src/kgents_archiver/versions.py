"""Streams of versions and events → every message as it was published, and the state at the beginning of each day."""

import re
import time
from collections.abc import Callable, Iterator
from datetime import date
from typing import Final

import structlog

from kgents_archiver.following import NOTED_S, Chunk, Following, Work
from kgents_archiver.holes import Hole
from kgents_archiver.rollup import NUL
from kgents_archiver.store import days
from kgents_archiver.store.ledger import Epoch, Ledger, time_of
from kgents_archiver.store.partitions import EVENT, STATES
from kgents_archiver.store.writing import Message, Writer
from kgents_shared.bus.consume import Batch, Position
from kgents_shared.bus.delivery import Delivery
from kgents_shared.contract.masking import masked_message, redacted_message
from kgents_shared.view.fold import is_gone

SUBJECT_MAX: Final = 1_200
"""Characters of a subject; a longer one is not ours, and is cut: no index takes more than 2,700 bytes."""

_log = structlog.get_logger(__name__)


class FollowingVersions(Following):
    """The archive of one signal of which every message is kept."""

    def _keep(self) -> Ledger:
        self._writer = Writer(self._database, self._signal)
        self._rules = [re.compile(each) for each in self._config.redact]
        return self._writer

    def _kept(self) -> dict[str, int]:
        config = self._config
        return {self._signal: config.event_retention_d if self._signal == EVENT else config.retention_d}

    async def _work(self, epoch: Epoch) -> Work:
        return _Reading(epoch, redact=self._redact)

    def _redact(self, body: bytes) -> bytes:
        """The archive is kept, copied and exported for longer than any stream: credentials are masked in it."""
        body = masked_message(body)
        return redacted_message(body, self._rules) if self._rules else body

    async def _write(self, epoch: Epoch, chunk: Chunk) -> Epoch:
        return await self._writer.write(epoch, chunk.rows, chunk.missing, chunk.position)

    async def _stored(self, position: Position) -> None:
        """Nothing follows."""

    async def _begin_day(self, today: date) -> None:
        if self._signal in STATES and await days.add_base(self._database, self._signal, today):
            _log.info("archive_base_added", signal=self._signal, day=str(today))
        await days.prepare(self._database, self._signal, today)


class _Reading(Work):
    """Messages that are stored as soon as they are read."""

    def __init__(self, epoch: Epoch, *, redact: Callable[[bytes], bytes]) -> None:
        """`redact`: applied to each body before it is stored."""
        super().__init__(epoch)
        self._redact = redact
        self._missing: list[Hole] = []
        """Not stored before the position behind them is: until then they may be found again, and otherwise."""
        self._messages: list[Message] = []
        self._position: Position | None = None
        self._stored_s = time.monotonic()

    def take(self, batch: Batch) -> None:
        self._position = batch.position
        self._messages = [_message(each, self._redact) for each in batch.deliveries]
        self._missing += self.holes_before([(each.seq, each.at) for each in self._messages])

    def due(self, now_s: float) -> Iterator[Chunk]:
        if self._messages or (self._position is not None and now_s > self._stored_s + NOTED_S):
            yield Chunk(self._messages, self._missing, self._position)
            self._messages = []
            if self._position is not None:
                self._missing, self._stored_s = [], time.monotonic()


def _message(each: Delivery, redact: Callable[[bytes], bytes]) -> Message:
    is_removal = bool(each.marker) or is_gone(each.payload)
    subject = each.subject.replace(*NUL)[:SUBJECT_MAX]
    return Message(each.seq, time_of(each.time_ns), subject, is_removal, redact(each.payload))
