"""A service that writes what readers judge stores when it was at work: a real NATS, instances that take turns."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kgents_health_scorer.app import SERVICE
from kgents_health_scorer.config import Config
from kgents_shared.bus.client import Bus
from kgents_shared.bus.outbox import Outbox
from kgents_shared.bus.publish import WRONG_SEQUENCE_CODES
from kgents_shared.contract.codec import META
from kgents_shared.contract.errors import BusError
from kgents_shared.contract.meta import Attendance, Heartbeat
from kgents_shared.runtime.attendance import Register, attend
from kgents_shared.runtime.config import CommonConfig
from kgents_shared.runtime.sections import TelemetryConfig
from kgents_shared.runtime.service import Context
from kgents_shared.runtime.telemetry import Telemetry
from support.running import running
from support.streams import stored
from support.waiting import eventually

SUBJECT = "kgents.meta.test.attendance.health-scorer"


class Late:
    """A clock that is ahead of the machine's."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.seconds)

    def monotonic_s(self) -> float:
        raise AssertionError

    async def sleep(self, seconds: float) -> None:
        raise AssertionError


async def attendances(bus: Bus) -> list[Attendance]:
    found = [META.decode(each.payload, subject=SUBJECT) for each in await stored(bus, "KGENTS_META", SUBJECT)]
    kept = [each.attendance for each in found if isinstance(each, Heartbeat)]
    return [each for each in kept if each is not None]


async def test_who_is_in_sync_is_attending_and_who_stood_still_replaces_no_one(bus: Bus, tmp_path: Path) -> None:
    telemetry = Telemetry(TelemetryConfig(), service=SERVICE.name, version="0", instance="one")
    with Outbox(tmp_path / "outbox") as outbox:
        common = CommonConfig(cluster="test", instance="one")
        context = Context(SERVICE, common, Config(), bus, telemetry, outbox)
        async with running(context.publisher.run()):
            async with running(attend(context)):
                context.status.set("in_sync", "it says so of itself")
                context.status.heartbeat(0, 0.0)
                await eventually(lambda: attendances(bus))
            [first] = await attendances(bus)
            one, other = Register(context), Register(context)
            await one.note()
            await other.note()  # after a moment: that is no absence
            assert await attendances(bus) == [first]
            assert first.absences == []
            context.clock = Late(20.0)
            with pytest.raises(BusError) as refused:
                await one.note()
            assert refused.value.code in WRONG_SEQUENCE_CODES
            context.status.set("degraded", "from now on")
            assert not context.status.attests_all
