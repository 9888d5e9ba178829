"""A connection to NATS that is replaced for ever: config → Bus → Session, Session, … until the bus is closed.

nats-py's own reconnect is off. It gives up for good on several errors (expired or revoked credentials, too many
connections), may leave a dead reader behind a client that calls itself connected, and sends from its buffer what
its caller has long given up on. So each loss, whatever its cause, takes one path here: the session ends, everything
that hung on it ends with it, and a new client is made with credentials read anew.
"""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.login import credentials, unread_refusal, words_of
from kgents_shared.contract.errors import BusError, BusTimeoutError

T = TypeVar("T")
Handler = Callable[[Msg], Awaitable[None]]

PING_INTERVAL_S: Final = 10.0
"""How often the round trip is tried. Two missed in a row end a session that only looks alive."""
BACKOFF_FIRST_S: Final = 0.1
BACKOFF_MAX_S: Final = 5.0
REFUSALS_MAX: Final = 100
"""Refused subjects that are remembered for the sake of error texts."""
HEADERS_MAX_BYTES: Final = 4096
"""More than any headers of ours: a payload that leaves so much room below max_payload needs no closer look."""
LOGIN_S: Final = 1.0
"""A session that ends sooner was most likely not admitted."""
STABLE_AFTER_S: Final = 10.0
"""A session that lived that long resets the backoff."""

_log = get_logger(__name__)


class SessionLostError(BusError):
    """The connection ended; take the next session and begin again."""


CUT_OFF: Final = (nats.errors.UnexpectedEOF, ConnectionError, SessionLostError)


class ApiFault(msgspec.Struct):
    """How JetStream says no."""

    code: int
    err_code: int = 0
    description: str = ""


class _Fault(msgspec.Struct):
    error: ApiFault | None = None


