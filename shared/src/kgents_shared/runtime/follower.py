"""Shared by services that follow streams and publish what they derive from them: inputs, time, publishing.

A reducer (pure) holds the state of the inputs. Its owner feeds it the items of `Input.items`, calls it at each of
`ticks` for what time alone changes, and puts the results of `desired` into its state tables; the loops are the owner's:

    inputs: snapshot, then changes ──► reducer ──► desired ──► state tables
                        server clock ──► ticks ─┘
"""

import asyncio
import gc
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from kgents_shared.bus.consume import Position, follow
from kgents_shared.bus.dead_letters import DeadLetters
from kgents_shared.bus.delivery import DELAYED, Delivery
from kgents_shared.bus.losses import Absence
from kgents_shared.bus.sources import ORIGIN
from kgents_shared.bus.state_table import StateTable
from kgents_shared.bus.state_view import Change
from kgents_shared.bus.time_slice import TimeSlice
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import Codec
from kgents_shared.contract.errors import MalformedMessageError, UnknownTypeError
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.contract.wire import Wire
from kgents_shared.runtime.clock import unix_ns
from kgents_shared.runtime.crossing import Crossing
from kgents_shared.runtime.service import Context

T = TypeVar("T", bound=Wire)
Item = TypeVar("Item")
Desired = TypeVar("Desired")
Desired_co = TypeVar("Desired_co", covariant=True)


AWAY_NS: Final = 20_000_000_000
"""Connected, each input gets at least the server's time every second or so. Without any for so long, NATS was away."""


class Reducer(Protocol[Desired_co]):
    """The source of `desired`."""

    def was_away(self, begin_ns: int, end_ns: int) -> None:
        """Nothing was stored meanwhile, because NATS was away: nothing is missing or outdated for that."""

    @property
    def is_dirty(self) -> bool:
        """Whether `take` has results."""

    def take(self) -> Iterator[Desired_co]:
        """What may have changed, computed one by one; as long as `is_dirty`, there is more."""


