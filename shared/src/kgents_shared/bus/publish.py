"""Windowed JetStream publishing: (subject, payload) → Publisher → Stored | Refused | Lost.

Each message asks for an ack on an inbox of ours; at most `WINDOW` may be without one. A callback per message instead
of a future per message is what makes this ten times cheaper than awaiting each ack. What is `Lost` may have been
stored all the same, and the caller has to find out: the state table reads the subject back, the log sends
again under the same message id.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from kgents_shared.bus.client import Bus
from kgents_shared.bus.session import ApiFault, Session, SessionLostError
from kgents_shared.contract.errors import BusError, BusTimeoutError

WINDOW: Final = 256
"""Larger windows gain nothing measurable; smaller ones wait for the round trip."""
ACK_TIMEOUT_S: Final = 5.0
TURNS: Final = 10
"""How often within that time late acks are found: a message needs no clock of its own."""
TWICE_MIN: Final = 3
"""Messages of a connection that are answered twice before that is believed: once may be a leader that has changed."""
LATE_MAX: Final = 1_024
"""Messages without an answer in time that are remembered, since their only answer may still come."""
TWICE: Final = (
    "messages are answered twice: another JetStream of this account stores them too, as behind a leaf node; "
    "try: keep the streams on one side, and remove them on the other with `nats stream rm`"
)
MAX_PAYLOAD_BYTES: Final = 1024**2
"""The server's default."""

NO_ACK: Final = f"no ack within {ACK_TIMEOUT_S:g} s; try: check the disk and the log of nats-server"
"""A server whose disk is full answers everything else, and stores nothing until it is restarted."""

EXPECTED_SEQUENCE: Final = "Nats-Expected-Last-Subject-Sequence"
MESSAGE_ID: Final = "Nats-Msg-Id"
TTL: Final = "Nats-TTL"
WRONG_SEQUENCE_CODES: Final = frozenset({10071, 10164})
"""JetStream's codes for a subject that another writer wrote meanwhile."""


class Stored(msgspec.Struct, frozen=True, gc=False):
    """The server has it, under this stream sequence."""

    seq: int
    duplicate: bool = False


class Refused(msgspec.Struct, frozen=True, gc=False):
    """The server rejected it: it is certainly not stored."""

    code: int
    text: str


class Lost(msgspec.Struct, frozen=True, gc=False):
    """No answer came: it may be stored or not."""

    why: str = "no ack"
    """What is known of the reason."""


Outcome = Stored | Refused | Lost
Settle = Callable[[Outcome], None]


class _Ack(msgspec.Struct):
    seq: int = 0
    duplicate: bool = False
    error: ApiFault | None = None


_ACK: Final = msgspec.json.Decoder(_Ack)
_STORED: Final = msgspec.json.Decoder(Stored)