class Session:
    """One connection's life. Everything subscribed on it ends with it."""

    def __init__(self, client: Client, config: NatsConfig) -> None:
        self._client = client
        self._timeout_s = config.request_timeout_s
        self._api = f"$JS.{config.jetstream_domain}.API." if config.jetstream_domain else "$JS.API."
        self._replies: dict[str, asyncio.Future[Msg | None]] = {}
        self._reply_inbox = ""
        self._reply_count = itertools.count()
        self.lost = asyncio.Event()
        self.on_end: set[Callable[[], None]] = set()
        """Called when the session ends, by whoever waits for something else at that moment."""
        self._refusals: dict[str, None] = {}  # the server's words, newest last

    @property
    def refusal(self) -> str:
        """The server's last word on a missing permission; it comes apart from the request that it refuses."""
        return next(reversed(self._refusals), "")

    def refusal_of(self, *subjects: str) -> str:
        """What the server said of one of these subjects, put so that it can end a sentence; mostly nothing."""
        names = [f'"{subject.lower()}"' for subject in subjects]  # nats-py hands the server's words on in lower case
        said = [words for words in self._refusals if any(name in words.lower() for name in names)]
        return f"; the server said: {said[-1]}" if said else ""

    def note_refusal(self, words: str) -> None:
        """The server refuses a subject."""
        self._refusals.pop(words, None)
        self._refusals[words] = None
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
        info: dict[str, Any] = self._client._server_info  # noqa: SLF001 - nats-py shows its version only
        return str(info.get("server_name", ""))

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
        subscription = await self._guard(
            self._client.subscribe(subject, cb=handler, pending_msgs_limit=-1, pending_bytes_limit=-1)
        )

        async def unsubscribe() -> None:
            with suppress(nats.errors.Error, OSError):
                await subscription.unsubscribe()

        return unsubscribe

    async def publish(
        self, subject: str, payload: bytes, *, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Hand a message to the connection. That it was stored, only an ack on `reply` says.

        Raises:
            BusError: the message itself cannot be sent, now or later.
            SessionLostError: the connection is gone.
        """
        # nats-py leaves the headers out of its own check, and the server ends the connection of who sends too much.
        if len(payload) + HEADERS_MAX_BYTES > self.max_payload_bytes:
            self._check_size(payload, headers or {})
        await self._guard(self._client.publish(subject, payload, reply=reply, headers=headers))

    def _check_size(self, payload: bytes, headers: dict[str, str]) -> None:
        size_bytes = len(payload) + _headers_bytes(headers)
        if size_bytes > self.max_payload_bytes:
            raise BusError(
                f"message of {size_bytes} bytes exceeds the server's max_payload of {self.max_payload_bytes}; "
                "raise max_payload in the server's configuration"
            )

    async def request(self, subject: str, payload: bytes = b"", *, headers: dict[str, str] | None = None) -> Msg:
        """Ask and wait for one answer.

        nats-py's own `request` rests on `asyncio.wait_for`, which before Python 3.12 swallows a cancellation that
        comes together with the answer: a service told to stop would go on.
        """
        token = str(next(self._reply_count))
        reply: asyncio.Future[Msg | None] = asyncio.get_running_loop().create_future()
        self._replies[token] = reply
        try:
            async with asyncio.timeout(self._timeout_s):
                await self.publish(subject, payload, reply=f"{self._reply_inbox}.{token}", headers=headers)
                answer = await reply
        except TimeoutError as error:
            refusal = self.refusal_of(subject, f"{self._reply_inbox}.*")
            raise BusTimeoutError(f"no answer on {subject} within {self._timeout_s:g} s{refusal}") from error
        finally:
            del self._replies[token]
        if answer is None:
            raise SessionLostError(f"connection lost while waiting for {subject}")
        if not answer.data and answer.headers and answer.headers.get("Status") == "503":
            raise BusError(f"nobody answers on {subject}: is JetStream enabled, and is the name right?")
        return answer

    async def open(self) -> None:
        """Make ready to receive answers."""
        self._reply_inbox = self.new_inbox()
        await self.subscribe(f"{self._reply_inbox}.*", self._on_reply)

    def end(self) -> None:
        """The connection is gone: nobody waits for its answers any longer."""
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

    async def api(self, name: str, body: object, type_: type[T]) -> T:
        """A JetStream API request, e.g. `STREAM.INFO.KGENTS_META`."""
        answer = await self.request(self.api_subject(name), msgspec.json.encode(body) if body is not None else b"")
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


class Bus:
    """The way to NATS for one service: `async with Bus(config, name="collector-nats") as bus`.

    Entering does not wait for the server: it may come later, and `session()` waits.
    """

    def __init__(self, config: NatsConfig, *, name: str, connection_name: str = "") -> None:
        self._config = config
        self.name = name
        self._connection_name = connection_name or name
        self._session: Session | None = None
        self._changed = asyncio.Condition()
        self._supervisor: asyncio.Task[None] | None = None
        self._is_closing = False
        self.reconnects = 0
        self.last_error = ""
        """Why there is no session now; empty while there is one."""

    async def __aenter__(self) -> Self:
        self._supervisor = asyncio.create_task(self._supervise(), name=f"bus {self.name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closing = True
        if self._supervisor is not None:
            self._supervisor.cancel()
            with suppress(asyncio.CancelledError):
                await self._supervisor

    @property
    def is_connected(self) -> bool:
        """Whether there is a session just now."""
        return self._session is not None and not self._session.lost.is_set()

    async def session(self, *, timeout_s: float | None = None) -> Session:
        """The living session; waits for one (for ever unless told otherwise).

        Raises:
            BusTimeoutError: none within `timeout_s`; the text says why.
        """
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                while (session := self._session) is None or session.lost.is_set():
                    await self._changed.wait()
                return session
        except TimeoutError as error:
            raise BusTimeoutError(
                f"no NATS server at {self._config.url} within {timeout_s:g} s: {self.last_error or 'no answer'}"
            ) from error

    async def sessions(self) -> AsyncIterator[Session]:
        """Every session, one after the other, each only once; never ends by itself."""
        seen: Session | None = None
        while True:
            session = await self.session()
            if session is seen:  # our user noticed the loss before the supervisor did
                await session.lost.wait()
                await asyncio.sleep(0)
                continue
            seen = session
            yield session

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        backoff_s = BACKOFF_FIRST_S
        for url in itertools.cycle(self._config.urls):
            if self._is_closing:  # nats-py may have swallowed our cancellation, see Session.request
                return
            started = loop.time()
            client = Client()
            try:
                session = await self._connect(client, url)
                await self._live(client, session)
            except Exception as error:  # noqa: BLE001 - a half-written credentials file raises anything; the next try may succeed
                self.last_error = f"{url}: {words_of(error)}"
                _log.warning("cannot connect to NATS", url=url, error=words_of(error), retry_in_s=round(backoff_s, 2))
            finally:
                await _close(client)
            backoff_s = BACKOFF_FIRST_S if loop.time() - started > STABLE_AFTER_S else backoff_s
            await asyncio.sleep(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads clients, guards nothing
            backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)

    async def _connect(self, client: Client, url: str) -> Session:
        config = self._config
        session = Session(client, config)
        started = asyncio.get_running_loop().time()

        async def on_error(error: Exception) -> None:
            if "permissions violation" in str(error).lower():
                session.note_refusal(str(error).removeprefix("nats: "))
                _log.error("NATS refused a subject: the account's permissions must allow it", refusal=session.refusal)
            elif not session.lost.is_set():  # what follows upon the end hides its cause
                is_young = asyncio.get_running_loop().time() - started < LOGIN_S
                self.last_error = f"{url}: {words_of(_of_login(error) if is_young else error)}"

        async def on_closed() -> None:
            session.end()

        try:
            await client.connect(
                url,
                name=self._connection_name,
                allow_reconnect=False,
                connect_timeout=config.connect_timeout_s,  # type: ignore[arg-type]  # any number works
                ping_interval=PING_INTERVAL_S,  # type: ignore[arg-type]
                max_outstanding_pings=2,
                error_cb=on_error,
                closed_cb=on_closed,
                # Subjects come from contract.subjects, which builds no illegal one; checking each again costs a tenth.
                skip_subject_validation=True,
                inbox_prefix=config.inbox_prefix or f"_INBOX_{self.name}",
                **credentials(config),
            )
            await session.open()
        except Exception as error:
            session.end()
            if not isinstance(error, CUT_OFF):
                raise
            words = unread_refusal(client)
            raise BusError(f"the server refused us: {words}") if words else _of_login(error) from error
        return session

    async def _live(self, client: Client, session: Session) -> None:
        started = asyncio.get_running_loop().time()
        self.last_error = ""
        await self._announce(session)
        _log.info("connected to NATS", server=session.server_name, version=".".join(map(str, session.server_version)))
        try:
            while not session.lost.is_set() and not self._is_closing:
                with suppress(TimeoutError):
                    async with asyncio.timeout(PING_INTERVAL_S):
                        await session.lost.wait()
                if session.lost.is_set() or self._is_closing:
                    break
                if _has_dead_task(client):
                    raise SessionLostError("a task of the client has died behind an open socket")
                # A server that is stuck answers no ping, though nats-py calls it connected.
                await client.flush(timeout=int(PING_INTERVAL_S))
        finally:
            session.end()
            self.reconnects += 1
            await self._announce(None)
        when = " while we logged in" if asyncio.get_running_loop().time() - started < LOGIN_S else ""
        self.last_error = f"connection lost{when}: {words_of(client.last_error)}"
        _log.warning("lost the connection to NATS", error=words_of(client.last_error))

    async def _announce(self, session: Session | None) -> None:
        async with self._changed:
            self._session = session
            self._changed.notify_all()


def _of_login(error: Exception) -> Exception:
    """What an error means early on: a server that refuses a login closes at once, maybe before it says why."""
    if not isinstance(error, CUT_OFF) or isinstance(error, ConnectionRefusedError):
        return error
    return BusError(f"the server ended the connection while we logged in: {words_of(error)}")


def _headers_bytes(headers: dict[str, str]) -> int:
    """Bytes of a header block: `NATS/1.0`, a line for each header, an empty line."""
    return 12 + sum(len(name.encode()) + len(value.encode()) + 4 for name, value in headers.items())


def _has_dead_task(client: Client) -> bool:
    """Whether nats-py reads or writes no more: it catches whatever goes wrong there, and tells nobody."""
    tasks = (getattr(client, name, None) for name in ("_reading_task", "_flusher_task"))
    return any(task is not None and task.done() for task in tasks)


async def _close(client: Client) -> None:
    with suppress(Exception):  # of one that never connected, nats-py cannot even do that
        async with asyncio.timeout(PING_INTERVAL_S):
            await client.close()
