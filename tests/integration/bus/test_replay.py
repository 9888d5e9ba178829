"""Reading what a stream holds now, once: all of it, also by a process that stood still meanwhile."""

import asyncio
import time

import pytest

from kgents_shared.bus import pull
from kgents_shared.bus.client import Bus
from kgents_shared.bus.jetstream import ALL
from kgents_shared.contract.codec import encode
from support.build import make_entity, subject_of

COUNT = 100


async def test_what_arrived_while_the_process_stood_still_was_not_dropped(
    provisioned: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after SIGSTOP, or on a machine that gives it no CPU: its timers are due, and what they waited for is here."""
    monkeypatch.setattr(pull, "DROPPED_S", 3.0)
    session = await provisioned.session()
    for number in range(COUNT):
        entity = make_entity(f"e{number}")
        await session.request(subject_of(entity), encode(entity))
    wait, pauses = pull.Pull._wait, [3.5]

    async def stand_still(self: pull.Pull, *, keeps_time: bool) -> None:
        if pauses:
            asyncio.get_running_loop().call_soon(time.sleep, pauses.pop())
        await wait(self, keeps_time=keeps_time)

    monkeypatch.setattr(pull.Pull, "_wait", stand_still)
    found = 0
    async for batch in pull.replay(session, "KGENTS_ENTITY", ["kgents.entity.>"], ALL):
        found += len(batch)
    assert found == COUNT
