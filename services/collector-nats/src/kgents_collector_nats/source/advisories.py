"""JetStream advisories → a bounded queue → mapping.advisory. Core NATS: advisories are lost while disconnected."""

import asyncio
from typing import Final, Protocol

import msgspec
import structlog
from msgspec import Struct

from kgents_collector_nats.mapping.advisory import Advisory
from kgents_shared.bus.client import Bus
from kgents_shared.bus.session import Session, SessionLostError
from kgents_shared.contract.errors import BusError

OWN_ACCOUNT: Final = "$SYS.REQ.USER.INFO"
SUBJECTS: Final = tuple(f"$JS.EVENT.ADVISORY.{part}.>" for part in ("STREAM", "CONSUMER", "SERVER", "DOMAIN"))
"""All advisories but `API`, of which there is one for every JetStream request of any client."""
WAITING_MAX: Final = 1000
"""Advisories that may wait: when every message of a stream fails, they come as fast as the messages."""

_log = structlog.get_logger(__name__)


class _Message(Protocol):
    @property
    def subject(self) -> str: ...
    @property
    def data(self) -> bytes: ...


class _User(Struct, frozen=True):
    account: str = "$G"


class _UserInfo(Struct, frozen=True):
    """The answer to `$SYS.REQ.USER.INFO`."""

    data: _User = _User()


class Advisories:
    """The advisories of the bus's own account, the only one whose advisories it receives."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._queue: asyncio.Queue[Advisory] = asyncio.Queue(WAITING_MAX)
        self.dropped = 0
        """Advisories lost since the start because too many waited."""

    async def run(self) -> None:
        """Subscribe on every session of the bus. Never returns."""
        async for session in self._bus.sessions():
            try:
                await self._subscribe(session)
            except SessionLostError:
                continue

    async def next(self) -> Advisory:
        """The oldest queued advisory; waits for one."""
        return await self._queue.get()

    async def _subscribe(self, session: Session) -> None:
        account = await own_account(session)

        async def on_message(message: _Message) -> None:
            try:
                self._queue.put_nowait(Advisory(message.subject, message.data, account))
            except asyncio.QueueFull:
                self.dropped += 1

        for subject in SUBJECTS:
            await session.subscribe(subject, on_message)


async def own_account(session: Session) -> str:
    """The account of this connection: messages do not name theirs."""
    try:
        reply = await session.request(OWN_ACCOUNT)
        return msgspec.json.decode(reply.data, type=_UserInfo).data.account
    except SessionLostError:
        raise
    except (BusError, msgspec.DecodeError) as error:
        _log.warning("own_account_unknown", assumed="default", error=str(error))
        return _User().account