class Sample(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """One message of a log."""

    message: T
    seq: int
    time_ns: int
    """When the server stored it."""
    delay_s: float = 0.0
    """How long it waited before in its sender's buffer, while NATS was away, or at its edge, while the link was cut."""


class _Batch(msgspec.Struct, Generic[Item]):
    items: list[Item]
    malformed: list[tuple[Delivery, str]]
    newest_ns: int
    caught_up: bool
    position: Position | None
    now_ns: int


class Input(Generic[Item]):
    """One stream of a follower, and how far its owner has handled it."""

    def __init__(
        self,
        context: Context[Any],
        stream: str,
        batches: Callable[[], AsyncGenerator[_Batch[Item], None]],
        changed: asyncio.Event,
        hear: Callable[[int], None],
        losses: Callable[[Callable[[], int]], AsyncGenerator[Item, None]] | None = None,
    ) -> None:
        """`changed` is set when the owner has handled a batch; `hear` takes the time of what is about to be handled."""
        self.stream: Final = stream
        self.caught_up: Final = asyncio.Event()
        """Set when the owner has handled everything that was stored at the start."""
        self.position: Position | None = None
        self.now_ns = 0
        """Everything stored until then has been handled, by the server's clock; 0 while that is not known."""
        self.newest_ns = 0
        """When the newest message was stored."""
        self._context = context
        self._batches = batches
        self._changed = changed
        self._hear = hear
        self._losses = losses

    async def items(self) -> AsyncGenerator[Item, None]:
        """The snapshot, then every change, in order. A message that cannot be read becomes a dead letter."""
        time_slice = TimeSlice()
        async with aclosing(self.batches()) as batches:
            async for batch in batches:
                for item in batch:
                    yield item
                    if time_slice.is_over:
                        await time_slice.checkpoint()

    async def batches(self) -> AsyncGenerator[list[Item], None]:
        """The same, as many at once as have come; they are handled when the next are asked for."""
        async with aclosing(self._batches()) as batches:
            async for batch in batches:
                if self.caught_up.is_set():
                    self._hear(batch.now_ns)
                yield batch.items
                for delivery, reason in batch.malformed:
                    await self._context.dead_letters.publish(delivery, reason)
                self._note(batch)
                await asyncio.sleep(0)  # at once: what these messages changed is published while it is in the cache

    async def losses(self) -> AsyncGenerator[Item, None]:
        """What the stream lost without a message that says so, as removals, for the owner to handle. Never ends.

        As after a purge by hand of an entity whose collector is gone. What its writer still knows it publishes again.
        """
        if self._losses is None:
            raise ValueError(f"{self._context.service.name} must declare that it watches {self.stream} for losses")
        async with aclosing(self._losses(lambda: self.position.seq if self.position else 0)) as lost:
            async for item in lost:
                yield item
                self._changed.set()

    def _note(self, batch: _Batch[Item]) -> None:
        self.position, self.now_ns = batch.position or self.position, batch.now_ns
        self.newest_ns = max(self.newest_ns, batch.newest_ns)
        if batch.caught_up:
            self.caught_up.set()
        self._changed.set()


class Log(Generic[T]):
    """A log of a follower, and the short way for what says nothing new."""

    def __init__(self, messages: Input[Delivery], codec: Codec[T], dead_letters: DeadLetters) -> None:
        self.caught_up: Final = messages.caught_up
        """Set when the owner has handled everything that was stored at the start."""
        self._messages = messages
        self._codec = codec
        self._dead_letters = dead_letters
        self._crossing = Crossing()

    async def read(
        self, take: Callable[[Sample[T]], None], passes: Callable[[T, Delivery], bool] = lambda *_: False
    ) -> None:
        """Hand the last message of each subject, then every later one, to `take`, in order. Never ends.

        One that cannot be read becomes a dead letter. `passes` is asked of each first that did not wait on its way, and
        returns whether it is dealt with; only for others it is compared with its subject.
        """
        time_slice = TimeSlice()
        async with aclosing(self._messages.batches()) as batches:
            async for batch in batches:
                for each in batch:
                    try:
                        message = self._codec.decode(each.payload)
                        is_late = each.headers is not None and (DELAYED in each.headers or ORIGIN in each.headers)
                        if not is_late and passes(message, each):
                            continue
                        self._codec.compare(message, each.subject)
                    except UnknownTypeError:
                        continue
                    except MalformedMessageError as error:
                        await self._dead_letters.publish(each, str(error))
                        continue
                    take(Sample(message, each.seq, each.time_ns, _delay_s(each, message, self._crossing)))
                    if time_slice.is_over:
                        await time_slice.checkpoint()


class Follower(Generic[Desired]):
    """The inputs, the reducer and the outputs of one run of a service, for one cluster."""

    def __init__(
        self,
        context: Context[Any],
        reducer: Reducer[Desired],
        outputs: Sequence[StateTable[Any]],
    ) -> None:
        if not context.service.access.keeps_time:
            raise ValueError(f"{context.service.name} must declare that it keeps time, for its permissions")
        self._context = context
        self._reducer = reducer
        self._outputs = outputs
        self._inputs: list[Input[Any]] = []
        self._changed = asyncio.Event()
        self._is_in_sync = False
        self._published_s = context.clock.monotonic_s()
        self._heard_ns = 0  # the last sign of the server, by its clock

    def state(self, codec: Codec[T]) -> Input[Change[T]]:
        """A state stream: the last message of each subject, then every change, removals too."""
        filters = [self._filter(codec.signal)]
        table = self._context.reader(codec, filters)
        absence = Absence(self._context.bus, NAME_BY_SIGNAL[codec.signal], filters, lambda: table.rows)

        async def batches() -> AsyncGenerator[_Batch[Change[T]], None]:
            async with aclosing(table.follow(keeps_time=True)) as found:
                async for each in found:
                    for change in each.changes:
                        absence.note(change.subject)
                    newest_ns = each.changes[-1].time_ns if each.changes else 0
                    yield _Batch(each.changes, each.malformed, newest_ns, each.caught_up, each.position, each.now_ns)

        async def lost(handled_seq: Callable[[], int]) -> AsyncGenerator[Change[T], None]:
            async with aclosing(absence.found()) as found:
                async for gone in found:
                    for subject in gone:
                        row = table.rows.get(subject)
                        if absence.confirms(subject) and row is not None and row.seq <= handled_seq():
                            yield table.vanished(subject)

        is_watched = codec.signal in self._context.service.access.watches
        return self._input(codec, batches, lost if is_watched else None)

    def log(self, codec: Codec[T]) -> "Log[T]":
        """A log read like a state stream: the last message of each subject, then every later one. No row is kept.

        Only the last sample counts, so nothing has to be acknowledged or kept between two runs.
        """
        stream, filters = self._context.reads(codec.signal), [self._filter(codec.signal)]

        async def batches() -> AsyncGenerator[_Batch[Delivery], None]:
            async with aclosing(follow(self._context.bus, stream, filters, keeps_time=True)) as found:
                async for each in found:
                    newest_ns = each.deliveries[-1].time_ns if each.deliveries else 0
                    yield _Batch(each.deliveries, [], newest_ns, each.caught_up, each.position, each.now_ns)

        return Log(self._input(codec, batches), codec, self._context.dead_letters)

    def _filter(self, signal: str) -> str:
        return subjects.pattern(signal, cluster=self._context.cluster)

    def _input(
        self,
        codec: Codec[Any],
        batches: Callable[[], AsyncGenerator[_Batch[Item], None]],
        lost: Callable[[Callable[[], int]], AsyncGenerator[Item, None]] | None = None,
    ) -> Input[Item]:
        found = Input(self._context, NAME_BY_SIGNAL[codec.signal], batches, self._changed, self._hear, lost)
        self._inputs.append(found)
        return found

    def begin(self) -> None:
        """All inputs are caught up: if nothing was stored for long before, NATS was away until now."""
        self._heard_ns = max((each.newest_ns for each in self._inputs), default=0)
        self._hear(self.server_ns())

    def _hear(self, now_ns: int) -> None:
        if self._heard_ns and now_ns - self._heard_ns > AWAY_NS:
            self._reducer.was_away(self._heard_ns, now_ns)
        self._heard_ns = max(self._heard_ns, now_ns)

    def server_ns(self) -> int:
        """Everything that any input stored until then has been handled, by the server's clock; 0: not known yet.

        No other clock decides: what is still on its way, or waits behind a connection that hangs, is not missing.
        """
        return min((each.now_ns for each in self._inputs), default=0)

    async def ticks(self, interval_s: float) -> AsyncGenerator[int, None]:
        """The server's time, once in each interval: for what time alone changes."""
        while True:
            await self._context.clock.sleep(interval_s)
            self._note_published()  # before time gives more to do, which it may at every tick
            if now_ns := self.server_ns():
                yield now_ns
            self._changed.set()

    async def desired(self) -> AsyncGenerator[Desired, None]:
        """The reducer's results, as fast as the server accepts them; the owner puts them into the outputs.

        One change may touch every entity, and a first start touches all of them: other tasks run in between.
        The service is in sync when everything has been put for the first time.
        """
        time_slice = TimeSlice()
        while True:
            for item in self._reducer.take():
                yield item
                for table in self._outputs:
                    if not table.has_capacity:
                        await table.wait_for_capacity()
                if time_slice.is_over:
                    await time_slice.checkpoint()
            await time_slice.checkpoint()  # also when there was nothing to publish
            if not self._reducer.is_dirty:
                if not self._is_in_sync:  # what was read until now lives long: full collections need not visit it
                    gc.freeze()
                    self._is_in_sync = True
                self._context.status.set("in_sync")
                await self._changed.wait()
                self._changed.clear()

    def _note_published(self) -> None:
        """Everything read counts as published when nothing waits any more; until then the lag grows."""
        status, now_s = self._context.status, self._context.clock.monotonic_s()
        if not self._reducer.is_dirty and not any(table.backlog for table in self._outputs):
            self._published_s = now_s
            status.watermark.update({each.stream: each.position.seq for each in self._inputs if each.position})
        status.lag_s = now_s - self._published_s


def _delay_s(delivery: Delivery, message: Any, crossing: Crossing) -> float:
    """How long a sample waited; of one that crossed a link the server's time says only when it arrived."""
    if delivery.headers is None or ORIGIN not in delivery.headers or not hasattr(message, "timestamp"):
        return delivery.delay_s
    return max(delivery.delay_s, crossing.delay_s(delivery.time_ns, unix_ns(message.timestamp)))
