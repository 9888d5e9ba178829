"""The status of a service that writes what readers judge → its attendance in KGENTS_META: when it was at work.

A heartbeat is gone after 15 s, and a verdict stays as it was while no one judges. So that a report of availability does
not count such a time as the last verdict, the service itself stores that it was away, once it is back.
"""

import asyncio
import time
from typing import Any, Final, NoReturn

from kgents_shared.bus.jetstream import last_message, stored_at, stream_info
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.publish import EXPECTED_SEQUENCE
from kgents_shared.contract import subjects
from kgents_shared.contract.codec import META, encode
from kgents_shared.contract.errors import BusError, MalformedMessageError
from kgents_shared.contract.meta import ABSENT_AFTER_S, ATTENDANCE, ATTENDANCE_INTERVAL_S, Attendance, Heartbeat
from kgents_shared.contract.streams import NAME_BY_SIGNAL
from kgents_shared.runtime.service import Context

CHECK_S: Final = 1.0
"""How often it is seen whether the service is at work."""

_STREAM: Final = NAME_BY_SIGNAL["meta"]

_log = get_logger(__name__)


async def attend(context: Context[Any]) -> NoReturn:
    """Store the attendance of a service for one cluster, for as long as it holds the lease. Never returns."""
    register = Register(context)
    while True:
        await asyncio.sleep(CHECK_S)
        if context.status.attests_all:
            try:
                await register.note()
            except BusError as error:
                register.forget()
                _log.warning("attendance_not_stored", cluster=context.cluster, error=str(error))


class Register:
    """The attendance of one service in one cluster."""

    def __init__(self, context: Context[Any]) -> None:
        self._context = context
        self._subject = subjects.build(
            "meta", cluster=context.cluster, service=ATTENDANCE, instance=context.service.name
        )
        self._kept: Attendance | None = None
        self._seq = 0
        self._stored_at = (0.0, 0.0)

    def forget(self) -> None:
        """Read again what is stored, before the next is."""
        self._kept = None

    async def note(self) -> None:
        """Store that the service is at work, unless that was stored a moment ago.

        Raises:
            BusError: it was not stored, or that is not known; or another instance stored its own.
        """
        passed_s = self._passed_s()
        if self._kept is not None and passed_s < ATTENDANCE_INTERVAL_S:
            return
        if (kept := self._kept) is None or passed_s > ABSENT_AFTER_S:
            kept = await self._resumed()
        headers = {EXPECTED_SEQUENCE: str(self._seq)}  # an instance that stood still must not replace a later one
        self._seq = (await self._context.publisher.send_one(self._subject, encode(self._message(kept)), headers)).seq
        self._kept, self._stored_at = kept, self._now()

    async def _resumed(self) -> Attendance:
        """What is stored, with the absence that ends now; by the server's clock."""
        session = await self._context.bus.session()
        now = (await stream_info(session, _STREAM)).ts
        last = await last_message(session, _STREAM, self._subject)
        self._seq = last.seq if last is not None else 0
        if last is not None and not last.marker:
            try:
                message = META.decode(last.payload, subject=last.subject)
            except MalformedMessageError as error:
                _log.warning("malformed_attendance", subject=last.subject, error=str(error))
            else:
                if isinstance(message, Heartbeat) and message.attendance is not None:
                    return message.attendance.resumed(stored_at(last), now)
        return Attendance(now)

    def _message(self, kept: Attendance) -> Heartbeat:
        name, count = self._context.service.name, len(kept.absences)
        return Heartbeat(
            text=f"{name} has kept {self._context.cluster} up to date since {kept.since:%Y-%m-%d %H:%M:%SZ}, "
            f"but for {count} absence{'s' if count != 1 else ''}",
            service=ATTENDANCE,
            instance=name,
            version=self._context.service.version,
            started_at=kept.since,
            state="stopped",  # so that no one takes it for a service
            attendance=kept,
        )

    def _passed_s(self) -> float:
        """Since the attendance was stored; a machine that slept knows that by one of its clocks alone."""
        return max(now - then for now, then in zip(self._now(), self._stored_at, strict=True))

    def _now(self) -> tuple[float, float]:
        return time.monotonic(), self._context.clock.now().timestamp()
