"""Requests of spans → applications, and what they serve and call in the window. Pure: time is an argument.

A call is one span of its client and one of its server, in any order and in any requests. The client's waits for the
server's, which says which application answered; without it the call is one to an address. A call to a database or to a
broker waits for nothing: these send no spans. What counts is when a span arrives, so a window never changes afterwards.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from msgspec import Struct

from kgents_collector_otel.mapping import wire
from kgents_collector_otel.mapping.apps import Apps
from kgents_collector_otel.mapping.edge import App, Edge
from kgents_collector_otel.mapping.messages import Messages, Received
from kgents_collector_otel.mapping.names import (
    CLIENT,
    CONSUMER,
    OF_CLIENTS,
    OF_SERVERS,
    PRODUCER,
    REMEMBERED_BYTES,
    SERVER,
    Attributes,
    Call,
    Calls,
    in_namespace,
)
from kgents_collector_otel.mapping.sampling import CONFIGURED, KNOWN, UNKNOWN, Weights
from kgents_shared.contract.vocabulary import edges

SLICE: Final = 512
"""Spans from one point at which others may run to the next: some two milliseconds."""
CONFIRMED: Final = 3
"""Pairs that must agree on which application is at an address, before a call without its server's side counts so."""
CONFIRMING: Final = 8
"""Pairs of an edge in a window that confirm its address: it changes with a deployment, not from call to call."""
UNSUMMED_MAX: Final = 32_768
"""Spans whose durations wait to be summed, which is cheaper for many at once."""
ADDRESSES_MAX: Final = 10_000
"""Addresses of which is remembered which application is there."""

_TRACE_BYTES: Final = 16
_SPAN_BYTES: Final = 8
_NO_TRACE: Final = bytes(_TRACE_BYTES)
_NO_SPAN: Final = bytes(_SPAN_BYTES)
_DURATION_MAX_NS: Final = 1 << 60
_ERROR: Final = 2
_UNSAMPLED: Final = (1.0, UNKNOWN)
_AMBIGUOUS: Final = -1


class Limits(Struct, frozen=True):
    """What bounds the memory of this module."""

    max_waiting: int
    pair_wait_ns: int
    max_age_ns: int


class Counts(Struct):
    """What became of the spans, since the start."""

    spans: int = 0
    paired: int = 0
    peer_only: int = 0
    caller_only: int = 0
    inbound_only: int = 0
    unattributed: int = 0
    """Calls that say neither an address nor a peer."""
    duplicate: int = 0
    late: int = 0
    rejected: int = 0
    hidden: int = 0
    """Of applications beyond the limit, and without a name."""
    early: int = 0
    """Calls that were counted without their other side before its time, for lack of memory."""


_Half = tuple[int, App, Call, float, tuple[float, str], bool]
"""One side of a call: when it arrived (ns), of which application, what it says, its duration (ms), how many calls it
stands for and by what, whether it failed."""


class _Statuses(dict[bytes, bool]):
    """A span's status → whether it is an error. Learns what it is asked; a status holds a text, so there are many."""

    def __missing__(self, raw: bytes) -> bool:
        if len(self) >= 1_000:
            self.clear()
        try:
            is_error = wire.status_code(raw) == _ERROR
        except wire.DecodeError:
            return False
        if len(raw) <= REMEMBERED_BYTES:
            self[raw] = is_error
        return is_error


