"""One connection's life: subscribe, publish, request, and one error for every way in which it ends.

Between `client`, which makes a session after the other, and everything else in `bus`, which works on one.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar

import msgspec
import nats.errors
from nats.aio.msg import Msg

from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.direct import HEADERS_MAX_BYTES, Receiver
from kgents_shared.bus.wire import Wire
from kgents_shared.contract.errors import BusError, BusTimeoutError

T = TypeVar("T")
Handler = Callable[[Msg], Awaitable[None]]

REFUSALS_MAX: Final = 100
"""Refused subjects that are remembered for the sake of error texts."""
DENIED_S: Final = 75.0
"""How long a refusal counts that does not come again: what is refused is tried again, the rarest with each audit."""
_SUBSCRIPTION: Final = "for subscription"


class SessionLostError(BusError):
    """The connection ended; take the next session and begin again."""


class NoResponderError(BusError):
    """No program answers on a subject."""


class ApiFault(msgspec.Struct):
    """A refusal by JetStream."""

    code: int
    err_code: int = 0
    description: str = ""


class _Fault(msgspec.Struct):
    error: ApiFault | None = None


class Session:
    """One connection's life. Everything subscribed on it ends with it."""

    def __init__(self, client: Wire, config: NatsConfig) -> None:
        self._client = client
        self.post: Final = client.post
        """The same as `publish` at once, if that needs no wait and is certainly legal; returns whether it was done."""
        self.timeout_s = config.request_timeout_s
        """Of one answer."""
        self._api = config.api_prefix
        self._replies: dict[str, asyncio.Future[Msg | None]] = {}
        client.is_awaited = lambda: bool(self._replies)
        self._reply_inbox = ""
        self._reply_count = itertools.count()
        self.lost = asyncio.Event()
        self.on_end: set[Callable[[], None]] = set()
        """Called when the session ends, to wake tasks that wait for something else."""
        self._refusals: dict[str, float] = {}  # as the server put it → when, newest last

    @property
    def refusal(self) -> str:
        """The server's last error on a missing permission; it comes apart from the request that it refuses."""
        return next(reversed(self._refusals), "")

    @property
    def denials(self) -> list[str]:
        """What the server does not permit now, as far as that was tried; mostly empty.

        What is published or requested is tried again or no longer needed, a subscription is made once.
        """
        since_s = asyncio.get_running_loop().time() - DENIED_S
        return [each for each, at_s in self._refusals.items() if at_s > since_s or _SUBSCRIPTION in each.lower()]

    def refusal_of(self, *subjects: str) -> str:
        """The server's error on one of these subjects, as the end of a sentence; mostly empty."""
        names = [f'"{subject.lower()}"' for subject in subjects]  # nats-py passes the server's errors on in lower case
        found = [each for each in self._refusals if any(name in each.lower() for name in names)]
        return f"; the server reported: {found[-1]}" if found else ""

    def note_refusal(self, text: str) -> None:
        """The server refuses a subject."""
        self._refusals.pop(text, None)
        self._refusals[text] = asyncio.get_running_loop().time()
        if len(self._refusals) > REFUSALS_MAX:
            del self._refusals[next(iter(self._refusals))]

    @property
    def server_version(self) -> tuple[int, int, int]:
        """The server's version."""
        version = self._client.connected_server_version
        return version.major, version.minor, version.patch

    @property
    def server_name(self) -> str:
        """The server's name, as it calls itself."""
        return self._client.server_name

    @property
    def local_address(self) -> tuple[str, int] | None:
        """Our own end of the connection, address and port; None: not known."""
        return self._client.local_address

    @property
    def cluster_size(self) -> int:
        """Servers of the cluster that accept clients: 1 outside a cluster, 0 if its servers advertise none."""
        return self._client.cluster_size

    @property
    def max_payload_bytes(self) -> int:
        """The largest message that this server takes."""
        return self._client.max_payload

    def new_inbox(self) -> str:
        """A subject for replies to this client alone."""
        return self._client.new_inbox()

    async def subscribe(self, subject: str, handler: Handler) -> Callable[[], Awaitable[None]]:
        """Hand every message on the subject to the handler, in order; returns what ends it.

        nats-py's own limits are off: what we subscribe to is bounded by what we asked for (pulls, acks, requests).
        """
        self._try_again(subject)
        subscription = await self._guard(
            self._client.subscribe(subject, cb=handler, pending_msgs_limit=-1, pending_bytes_limit=-1)
        )

        async def unsubscribe() -> None:
            with suppress(nats.errors.Error, OSError):
                await subscription.unsubscribe()

        return unsubscribe

    async def serve(
        self, subject: str, handler: Handler, *, queue: str = ""
    ) -> Callable[[], Coroutine[Any, Any, None]]:
        """The same as `subscribe` for requests, each of which goes to one member of a queue group.

        What ends it returns when those that are on the way have been handed over.
        """
        self._try_again(subject)
        subscription = await self._guard(
            self._client.subscribe(subject, queue, cb=handler, pending_msgs_limit=-1, pending_bytes_limit=-1)
        )

        async def drain() -> None:
            with suppress(nats.errors.Error, OSError):
                await subscription.drain()  # type: ignore[no-untyped-call]  # nats-py types only some

        return drain

    async def receive(self, subject: str, receiver: Receiver) -> Callable[[], Awaitable[None]]:
        """The same as `subscribe` for very many messages: a plain function takes each as soon as it has been read."""
        self._try_again(subject)
        end = await self._guard(self._client.receive(subject, receiver))

        async def unsubscribe() -> None:
            with suppress(nats.errors.Error, OSError):
                await end()

        return unsubscribe

    def _try_again(self, subject: str) -> None:
        """Forget that a subject was refused: the server refuses it again, or no more."""
        for refused in [each for each in self._refusals if f'"{subject.lower()}"' in each.lower()]:
            del self._refusals[refused]

    async def publish(
        self, subject: str, payload: bytes, *, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Hand a message to the connection. Only an ack on `reply` confirms that it was stored.

        Raises:
            BusError: the message itself cannot be sent, now or later.
            SessionLostError: the connection is gone.
        """
        # nats-py leaves the headers out of its own check, and the server ends a connection that sends too much.
        if len(payload) + HEADERS_MAX_BYTES > self.max_payload_bytes:
            self._check_size(payload, headers or {})
        await self._guard(self._client.send(subject, payload, reply, headers))

    def _check_size(self, payload: bytes, headers: dict[str, str]) -> None:
        size_bytes = len(payload) + _headers_bytes(headers)
        if size_bytes > self.max_payload_bytes:
            raise BusError(
                f"message of {size_bytes} bytes exceeds the server's max_payload of {self.max_payload_bytes}; "
                "raise max_payload in the server's configuration"
            )

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        *,
        headers: dict[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Msg:
        """Ask and wait for one answer, for `timeout_s` of this session unless another is given.

        nats-py's own `request` rests on `asyncio.wait_for`, which before Python 3.12 swallows a cancellation that
        comes together with the answer: a service that is to stop would go on.
        """
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        token = str(next(self._reply_count))
        reply: asyncio.Future[Msg | None] = asyncio.get_running_loop().create_future()
        self._replies[token] = reply
        try:
            async with asyncio.timeout(limit_s):
                await self.publish(subject, payload, reply=f"{self._reply_inbox}.{token}", headers=headers)
                self._client.read_on()
                answer = await reply
        except TimeoutError as error:
            refusal = self.refusal_of(subject, f"{self._reply_inbox}.*")
            raise BusTimeoutError(f"no answer on {subject} within {limit_s:g} s{refusal}") from error
        finally:
            del self._replies[token]
        if answer is None:
            raise SessionLostError(f"connection lost while waiting for {subject}")
        if not answer.data and answer.headers and answer.headers.get("Status") == "503":
            raise NoResponderError(f"no responder on {subject}; try: check that JetStream is enabled, and the name")
        return answer

    async def open(self) -> None:
        """Make ready to receive answers."""
        self._reply_inbox = self.new_inbox()
        await self.subscribe(f"{self._reply_inbox}.*", self._on_reply)

    def end(self) -> None:
        """The connection is gone: fail all requests that wait for answers."""
        self.lost.set()
        for call in list(self.on_end):
            call()
        for reply in self._replies.values():
            if not reply.done():
                reply.set_result(None)

    async def _on_reply(self, message: Msg) -> None:
        reply = self._replies.get(message.subject.rpartition(".")[2])
        if reply is not None and not reply.done():
            reply.set_result(message)

    async def api(self, name: str, body: object, type_: type[T], *, prefix: str = "") -> T:
        """A JetStream API request, e.g. `STREAM.INFO.KGENTS_META`; to another domain by its prefix."""
        subject = f"{prefix}{name}" if prefix else self.api_subject(name)
        answer = await self.request(subject, msgspec.json.encode(body) if body is not None else b"")
        if (fault := msgspec.json.decode(answer.data, type=_Fault).error) is not None:
            raise BusError(f"{name}: {fault.description} ({fault.err_code or fault.code})", code=fault.err_code)
        return msgspec.json.decode(answer.data, type=type_)

    def api_subject(self, name: str) -> str:
        """The subject of an API request, in the configured JetStream domain."""
        return self._api + name

    async def _guard(self, call: Awaitable[T]) -> T:
        """Turn "the connection is gone" into one error, whatever nats-py calls it."""
        try:
            return await call
        except (nats.errors.BadSubjectError, nats.errors.BadHeaderError) as error:
            raise BusError(f"not a legal subject or header: {error}") from error
        except (nats.errors.Error, OSError) as error:
            self.end()
            raise SessionLostError(f"connection lost: {error}") from error


def _headers_bytes(headers: dict[str, str]) -> int:
    """Bytes of a header block: `NATS/1.0`, a line for each header, an empty line."""
    return 12 + sum(len(name.encode()) + len(value.encode()) + 4 for name, value in headers.items())
