"""Whom a NATS server takes us for, and why it refuses us."""

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import msgspec
import pytest

from kgents_shared.bus.client import Bus
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.session import Session
from kgents_shared.contract.errors import BusTimeoutError
from support.nats_server import NatsServer
from support.waiting import eventually

USER = "kgents"
RIGHT = "correct-horse-battery"
WRONG = "hunter2-hunter2"
PATIENCE_S = 10.0
LOGIN_REFUSED = re.compile("authorization violation|while we logged in", re.IGNORECASE)
"""A server that refuses a login closes at once: the reset of the connection may outrun its word on why."""
ANY = re.compile(".")

Start = Callable[[str], AbstractAsyncContextManager[NatsServer]]


async def who(session: Session) -> str:
    """Whom the server takes us for."""
    answer = await session.request("$SYS.REQ.USER.INFO")
    user: str = msgspec.json.decode(answer.data)["data"]["user"]
    return user


async def who_hears(session: Session) -> str:
    """Whom the server takes us for, under whose name replies to us arrive."""
    user = await who(session)
    assert session.new_inbox().startswith(f"_INBOX_test.{user}.")
    return user


async def why_not(config: NatsConfig) -> str:
    """What the bus says when it gets no session."""
    async with Bus(config, name="test") as bus:
        return await refusal(bus)


async def refusal(bus: Bus, words: re.Pattern[str] = ANY) -> str:
    """What the bus says when it has tried and has no session; `words` are awaited in it."""
    await eventually(lambda: words.search(bus.last_error))
    with pytest.raises(BusTimeoutError) as caught:
        await bus.session(timeout_s=0.1)
    return str(caught.value)


def password_config(password: str) -> str:
    return f'authorization {{ user: {USER}, password: "{password}" }}'