class Traces:
    """The spans that wait, and the counters of the applications."""

    def __init__(self, apps: Apps, limits: Limits) -> None:
        self.apps = apps
        self.counts = Counts()
        self._limits = limits
        self._forget_names()
        self._statuses = _Statuses()
        self._weights = Weights()
        self._clients: dict[bytes, _Half] = {}
        self._servers: dict[bytes, _Half] = {}
        self._served: dict[bytes, App] = {}  # servers' spans by their own ids …
        self._served_before: dict[bytes, App] = {}  # … and those of the time before
        self.messages = Messages(limits.max_waiting)
        self._turned_ns = 0
        self._unsummed = 0
        self._at: dict[str, tuple[App, int]] = {}  # address → the application there, by how many pairs
        self._traced: set[str] = set()  # addresses of clients that send spans

    def _forget_names(self) -> None:
        self._attributes = clients, servers = Attributes(OF_CLIENTS), Attributes(OF_SERVERS)
        self._calls = {kind: Calls(kind, clients) for kind in (CLIENT, PRODUCER, CONSUMER)}
        self._calls[SERVER] = Calls(SERVER, servers)

    @property
    def waiting(self) -> int:
        """Spans that wait for their other side."""
        return len(self._clients) + len(self._servers)

    def feed(self, request: Any, now_ns: int) -> Iterator[int]:
        """Count a request's spans; yields after each SLICE of them how many it had to reject since.

        Args:
            request: a `wire.TracesRequest`.
            now_ns: when it arrived.
        """
        rejected, left = self.counts.rejected, SLICE
        for of_resource in request.resource_spans:
            app = self.apps.of(of_resource.resource, now_ns)
            for of_scope in of_resource.scope_spans:
                spans = iter(of_scope.spans)
                while taken := list(islice(spans, left)):
                    self._take_all(app, taken, now_ns)
                    left -= len(taken)
                    if left <= 0:
                        yield self.counts.rejected - rejected
                        rejected, left = self.counts.rejected, SLICE
        yield self.counts.rejected - rejected

    def _take_all(self, app: App | None, spans: list[Any], now_ns: int) -> None:
        self.counts.spans += len(spans)
        if app is None:
            self.counts.hidden += len(spans)
            return
        self._take(app, spans, now_ns)
        self._unsummed += len(spans)
        if self._unsummed > UNSUMMED_MAX:
            self._unsummed = 0
            for each in self.apps.by_ref.values():
                self.apps.sum(each)
        if any(each.is_full for each in self._attributes):
            self._forget_names()
        if self.waiting > self._limits.max_waiting:
            self._shorten()
        if len(self._served) > self._limits.max_waiting:
            self._served_before, self._served = self._served, {}

    def _take(self, app: App, spans: list[Any], now_ns: int) -> None:  # noqa: C901, PLR0912 - a call costs most
        """Count spans that are a side of a call. Of all code this runs most often."""
        of_kind, oldest_ns, inbound = self._calls.get, now_ns - self._limits.max_age_ns, app.inbound
        clients, servers, served = self._clients, self._servers, self._served
        took_ms, configured = inbound.took_ms, app.weight
        for span in spans:
            calls = of_kind(kind := span.kind)
            if calls is None:  # most are internal
                continue
            end_ns, trace, own = span.end_time_unix_nano, span.trace_id, span.span_id
            duration_ns = end_ns - span.start_time_unix_nano
            is_named = len(own) == _SPAN_BYTES and len(trace) == _TRACE_BYTES and own != _NO_SPAN and trace != _NO_TRACE
            if not is_named or not 0 <= duration_ns <= _DURATION_MAX_NS:
                self.counts.rejected += 1
                continue
            if end_ns < oldest_ns:
                self.counts.late += 1
                app.late += 1
                continue
            call = calls[tuple(map(calls.number, span.attributes[:]))]  # a copy is read faster than the field
            status, state, key = span.status, span.trace_state, trace + own
            is_error = call.is_error or (status != b"" and self._statuses[status])
            weighed = self._weight(app, state) if state or configured else _UNSAMPLED
            duration_ms = duration_ns / 1e6
            half = (now_ns, app, call, duration_ms, weighed, is_error)
            if kind == SERVER:
                served[key] = app
                took_ms.append(duration_ms)
                if is_error or weighed is not _UNSAMPLED:
                    inbound.weigh(weighed[0], is_error=is_error)
                parent = span.parent_span_id
                if not parent:
                    self._count_caller(half)
                elif (client := clients.pop(of_client := trace + parent, None)) is not None:
                    self._pair(client, half)
                else:
                    servers.setdefault(of_client, half)  # of several servers of one call, the first
            elif kind == CLIENT and call.waits:
                if (server := servers.pop(key, None)) is not None:
                    self._pair(half, server)
                elif clients.setdefault(key, half) is not half:
                    self.counts.duplicate += 1
            else:
                self._take_message(half, span, kind)

    def _take_message(self, half: _Half, span: Any, kind: int) -> None:
        """Count a call whose other side sends no spans, or is found by links."""
        _, app, call, duration_ms, (weight, _), is_error = half
        if kind == CONSUMER:
            app.inbound.took_ms.append(duration_ms)
            app.inbound.weigh(weight, is_error=is_error)
            self._take_consumer(half, span, span.trace_id)
        elif kind == PRODUCER or call.is_message:
            self._take_producer(app, span.trace_id + span.span_id)
        self._count_at(half, call.peer, is_inward=kind == CONSUMER)

    def _weight(self, app: App, state: bytes) -> tuple[float, str]:
        if state and (weight := self._weights[state]):
            return weight, KNOWN
        return (app.weight, CONFIGURED) if app.weight else _UNSAMPLED

    def _take_producer(self, app: App, key: bytes) -> None:
        for received in self.messages.sent(key, app):
            self._count_message(app, received)

    def _take_consumer(self, half: _Half, span: Any, trace: bytes) -> None:
        arrived_ns, app, _, duration_ms, (weight, _), is_error = half
        received = Received(arrived_ns, app, duration_ms, weight, is_error)
        parent = trace + span.parent_span_id if span.parent_span_id else b""
        for producer in self.messages.producers(span.links, parent, received):
            self._count_message(producer, received)

    def _count_message(self, producer: App, received: Received) -> None:
        """Count a message at its receiver, whose connection it is: a producer needs no receiver."""
        if producer is received.app:
            return
        edge = self.apps.edge(received.app, edges.MESSAGES, producer, received.arrived_ns, is_inward=True)
        edge.clients_ms.append(received.duration_ms)
        edge.weigh(received.weight, at_client=received.is_error)

    def _pair(self, client: _Half, server: _Half) -> None:
        self.counts.paired += 1
        arrived_ns, app, call, client_ms, weighed, is_client_error = client
        _, peer, served, server_ms, _, is_server_error = server
        if app is peer:  # between its own instances
            return
        kind = served.kind if call.kind == edges.NETWORK else call.kind
        edge = app.edges.get((kind, peer, False)) or self.apps.edge(app, kind, peer, arrived_ns)
        edge.pairs_client_ms.append(client_ms)
        edge.pairs_server_ms.append(server_ms)
        if is_client_error or is_server_error or weighed is not _UNSAMPLED:
            edge.weigh(weighed[0], at_client=is_client_error, at_server=is_server_error)
        edge.weight = weighed[1]
        if len(edge.pairs_client_ms) < CONFIRMING:  # the first ones in a window
            self._note_addresses(client, served, peer)

    def _note_addresses(self, client: _Half, served: Call, peer: App) -> None:
        """Note which application is at the address that was called, and that its caller's sends spans."""
        _, _, call, *_ = client
        if call.peer:
            self._confirm(self._resolved(client), peer)
        if served.peer:
            if len(self._traced) >= ADDRESSES_MAX:
                self._traced.clear()
            self._traced.add(served.peer)

    def _confirm(self, address: str, app: App) -> None:
        """Note which application answers at an address. Behind one of a load balancer there are several."""
        known = self._at.get(address)
        if known is None:
            if len(self._at) >= ADDRESSES_MAX:
                self._at.clear()
            self._at[address] = (app, 1)
        elif known[0] is not app:
            self._at[address] = (app, _AMBIGUOUS)
        elif 0 <= known[1] < CONFIRMED:
            self._at[address] = (app, known[1] + 1)

    def _resolved(self, half: _Half) -> str:
        """The address that a client called, by the names of its own namespace."""
        _, app, call, *_ = half
        peers, peer = app.peers, call.peer
        found = peers.get(peer)
        if found is None:
            if len(peers) >= ADDRESSES_MAX:
                peers.clear()
            found = peers[peer] = in_namespace(peer, app.k8s_namespace)
        return found

    def _count_at(self, half: _Half, peer: str, *, is_inward: bool = False) -> None:
        """Count a call whose other side sends no spans."""
        if not peer:
            self.counts.unattributed += 1
            return
        self.counts.peer_only += 1
        arrived_ns, app, call, *_ = half
        address = peer if call.kind == edges.NATS else self._resolved(half)
        self._count_client(half, self.apps.edge(app, call.kind, address, arrived_ns, is_inward=is_inward))

    def _count_client(self, half: _Half, edge: Edge) -> None:
        _, _, _, duration_ms, (weight, basis), is_error = half
        edge.clients_ms.append(duration_ms)
        edge.weigh(weight, at_client=is_error)
        edge.weight = basis

    # What waited for long enough

    def expire(self, now_ns: int) -> Iterator[None]:
        """Count the calls whose other side did not come; yields after each SLICE of them."""
        before_ns = now_ns - self._limits.pair_wait_ns
        for number, key in enumerate(_older(self._clients, before_ns)):
            if (client := self._clients.pop(key, None)) is not None:
                self._count_unpaired_client(client)
            if number % SLICE == SLICE - 1:
                yield
        for number, key in enumerate(_older(self._servers, before_ns)):
            if (server := self._servers.pop(key, None)) is not None:
                self._count_unpaired_server(server, key)
            if number % SLICE == SLICE - 1:
                yield
        self.messages.expire(before_ns, now_ns)
        if self._turned_ns < before_ns:
            self._turned_ns = now_ns
            self._served_before, self._served = self._served, {}

    def _shorten(self) -> None:
        """Count the oldest of what waits at once, so that the rest fits."""
        excess = self.waiting - self._limits.max_waiting
        self.counts.early += excess
        for key in list(islice(self._clients, excess)):
            self._count_unpaired_client(self._clients.pop(key))
        excess = self.waiting - self._limits.max_waiting
        for key in list(islice(self._servers, max(0, excess))):
            self._count_unpaired_server(self._servers.pop(key), key)

    def _count_unpaired_client(self, half: _Half) -> None:
        arrived_ns, app, call, *_ = half
        found = self._at.get(self._resolved(half)) if call.peer else None
        if found is None or found[1] < CONFIRMED:
            self._count_at(half, call.peer)
        elif found[0] is not app:
            self._count_client(half, self.apps.edge(app, call.kind, found[0], arrived_ns))

    def _count_unpaired_server(self, half: _Half, parent: bytes) -> None:
        arrived_ns, app, call, *_ = half
        caller = self._served.get(parent) or self._served_before.get(parent)
        if caller is not None and caller is not app:
            self._count_server(half, self.apps.edge(caller, call.kind, app, arrived_ns))
        elif caller is None and call.peer not in self._traced:  # of one that sends spans, the span was lost
            self._count_caller(half)
        else:
            self.counts.inbound_only += 1

    def _count_caller(self, half: _Half) -> None:
        """Count a call whose client sends no spans, as one from its address."""
        arrived_ns, app, call, *_ = half
        if not call.peer:
            self.counts.inbound_only += 1
            return
        self.counts.caller_only += 1
        self._count_server(half, self.apps.caller(app, call.kind, call.peer, arrived_ns))

    def _count_server(self, half: _Half, edge: Edge) -> None:
        _, _, _, duration_ms, (weight, basis), is_error = half
        edge.servers_ms.append(duration_ms)
        edge.weigh(weight, at_server=is_error)
        edge.weight = basis


def _older(halves: dict[bytes, _Half], before_ns: int) -> list[bytes]:
    """Those that arrived before a time; they are in the order of their arrival."""
    found = []
    for key, half in halves.items():
        if half[0] >= before_ns:
            break
        found.append(key)
    return found
