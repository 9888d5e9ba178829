"""One writer for each (cluster, service): standby → acquire → hold (renew, renew, …) → released, or stepped down.

The lease is one message in KGENTS_META: it expires on the server by its TTL, and every write of it is a compare-and-set
on the sequence it replaces, so of two instances only one gets through. `is_valid` is what the holder asks before it
writes anything: its deadline counts from *before* the successful request was sent, so it passes earlier than the
server's.

While NATS is away the lease runs out, but is not lost: no other instance can hold it either. The holder writes nothing
and decides at the reconnect: it goes on if it can renew the lease, or replace the mark of its expiry, and steps down
if another instance was there meanwhile.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final, NoReturn

from nats.aio.msg import Msg

from kgents_shared.bus.client import Bus
from kgents_shared.bus.delivery import Delivery
from kgents_shared.bus.jetstream import last_message, stored_at
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.publish import EXPECTED_SEQUENCE, TTL, WRONG_SEQUENCE_CODES, Publisher
from kgents_shared.bus.session import Session, SessionLostError
from kgents_shared.bus.turns import at_least_a_turn_s, until_turn_s
from kgents_shared.contract import codec, meta, subjects
from kgents_shared.contract.errors import BusError, MalformedMessageError, SteppedDownError
from kgents_shared.contract.streams import NAME_BY_SIGNAL

TTL_S: Final = meta.LEASE_TTL_S
MARGIN_S: Final = 1.0
"""Seconds by which the holder considers its lease expired before the server does: time for a write in flight."""
RENEW_INTERVAL_S: Final = 3.0
"""Three tries before the lease runs out; two where the turns of the process are longer."""
RETRY_S: Final = 0.5
"""Pause after a renewal that failed, while the lease is valid; and of a standby after news of the lease."""
POLL_INTERVAL_S: Final = 2.0
"""How often a standby reads the lease, and a holder whose lease ran out; a release reaches a standby at once."""
RELEASE_TIMEOUT_S: Final = 5.0
"""As long as an ack may take: without the release the cluster has no writer for TTL_S."""
CLOCK_WITHIN_S: Final = 2.0
"""As long as a question about the clock may take; then it is not known."""
CLOCK_TRIES: Final = 3
"""A renewal may come between the question and its answer."""
STEP_S: Final = 0.1
"""By so much a clock that is set, or a machine that sleeps, shows within one renewal."""
NO_HOLDER: Final = ""
"""Holder of a lease that was released."""

_STREAM: Final = NAME_BY_SIGNAL["meta"]

_log = get_logger(__name__)


class Lease:
    """The right of one instance to write: `await acquire()`, then `await hold()` beside the writing.

    Needs the publisher's `run`.
    """

    def __init__(
        self, bus: Bus, publisher: Publisher, *, cluster: str, service: str, instance: str, now: Callable[[], datetime]
    ) -> None:
        self.holder: Final = f"{instance}/{secrets.token_hex(4)}"
        """This instance and process: after a restart under the same name, the old process may still run."""
        self._bus = bus
        self._publisher = publisher
        self._now = now
        self._service = service
        self._subject = subjects.build("meta", cluster=cluster, service=service, instance=meta.LEASE)
        self._acquired_at: datetime | None = None
        self._seq = 0  # of our last message
        self._renewal: tuple[int, datetime, datetime] | None = None  # its sequence, sent and acknowledged by our clock
        self._deadline = 0.0  # by time.monotonic(), since uvloop's own clock stands still within an iteration
        self._is_claiming = False  # a claim was sent, and it is not known whether it was stored
        self._standby_of = NO_HOLDER  # while this instance waits: the holder
        self._news = asyncio.Event()

    @property
    def is_valid(self) -> bool:
        """Whether this instance may write now. False in time even if the process was stopped meanwhile."""
        return time.monotonic() < self._deadline

    async def acquire(self) -> None:
        """Return when this instance holds the lease; until then it is a standby.

        A standby that was cut off itself lets POLL_INTERVAL_S pass first: then NATS was away, most likely for the
        holder too, which goes on if its lease is still free.
        """
        async for session in self._bus.sessions():
            with suppress(SessionLostError):
                unsubscribe = await session.subscribe(self._subject, self._on_news)
                if self._standby_of:
                    await asyncio.sleep(POLL_INTERVAL_S)
                if await self._acquire_on(session):
                    await unsubscribe()
                    _log.info("lease_acquired", service=self._service, holder=self.holder)
                    return

    async def hold(self) -> NoReturn:
        """Renew the lease, also after it ran out, until another instance holds it. Never returns.

        Raises:
            SteppedDownError: another instance holds the lease, or held it. Call `acquire` again.
        """
        while True:
            await asyncio.sleep(until_turn_s(at_least_a_turn_s(RENEW_INTERVAL_S)))
            await self._renew()

    async def clock_ahead_s(self) -> float | None:
        """By how much the clock of this machine certainly is ahead of the server's, in seconds; None: not known now.

        Negative: behind; 0: they may agree. The server stored the last renewal after it was sent and before it was
        acknowledged: if its time says otherwise, that is the difference of the clocks. A slow link only makes the span
        wider: it is never taken for a difference.
        """
        with suppress(BusError, TimeoutError):
            async with asyncio.timeout(CLOCK_WITHIN_S):
                for _ in range(CLOCK_TRIES):
                    if (found := await self._clock_ahead_s()) is not None:
                        return found
        return None

    async def _clock_ahead_s(self) -> float | None:
        if self._renewal is None:
            return None
        seq, sent_at, acked_at = self._renewal
        last = await last_message(await self._bus.session(), _STREAM, self._subject)
        if last is None or last.seq != seq:
            return None
        stored = stored_at(last)
        ahead_s, behind_s = (sent_at - stored).total_seconds(), (stored - acked_at).total_seconds()
        return max(0.0, ahead_s) or min(0.0, -behind_s)

    async def release(self) -> None:
        """Let a standby take over at once; best effort, since the lease runs out by itself. End `hold` before.

        What ended `hold` may have cut off a renewal, so that its sequence is not known here: it is released as well.
        """
        may_be_ours, self._deadline = self.is_valid or self._is_claiming, 0.0
        if may_be_ours:
            with suppress(BusError, TimeoutError):
                async with asyncio.timeout(RELEASE_TIMEOUT_S):
                    await self._release()

    async def _release(self) -> None:
        try:
            await self._write(NO_HOLDER, expected=self._seq, ttl_s=1)
        except BusError as error:
            if error.code not in WRONG_SEQUENCE_CODES:
                raise
            holder, seq = await self._read(await self._bus.session())
            if holder == self.holder:
                await self._write(NO_HOLDER, expected=seq, ttl_s=1)

    async def _acquire_on(self, session: Session) -> bool:
        """Try until it is ours (True) or the session is lost (False)."""
        pause_s = POLL_INTERVAL_S
        while not session.lost.is_set():
            self._news.clear()
            try:
                holder, seq = await self._read(session)
                if holder in (NO_HOLDER, self.holder):  # ours: an earlier try got through, and its ack did not
                    await self._claim(seq)
                    if self.is_valid:  # not if the claim itself took as long as the lease lasts
                        self._standby_of = NO_HOLDER
                        return True
                elif holder != self._standby_of:
                    _log.info("lease_standby", service=self._service, holder=holder)
                    self._standby_of = holder
            except BusError as error:
                if error.code not in WRONG_SEQUENCE_CODES:  # else another standby was quicker
                    _log.warning("lease_acquisition_failed", service=self._service, error=str(error))
            try:
                async with asyncio.timeout(pause_s):
                    await self._news.wait()
                pause_s = (
                    RETRY_S  # the server passes a message on before it is stored: the next try may read the old one
                )
            except TimeoutError:
                pause_s = POLL_INTERVAL_S
        return False

    async def _renew(self) -> None:
        """Return when the lease is ours for another TTL_S, however long NATS is away."""
        held_since = self._acquired_at
        while True:
            try:
                await self._claim(self._seq)
                if self.is_valid:  # not if the claim itself took as long as the lease lasts
                    break
            except BusError as error:
                if error.code not in WRONG_SEQUENCE_CODES:
                    retry_s = RETRY_S if self.is_valid else POLL_INTERVAL_S
                    _log.warning("lease_renewal_failed", service=self._service, error=str(error), retry_in_s=retry_s)
                    await asyncio.sleep(retry_s)
            await self._find_own()
        if self._acquired_at != held_since:  # it ran out meanwhile
            _log.info("lease_resumed", service=self._service, holder=self.holder)

    async def _find_own(self) -> None:
        """After a renewal without an ack, or refused: where our message is now, or the mark that it ran out.

        That mark does not say whose message ran out. If it was another instance's, the state tables find what that
        one wrote: each of their messages names the one that it replaces, and they audit after each reconnect.

        Raises:
            SteppedDownError: another instance holds the lease, or released it.
        """
        try:
            last = await last_message(await self._bus.session(), _STREAM, self._subject)
        except BusError:
            return
        if last is not None and not last.marker and (holder := _holder(last)) != self.holder:
            raise self._stepped_down(f"{holder} holds it" if holder else "another instance held it and released it")
        if last is None:  # one that runs out leaves a mark
            _log.error("messages_lost", stream=_STREAM, count=1, first=self._subject)
        self._seq = last.seq if last is not None else 0

    async def _claim(self, expected: int) -> None:
        """Make the lease ours for another TTL_S."""
        await self._bus.session()  # the time that NATS is away does not count
        asked_at, sent_at = time.monotonic(), self._now()
        self._acquired_at = self._acquired_at if self.is_valid else sent_at
        self._is_claiming, self._renewal = True, None
        self._seq = await self._write(self.holder, expected=expected, ttl_s=TTL_S)
        self._is_claiming = False
        self._deadline = asked_at + TTL_S - MARGIN_S
        acked_at, took_s = self._now(), time.monotonic() - asked_at
        if abs((acked_at - sent_at).total_seconds() - took_s) < STEP_S:
            self._renewal = self._seq, sent_at, acked_at

    async def _write(self, holder: str, *, expected: int, ttl_s: int) -> int:
        verb = "holds" if holder else "released"
        lease = meta.Lease(
            text=f"{self.holder} {verb} the lease to write for {self._service}",
            holder=holder,
            acquired_at=self._acquired_at or self._now(),
        )
        headers = {EXPECTED_SEQUENCE: str(expected), TTL: f"{ttl_s}s"}
        return (await self._publisher.send_one(self._subject, codec.encode(lease), headers)).seq

    async def _read(self, session: Session) -> tuple[str, int]:
        """Who holds the lease, and the sequence that a claim has to replace."""
        last = await last_message(session, _STREAM, self._subject)
        return (_holder(last), last.seq) if last is not None else (NO_HOLDER, 0)

    async def _on_news(self, _: Msg) -> None:
        self._news.set()

    def _stepped_down(self, reason: str) -> SteppedDownError:
        self._deadline = 0.0
        return SteppedDownError(f"{self.holder} lost the lease to write for {self._service}: {reason}")


def _holder(last: Delivery) -> str:
    if last.marker:  # from the server: the lease ran out
        return NO_HOLDER
    try:
        message = codec.META.decode(last.payload, subject=last.subject)
    except MalformedMessageError as error:
        _log.warning("malformed_lease", subject=last.subject, reason=str(error))
        return NO_HOLDER
    return message.holder if isinstance(message, meta.Lease) else NO_HOLDER
