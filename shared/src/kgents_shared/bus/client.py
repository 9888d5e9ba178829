"""A connection to NATS that is replaced for ever: config → Bus → Session, Session, … until the bus is closed.

nats-py's own reconnect is off. It gives up for good on several errors (expired or revoked credentials, too many
connections), may leave a dead reader behind a client that calls itself connected, and sends from its buffer what
its caller has long given up on. So each loss, whatever its cause, takes one path here: the session ends, everything
that hung on it ends with it, and a new client is made with credentials read anew.
"""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import nats.errors
from nats.aio.client import Client

from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.login import credentials, unread_refusal, words_of
from kgents_shared.bus.session import Session, SessionLostError
from kgents_shared.contract.errors import BusError, BusTimeoutError

PING_INTERVAL_S: Final = 10.0
"""How often the round trip is tried. Two missed in a row end a session that only looks alive."""
BACKOFF_FIRST_S: Final = 0.1
BACKOFF_MAX_S: Final = 5.0
LOGIN_S: Final = 1.0
"""A session that ends sooner was most likely not admitted."""
STABLE_AFTER_S: Final = 10.0
"""A session that lived that long resets the backoff."""

CUT_OFF: Final = (nats.errors.UnexpectedEOF, ConnectionError, SessionLostError)

_log = get_logger(__name__)


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


def _has_dead_task(client: Client) -> bool:
    """Whether nats-py reads or writes no more: it catches whatever goes wrong there, and tells nobody."""
    tasks = (getattr(client, name, None) for name in ("_reading_task", "_flusher_task"))
    return any(task is not None and task.done() for task in tasks)


async def _close(client: Client) -> None:
    with suppress(Exception):  # of one that never connected, nats-py cannot even do that
        async with asyncio.timeout(PING_INTERVAL_S):
            await client.close()
