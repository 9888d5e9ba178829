"""The system account → Sample: `$SYS.REQ.SERVER.PING.<ENDPOINT>` is answered by every server of the cluster."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol, TypeVar

import msgspec
from msgspec import Struct

from kgents_collector_nats.sample import Connz, Fault, Healthz, Jsz, Sample, Server, Varz
from kgents_collector_nats.source.answer import (
    CONNZ_OPTIONS,
    JSZ_OPTIONS,
    P,
    UnreadableError,
    decoded,
    tried,
    unready,
    whole,
)
from kgents_shared.bus.client import Bus
from kgents_shared.bus.deadline import Deadline
from kgents_shared.bus.session import Session
from kgents_shared.contract.errors import BusError
from kgents_shared.runtime.clock import Clock

T = TypeVar("T")

_ALL: Final = "$SYS.REQ.SERVER.PING"


class SystemSource:
    """All servers of a cluster."""

    def __init__(self, bus: Bus, clock: Clock, *, timeout_s: float) -> None:
        """The bus must be a login of the system account."""
        self._bus = bus
        self._clock = clock
        self._timeout_s = timeout_s

    async def read(self) -> Sample:
        """Poll all servers."""
        at = self._clock.now()
        try:
            session = await self._bus.session(timeout_s=self._timeout_s)
            return await _Poll(session, self._timeout_s).sample(at)
        except (BusError, UnreadableError) as error:
            return Sample(at, faults=(Fault("system account", str(error)),))


class _Message(Protocol):
    @property
    def data(self) -> bytes: ...


class _ServerInfo(Struct, frozen=True):
    name: str
    id: str


class _Statsz(Struct, frozen=True):
    active_servers: int = 1
    """Servers that this one knows, itself included; one that was killed counts for some minutes more."""


class _Reply(Struct, frozen=True):
    """The envelope of every answer; a bare ping is answered with `statsz` instead of `data`."""

    server: _ServerInfo
    data: msgspec.Raw = msgspec.Raw(b"{}")
    statsz: _Statsz = _Statsz()


class _Poll:
    """One poll: first who answers, then each endpoint of those servers; an unreachable server costs one timeout."""

    def __init__(self, session: Session, timeout_s: float) -> None:
        self._session = session
        self._timeout_s = timeout_s
        self._ids: dict[str, str] = {}
        self._faults: list[Fault] = []

    async def sample(self, at: datetime) -> Sample:
        expected = await self._who_is_there()
        healthz = await self._ask("HEALTHZ", {"js_server_only": True}, Healthz)
        subscriptions = {"subscriptions": True, "subscriptions_detail": True}
        varz = await self._ask("VARZ", {}, Varz)
        connz = await self._pages("CONNZ", {**CONNZ_OPTIONS, **subscriptions}, Connz)
        jsz = await self._pages("JSZ", {**JSZ_OPTIONS, "consumer": True}, Jsz)
        ready = {name for name, each in healthz.items() if each.status == "ok"}
        self._faults += [unready(name, each) for name, each in healthz.items() if name not in ready]
        servers = [
            Server(name, varz.get(name), connz.get(name), jsz.get(name) if name in ready else None, healthz.get(name))
            for name in sorted(self._ids)
        ]
        return Sample(at, tuple(servers), tuple(self._faults), expected)

    async def _who_is_there(self) -> int:
        """Learn names and ids; returns how many servers there should be."""
        replies = await self._replies(_ALL, {}, lambda found: len(found) >= _active(found))
        if not replies:
            raise UnreadableError(f"no server answered {_ALL} within {self._timeout_s:g} s; are they stopped?")
        self._ids = {reply.server.name: reply.server.id for reply in replies}
        expected = _active(replies)
        if len(self._ids) < expected:
            text = (
                f"{len(self._ids)} of {expected} servers answered within {self._timeout_s:g} s "
                f"({', '.join(sorted(self._ids))}): the others are left as they were; are they stopped or cut off? "
                "(One that was killed is counted for some minutes more.)"
            )
            self._faults.append(Fault("cluster", text))
        return expected

    async def _pages(self, endpoint: str, options: dict[str, object], type_: type[P]) -> dict[str, P]:
        """`_ask`, and further pages requested from the one server that has them."""
        found: dict[str, P] = {}
        for name, first in (await self._ask(endpoint, options, type_)).items():
            page = await tried(self._rest(first, name, endpoint, options, type_), name, self._faults)
            if page is not None:
                found[name] = page
        return found

    async def _rest(self, first: P, name: str, endpoint: str, options: dict[str, object], type_: type[P]) -> P:
        what = f"{endpoint} of server {name}"

        async def read(offset: int) -> P:
            subject = f"$SYS.REQ.SERVER.{self._ids[name]}.{endpoint}"
            replies = await self._replies(subject, {**options, "offset": offset}, bool)
            if not replies:
                raise UnreadableError(self._silence(name, endpoint))
            return decoded(replies[0].data, type_, what)

        return await whole(first, read, what)

    async def _ask(self, endpoint: str, options: dict[str, object], type_: type[T]) -> dict[str, T]:
        """Server name → its answer; a missing or invalid answer is a fault."""
        answers: dict[str, T] = {}
        replies = await self._replies(f"{_ALL}.{endpoint}", options, lambda found: len(found) >= len(self._ids))
        by_name = {reply.server.name: reply for reply in replies}
        for name in sorted(self._ids):
            if name not in by_name:
                self._faults.append(Fault(name, self._silence(name, endpoint)))
                continue
            try:
                answers[name] = decoded(by_name[name].data, type_, f"{endpoint} of server {name}")
            except UnreadableError as error:
                self._faults.append(Fault(name, str(error)))
        return answers

    def _silence(self, name: str, endpoint: str) -> str:
        return f"server {name} did not answer {endpoint} within {self._timeout_s:g} s; is it stopped or overloaded?"

    async def _replies(
        self, subject: str, options: dict[str, object], is_enough: Callable[[list[_Reply]], bool]
    ) -> list[_Reply]:
        """The answers until there are enough, or until the deadline."""
        replies: list[_Reply] = []
        refusals: list[UnreadableError] = []
        done = asyncio.Event()

        async def on_reply(message: _Message) -> None:
            try:
                replies.append(_reply(message.data, subject))
            except UnreadableError as error:
                refusals.append(error)
            if refusals or is_enough(replies):
                done.set()

        inbox = self._session.new_inbox()
        unsubscribe = await self._session.subscribe(inbox, on_reply)
        try:
            await self._session.publish(subject, msgspec.json.encode(options), reply=inbox)
            async with Deadline(self._timeout_s):
                await done.wait()
        except TimeoutError:
            pass  # missing servers are found by comparison
        finally:
            await unsubscribe()
        if refusals:
            raise refusals[0]
        return replies


def _reply(data: bytes, subject: str) -> _Reply:
    if not data:  # the server says that nothing subscribes there
        raise UnreadableError(f"no answer to {subject}: `system` must be a login of the system account")
    return decoded(data, _Reply, subject)


def _active(replies: list[_Reply]) -> int:
    """How many servers there are: the highest count any reports, since one that has just started knows only itself."""
    return max((reply.statsz.active_servers for reply in replies), default=1)