class Publisher:
    """Sends for one service. `run` must be running for anything to be settled."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._session: Session | None = None
        self._inbox = ""
        self._next = 0
        self._turn = 0  # goes on TURNS times within ACK_TIMEOUT_S
        self._in_flight: dict[str, tuple[int, str, Settle]] = {}  # where its ack comes → (turn, subject, settle)
        self._expiry: asyncio.TimerHandle | None = None  # while something is in flight
        self._late: deque[str] = deque(maxlen=LATE_MAX)  # where the ack of what was not answered in time would come
        self._twice = 0
        self._room = asyncio.Event()
        self._connected = asyncio.Event()
        self.stored = 0
        """Messages stored since the start."""
        self.max_payload_bytes = MAX_PAYLOAD_BYTES
        """The largest message that the server takes, headers included; the last server's while there is none."""

    async def run(self) -> None:
        """Collect acks, session after session. Never returns."""
        async for session in self._bus.sessions():
            unsubscribe: Callable[[], Awaitable[None]] | None = None
            try:
                self._inbox, self._twice = session.new_inbox(), 0
                self._late.clear()
                unsubscribe = await session.receive(f"{self._inbox}.*", self._on_ack)
                self._session, self.max_payload_bytes = session, session.max_payload_bytes
                self._connected.set()
                await session.lost.wait()
            except SessionLostError:
                pass
            finally:
                self._connected.clear()
                self._session = None
                self._settle_all(Lost())
                if unsubscribe is not None:  # the connection may outlive this publisher
                    await unsubscribe()

    async def ready(self) -> None:
        """Wait for a connection and for room in the window."""
        while self._session is None or len(self._in_flight) >= WINDOW:
            await self._connected.wait()
            if len(self._in_flight) >= WINDOW:
                self._room.clear()
                await self._room.wait()

    async def send(self, subject: str, payload: bytes, headers: dict[str, str], settle: Settle) -> None:
        """Send as soon as it can be sent; `settle` is called exactly once, later."""
        while (session := self._session) is None or len(self._in_flight) >= WINDOW:
            await self.ready()
        if not self.post(subject, payload, headers, settle):
            await self._publish(session, subject, payload, self._enter(subject, settle), headers)

    def post(self, subject: str, payload: bytes, headers: dict[str, str], settle: Settle) -> bool:
        """Send at once what needs no wait; returns whether it was. If not, nothing has happened; `send` it."""
        if (session := self._session) is None or len(self._in_flight) >= WINDOW:
            return False
        reply = self._enter(subject, settle)
        is_sent = session.post(subject, payload, reply, headers)
        if not is_sent:
            del self._in_flight[reply]
        return is_sent

    def _enter(self, subject: str, settle: Settle) -> str:
        """Where to send the ack of a message that is about to be sent."""
        reply = f"{self._inbox}.{self._next}"
        self._next += 1
        self._in_flight[reply] = (self._turn, subject, settle)
        if self._expiry is None:
            self._expiry = self._expire_later()
        return reply

    async def _publish(
        self, session: Session, subject: str, payload: bytes, reply: str, headers: dict[str, str]
    ) -> None:
        """Send what cannot be sent at once, or not at all."""
        try:
            await session.publish(subject, payload, reply=reply, headers=headers or None)
        except SessionLostError:
            self._settle(reply, Lost())
        except BusError as error:
            self._settle(reply, Refused(error.code, str(error)))

    async def send_one(self, subject: str, payload: bytes, headers: dict[str, str]) -> Stored:
        """Send and wait for the ack: for rare messages whose result is needed at once (leases, heartbeats).

        It does not wait for room in the window: a busy log fills every place as soon as it is free, and a
        lease would run out meanwhile.

        Raises:
            BusTimeoutError: no ack came; it may be stored or not.
            BusError: the server refused it; `code` is JetStream's.
        """
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        while (session := self._session) is None:
            await self._connected.wait()

        def settle(outcome: Outcome) -> None:
            if not done.done():
                done.set_result(outcome)

        reply = self._enter(subject, settle)
        await self._publish(session, subject, payload, reply, headers)
        match await done:
            case Stored() as stored:
                return stored
            case Refused(code=code, text=text):
                raise BusError(f"{subject}: {text}", code=code)
            case Lost(why=why):
                raise BusTimeoutError(f"{subject}: {why}")

    @property
    def has_room(self) -> bool:
        """Whether `ready` has nothing to wait for."""
        return self._session is not None and len(self._in_flight) < WINDOW

    @property
    def answered_twice(self) -> str:
        """That two streams answer what is published, as a sentence; empty: they do not, on this connection."""
        return TWICE if self._twice >= TWICE_MIN else ""

    def _on_ack(self, subject: str, _reply: str, payload: bytes, _headers: dict[str, str] | None) -> None:
        if subject in self._in_flight:
            self._settle(subject, _outcome(payload))
        elif subject in self._late:
            self._late.remove(subject)  # the caller has its outcome already
        else:
            self._twice += 1

    def _expire(self) -> None:
        """Settle what was not acked in time, and do so again while something has no ack."""
        self._turn, self._expiry = self._turn + 1, None
        late = [(reply, sent[1]) for reply, sent in self._in_flight.items() if self._turn - sent[0] > TURNS]
        for reply, subject in late:
            self._late.append(reply)
            refusal = self._session.refusal_of(subject) if self._session is not None else ""
            self._settle(reply, Lost(f"{NO_ACK}{refusal}"))
        if self._in_flight and self._expiry is None:
            self._expiry = self._expire_later()

    def _expire_later(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(ACK_TIMEOUT_S / TURNS, self._expire)

    def _settle(self, reply: str, outcome: Outcome) -> None:
        entry = self._in_flight.pop(reply, None)
        if entry is None:  # the connection ended while it was sent
            return
        self.stored += isinstance(outcome, Stored)
        if not self._in_flight and self._expiry is not None:  # nothing waits: nothing need wake us
            self._expiry.cancel()
            self._expiry = None
        if len(self._in_flight) < WINDOW:
            self._room.set()
        entry[2](outcome)

    def _settle_all(self, outcome: Outcome) -> None:
        for reply in list(self._in_flight):
            self._settle(reply, outcome)


def _outcome(payload: bytes) -> Outcome:
    """What an ack says. That all is well is decoded at half the cost: it cannot hold an error, nor spell one."""
    if payload and b"error" not in payload and b"\\" not in payload:
        try:
            return _STORED.decode(payload)
        except msgspec.DecodeError:
            pass
    return _judged(payload)


def _judged(payload: bytes) -> Outcome:
    """The same, whatever the ack says."""
    if not payload:  # a status instead of an ack: nothing captures the subject
        return Refused(503, "no stream captures this subject; run `kgents provision`")
    try:
        ack = _ACK.decode(payload)
    except msgspec.DecodeError as error:
        return Refused(0, f"unreadable ack: {error}")
    if ack.error is None:
        return Stored(ack.seq, ack.duplicate)
    return Refused(ack.error.err_code, ack.error.description)
