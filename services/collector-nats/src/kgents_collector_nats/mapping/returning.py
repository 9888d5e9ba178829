"""Clients that are coming back: what is published of them stays for a moment, although it is not found. Pure.

A server loses all its clients at once when it starts, or hangs for longer than they wait. They come back within
seconds, each at its own time, and subscribe to one subject after another. What has not come back 15 s after the server
answers again is gone.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Final

from kgents_collector_nats.mapping.caps import OVERFLOW
from kgents_collector_nats.mapping.scope import Fact, Scope
from kgents_collector_nats.sample import ClientConnection, Connz, Sample, Server
from kgents_shared.contract.entity import Connection, Entity, Ref
from kgents_shared.contract.quantity import worded
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import nats as attribute

RETURN: Final = timedelta(seconds=15)
"""As long as a heartbeat is valid. Clients try again within 2 s, by default; services of a machine
that starts take longer."""
GREETING: Final = timedelta(seconds=5)
"""A client that says nothing for longer is listed as one. A server that asks for a login waits 2 s for it."""


def subjects(current: Sample, scope: Scope) -> frozenset[Ref]:
    """The published subjects whose subscribers may be coming back."""
    if _returned_to(current):
        return frozenset(ref for ref in scope.published if ref.kind == kinds.NATS_SUBJECT and ref.name != OVERFLOW)
    return frozenset(ref for client in _arriving(current, scope) for ref in subscribed(scope.published.get(client)))


def absent(kind: str, current: Sample, found: Collection[Ref], scope: Scope) -> list[Fact]:
    """The published entities of a kind that exist while clients are connected, are not found, and may be back soon."""
    if not _returned_to(current):
        return []
    return [
        Fact(entity)
        for ref, entity in scope.published.items()
        if ref.kind == kind and ref not in found and _is_of_clients(entity)
    ]


def faults(current: Sample, absent: int) -> list[str]:
    """That so many entities are published and were not found, in one sentence."""
    if not absent:
        return []
    servers = ", ".join(f"{each.name} (since {each.clients_since:%H:%M:%SZ})" for each in _returned_to(current))
    return [f"{worded(absent, '{entity}')} of clients that are coming back to {servers} not found yet"]


def name_of(connection: ClientConnection) -> str:
    """The name of a connection, or the common name of those without one."""
    return connection.name or f"anonymous-{connection.lang or 'unknown'}"


def client_ref(connection: ClientConnection, scope: Scope) -> Ref:
    """The entity of a connection."""
    return scope.ref(kinds.NATS_CLIENT, name_of(connection), connection.account)


def is_arriving(connection: ClientConnection, server: Server) -> bool:
    """Whether it is one of those that came back to a server, so lately that not all its subscriptions may be there."""
    if server.connz is None or connection.start - server.clients_since >= RETURN:
        return False
    return server.connz.now - connection.start < RETURN


def is_greeting(connection: ClientConnection, connz: Connz) -> bool:
    """Whether it has just been opened, and its client has not introduced itself."""
    is_known = connection.name or connection.lang or connection.version
    return not is_known and connz.now - connection.start < GREETING


def subscribed(published: Entity | None) -> dict[Ref, Connection]:
    """The published connections of a client to subjects, by subject."""
    return {
        each.peer: each
        for each in (published.connections if published is not None else ())
        if each.kind == edges.NATS and isinstance(each.peer, Ref) and each.peer.kind == kinds.NATS_SUBJECT
    }


def _is_of_clients(entity: Entity) -> bool:
    if entity.ref.kind == kinds.NATS_CLIENT:
        return entity.ref.name != OVERFLOW
    return entity.attributes.get(attribute.EPHEMERAL) is True


def _returned_to(current: Sample) -> list[Server]:
    """The servers that can be connected to again since a moment ago."""
    return [each for each in current.named if each.connz is not None and each.connz.now - each.clients_since < RETURN]


def _arriving(current: Sample, scope: Scope) -> set[Ref]:
    return {
        client_ref(connection, scope)
        for server in current.named
        for connection in (server.connz.connections if server.connz is not None else ())
        if is_arriving(connection, server)
    }
