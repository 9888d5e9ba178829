"""A connection to NATS that is replaced after every loss: config → Bus → Session, Session, … until it is closed.

nats-py's own reconnect is off. It ends forever on several errors (expired or revoked credentials, too many
connections), may leave a dead reader behind a client that calls itself connected, and sends from its buffer what
its caller has long dropped. So each loss, whatever its cause, takes one path here: the session ends, everything
subscribed on it ends with it, and a new client is made, with credentials read again.
"""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from kgents_shared.bus import websocket
from kgents_shared.bus.config import NatsConfig
from kgents_shared.bus.logger import get_logger
from kgents_shared.bus.login import CUT_OFF, credentials, login_error, login_name, nothing_listens, words_of
from kgents_shared.bus.session import Session, SessionLostError
from kgents_shared.bus.turns import until_turn_s
from kgents_shared.bus.wire import Wire
from kgents_shared.contract.address import join, of_url
from kgents_shared.contract.errors import BusTimeoutError, NoServerError

PING_INTERVAL_S: Final = 10.0
"""Seconds between pings, and for the answer. One that is missed ends a session whose server is stuck."""
NATS_PY_PING_S: Final = 120.0
"""Between those that nats-py sends beside ours: each wakes the process."""
BACKOFF_FIRST_S: Final = 0.1
BACKOFF_MAX_S: Final = 1.0
"""All urls are tried once a second while none answers."""
LOGIN_S: Final = 1.0
"""A session that ends sooner was most likely rejected by the server."""
ABORTED_S: Final = 0.2
"""Seconds to close an aborted connection: nats-py may wait forever for an interrupted TLS handshake."""
STABLE_AFTER_S: Final = 10.0
"""A session that lived that long resets the backoff."""
HASTE_S: Final = 2.0
"""How long all urls before the last one together may be silent in a hasty round: a lost SYN is sent again after 1 s."""
HASTE_MIN_S: Final = 0.25
"""… and each of them at least: a round trip to another continent. More than eight take longer together."""
RETRIED_S: Final = 30.0
"""Seconds between two logins to a server that was passed over, while there is a session with another."""


_log = get_logger(__name__)


class Bus:
    """The connection to NATS for one service: `async with Bus(config, name="collector-nats") as bus`.

    Entering does not wait for the server, which may start later; `session()` waits.
    """

    def __init__(self, config: NatsConfig, *, name: str, connection_name: str = "", cluster: str = "") -> None:
        """`name` and `cluster` of a service, else `name` and login, say where replies arrive: `NatsConfig.inbox_of`."""
        self._config = config
        self.name = name
        self._cluster = cluster
        self._connection_name = connection_name or name
        self._session: Session | None = None
        self._changed = asyncio.Condition()
        self._supervisor: asyncio.Task[None] | None = None
        self._is_closing = False
        self.rest_s = 0.0
        """What comes within so many seconds is read together, unless much comes or an answer is awaited. For who
        follows much and shows it rarely: a message that comes alone wakes the process, which costs more than it does.
        """
        self.reconnects = 0
        self._failures: dict[str, Exception] = {}  # url → why its last attempt or session ended

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
        """Whether there is a session now."""
        return self._session is not None and not self._session.lost.is_set()

    @property
    def last_error(self) -> str:
        """Why there is no session now, for each url that was tried; empty while there is one."""
        return "" if self.is_connected else self._causes

    @property
    def has_failed(self) -> bool:
        """Whether every url has been tried, and there is no session."""
        return not self.is_connected and self._failures.keys() == set(self._config.urls)

    @property
    def passed_over(self) -> str:
        """The servers that were tried before the one of this session, and why each was left; empty if none was.

        Each is tried again every RETRIED_S, and is no longer named once it lets us in.
        """
        return self._causes if self.is_connected else ""

    @property
    def _causes(self) -> str:
        return "; ".join(f"{_place(url)}: {words_of(error)}" for url, error in self._failures.items())

    @property
    def local_address(self) -> tuple[str, int] | None:
        """Our own end of the connection, address and port; None: there is none now, or it is not known."""
        return self._session.local_address if self._session is not None and self.is_connected else None

    @property
    def denials(self) -> list[str]:
        """What the server does not permit this login, as far as that was tried on this session; mostly empty."""
        return self._session.denials if self._session is not None else []

    async def session(self, *, timeout_s: float | None = None) -> Session:
        """The current session; waits for one, without a limit by default.

        Raises:
            NoServerError: none within `timeout_s`, and no program listens at any url.
            BusTimeoutError: none within `timeout_s` for another cause, which the text names for each url.
        """
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                while (session := self._session) is None or session.lost.is_set():
                    await self._changed.wait()
                return session
        except TimeoutError as error:
            raise self._absence(f"within {timeout_s:g} s: {self.last_error or 'still connecting'}") from error

    def _absence(self, detail: str) -> BusTimeoutError:
        if self.has_failed and all(map(nothing_listens, self._failures.values())):
            return NoServerError(f"no NATS server at {self._config.url} {detail}")
        return BusTimeoutError(f"no connection to NATS at {self._config.url} {detail}")

    async def sessions(self) -> AsyncIterator[Session]:
        """Every session, one after the other, each only once; never ends by itself."""
        seen: Session | None = None
        while True:
            session = await self.session()
            if session is seen:  # the caller noticed the loss before the supervisor did
                await session.lost.wait()
                await asyncio.sleep(0)
                continue
            seen = session
            yield session

    async def _supervise(self) -> None:
        """Try each url in its turn without a pause between them; the backoff grows from one round to the next.

        Every other round is hasty: a silent host does not keep us from the next one. A patient one follows, for servers
        that are only slow.
        """
        loop = asyncio.get_running_loop()
        urls = self._config.urls
        backoff_s = BACKOFF_FIRST_S
        untried = len(urls)
        is_hasty = True
        for url in itertools.cycle(urls):
            if self._is_closing:  # nats-py may have swallowed our cancellation, see Session.request
                return
            started = loop.time()
            was_connected = await self._attempt(url, self._patience_s(is_hasty=is_hasty and untried > 1))
            untried -= 1
            if untried and not was_connected:
                continue
            untried = len(urls)
            is_hasty = was_connected or not is_hasty
            backoff_s = BACKOFF_FIRST_S if loop.time() - started > STABLE_AFTER_S else backoff_s
            await asyncio.sleep(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads clients, guards nothing
            backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)

    def _patience_s(self, *, is_hasty: bool) -> float:
        """How long a server has until its first line."""
        share_s = max(HASTE_S / max(len(self._config.urls) - 1, 1), HASTE_MIN_S)
        return min(share_s, self._config.connect_timeout_s) if is_hasty else self._config.connect_timeout_s

    async def _attempt(self, url: str, patience_s: float) -> bool:
        """Connect to one server and stay while the session lives; returns whether there was a session."""
        wire = Wire(needs_tls=self._config.needs_tls)
        session: Session | None = None
        try:
            session = await self._connect(wire, url, patience_s)
            await self._live(wire, session, url)
        except Exception as error:  # noqa: BLE001 - a half-written credentials file raises anything; the next try may succeed
            self._failures[url] = error
            event = "nats_connection_failed" if session is None else "nats_connection_lost"
            _log.warning(event, url=_place(url), error=words_of(error))
        finally:
            if session is None:
                wire.abort()
            await _close(wire, PING_INTERVAL_S if session is not None else ABORTED_S)
        return session is not None

    async def _connect(self, wire: Wire, url: str, patience_s: float) -> Session:
        config = self._config
        session = Session(wire, config)
        wire.rest_s = lambda: self.rest_s
        until_s = asyncio.get_running_loop().time() + config.connect_timeout_s

        async def on_error(error: Exception) -> None:
            if "permissions violation" in str(error).lower():
                session.note_refusal(str(error).removeprefix("nats: "))
                _log.error("nats_permission_denied", refusal=session.refusal)
            elif self._session is session and not isinstance(error, CUT_OFF):  # else the attempt reports it
                _log.warning("nats_client_error", url=_place(url), error=words_of(error))

        async def on_closed() -> None:
            session.end()

        if url.startswith(("ws://", "wss://")):
            websocket.load()
        try:
            async with asyncio.timeout(patience_s) as limit:  # nats-py's own is for each step, and none for ws://
                wire.on_greeting = lambda: None if limit.expired() else limit.reschedule(until_s)
                await wire.connect(
                    url,
                    name=self._connection_name,
                    allow_reconnect=False,
                    connect_timeout=config.connect_timeout_s,  # type: ignore[arg-type]  # any number works
                    ping_interval=NATS_PY_PING_S,  # type: ignore[arg-type]
                    max_outstanding_pings=2,
                    error_cb=on_error,
                    closed_cb=on_closed,
                    # contract.subjects builds no illegal subject; checking each again costs a tenth.
                    skip_subject_validation=True,
                    inbox_prefix=config.inbox_of(self.name, self._cluster or login_name(config)),
                    **credentials(config),
                )
                await session.open()
        except Exception as error:
            session.end()
            within_s = config.connect_timeout_s if wire.is_greeted else patience_s
            raise login_error(error, config, wire, within_s) from error
        return session

    async def _live(self, wire: Wire, session: Session, url: str) -> None:
        started = asyncio.get_running_loop().time()
        self._failures.pop(url, None)
        await self._announce(session)
        retrying = asyncio.create_task(self._retry(session), name=f"bus {self.name}: urls passed over")
        _log.info("nats_connected", server=session.server_name, version=".".join(map(str, session.server_version)))
        try:
            while not session.lost.is_set() and not self._is_closing:
                with suppress(TimeoutError):
                    async with asyncio.timeout(until_turn_s(PING_INTERVAL_S)):
                        await session.lost.wait()
                if session.lost.is_set() or self._is_closing:
                    break
                if wire.has_dead_task:
                    raise SessionLostError("a task of the client has died behind an open socket")
                # A server that is stuck answers no ping, though nats-py calls it connected.
                await wire.flush(timeout=int(PING_INTERVAL_S))
        finally:
            session.end()
            self.reconnects += 1
            retrying.cancel()
            await self._announce(None)
            await asyncio.wait([retrying])
        if not self._is_closing:
            when = " while we logged in" if asyncio.get_running_loop().time() - started < LOGIN_S else ""
            raise SessionLostError(f"connection lost{when}: {words_of(wire.last_error)}")

    async def _retry(self, current: Session) -> None:
        """While there is a session, log in again to each server that was passed over: it may be well again."""
        while not current.lost.is_set():  # nats-py may have swallowed our cancellation
            await asyncio.sleep(until_turn_s(RETRIED_S))
            for url in tuple(self._failures):
                wire = Wire(needs_tls=self._config.needs_tls)
                try:
                    (await self._connect(wire, url, self._config.connect_timeout_s)).end()
                except Exception as error:  # noqa: BLE001 - as in `_attempt`, which has logged the first one
                    self._failures[url] = error
                else:
                    del self._failures[url]
                    _log.info("nats_url_reachable", url=_place(url))
                finally:
                    await _close(wire, ABORTED_S)
                    wire.abort()

    async def _announce(self, session: Session | None) -> None:
        async with self._changed:
            self._session = session
            self._changed.notify_all()


def _place(url: str) -> str:
    """A url without the path and query of a websocket, which a gateway may take for a login."""
    return f"{url.partition('://')[0]}://{join(*of_url(url))}"


async def _close(wire: Wire, within_s: float) -> None:
    """Close a connection to the end, also when we are cancelled meanwhile: no one else knows of it."""
    closing = asyncio.create_task(wire.end(within_s))
    try:
        await asyncio.shield(closing)
    except asyncio.CancelledError:
        await asyncio.wait([closing])
        raise
