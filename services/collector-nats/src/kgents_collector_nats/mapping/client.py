"""Clients: `/connz` of two samples and heartbeats → nats_client entities and pulses, connections of one name as one."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from kgents_collector_nats.mapping import place, returning, server, stream, subject
from kgents_collector_nats.mapping.rate import calm, elapsed_s, per_second, published_traffic
from kgents_collector_nats.mapping.scope import SOURCE, Fact, Figures, Scope
from kgents_collector_nats.mapping.stream import Streams
from kgents_collector_nats.sample import ClientConnection, Here, Sample, Server
from kgents_shared.contract.entity import Connection, Entity, Ref, Traffic, Value
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import nats as attribute
from kgents_shared.contract.vocabulary.figures import nats as figure

KIND: Final = kinds.NATS_CLIENT


class Flow(Struct, frozen=True):
    """Traffic of some connections, each per second. `in` is what the clients send, as in `/connz`."""

    in_msgs: float = 0.0
    out_msgs: float = 0.0
    in_bytes: float = 0.0
    out_bytes: float = 0.0


class Share(Struct, frozen=True):
    """A client's connections to one server."""

    server: str
    connections: list[ClientConnection]
    flow: Flow | None
    """None: not measured (the first sample of this server's start)."""
    is_stale: bool
    is_arriving: bool
    """Whether some of them have come back so lately that not all subscriptions may be there."""
    is_here: bool
    """Whether the server's loopback is ours."""


Flows = Mapping[tuple[str, str, str], Flow]
"""(account, client name, server) → traffic over the window; empty while the window is not over."""


Shares = list[Share]


def facts(
    before: Sample | None,
    now: Sample,
    streams: Streams,
    shown_subjects: Collection[Ref],
    heartbeats: Mapping[str, Heartbeat],
    scope: Scope,
    *,
    traffic_since: Sample | None,
) -> list[Fact]:
    """One fact for each connection name of an account, those with the most connections first."""
    groups = _groups(before, now)
    flows = _flows(traffic_since, now)
    ranked = sorted(groups, key=lambda key: (-sum(len(share.connections) for share in groups[key]), key))
    links = _Links(streams, shown_subjects, heartbeats, now.here, scope)
    return [_fact(account, name, groups[account, name], flows, links, scope) for account, name in ranked]


def _groups(before: Sample | None, now: Sample) -> dict[tuple[str, str], Shares]:
    groups: defaultdict[tuple[str, str], Shares] = defaultdict(list)
    earlier = {each.name: each for each in before.named} if before is not None else {}
    for each in sorted(now.named, key=lambda server: server.name):
        for key, share in _shares(earlier.get(each.name), each, now.here):
            groups[key].append(share)
    return groups


def _flows(since: Sample | None, now: Sample) -> Flows:
    if since is None:
        return {}
    return {
        (account, name, share.server): share.flow
        for (account, name), shares in _groups(since, now).items()
        for share in shares
        if share.flow is not None and not share.is_stale
    }


def _shares(before: Server | None, now: Server, here: Here) -> Iterator[tuple[tuple[str, str], Share]]:
    if now.connz is None:
        return
    old = before.connz if before is not None else None
    is_same_start = old is not None and old.server_id == now.connz.server_id
    seconds = elapsed_s(old.now, now.connz.now) if old is not None and is_same_start else None
    known = {each.cid: each for each in old.connections} if old is not None and is_same_start else {}
    by_name: defaultdict[tuple[str, str], list[ClientConnection]] = defaultdict(list)
    for connection in now.connz.connections:
        if not returning.is_greeting(connection, now.connz):
            by_name[connection.account, returning.name_of(connection)].append(connection)
    is_here = place.is_here(now, here)
    for key, connections in by_name.items():
        flow = _flow(known, connections, seconds) if seconds is not None else None
        is_arriving = any(returning.is_arriving(each, now) for each in connections)
        yield key, Share(now.name, connections, flow, "connz" in now.stale, is_arriving, is_here)


def _flow(known: Mapping[int, ClientConnection], now: Iterable[ClientConnection], seconds: float) -> Flow:
    """The sum over connections. All traffic of a new connection counts."""
    totals = [0.0, 0.0, 0.0, 0.0]
    for each in now:
        old = known.get(each.cid) or ClientConnection(each.cid)
        pairs = (
            (old.in_msgs, each.in_msgs),
            (old.out_msgs, each.out_msgs),
            (old.in_bytes, each.in_bytes),
            (old.out_bytes, each.out_bytes),
        )
        for index, (was, is_now) in enumerate(pairs):
            totals[index] += per_second(was, is_now, seconds) or 0.0
    return Flow(*totals)


def _fact(account: str, name: str, shares: Shares, flows: Flows, links: "_Links", scope: Scope) -> Fact:
    ref = scope.ref(KIND, name, account)
    connections = [each for share in shares for each in share.connections]
    entity = Entity(
        ref=ref,
        source=SOURCE,
        status="running",
        attributes=_attributes(connections),
        connections=[
            *(_to_server(ref, share.server, flows.get((account, name, share.server)), scope) for share in shares),
            *links.subscribed(ref, connections, is_arriving=any(share.is_arriving for share in shares)),
            *links.declared(account, name),
            *links.places(shares),
        ],
    )
    if any(share.is_stale for share in shares):
        return Fact(entity)
    return Fact(entity, _pulse(entity, connections, shares, scope))


def _attributes(connections: Iterable[ClientConnection]) -> dict[str, Value]:
    libraries = sorted({f"{each.lang} {each.version}".strip() for each in connections} - {""})
    return {attribute.CLIENT_LIBRARIES: libraries} if libraries else {}


def _pulse(entity: Entity, connections: Collection[ClientConnection], shares: Shares, scope: Scope) -> ResourcePulse:
    flows = [share.flow for share in shares if share.flow is not None]
    is_known = len(flows) == len(shares)
    figures: Figures = {
        figure.CONNECTIONS: float(len(connections)),
        figure.IN_MSGS_PER_SEC: sum(flow.in_msgs for flow in flows) if is_known else None,
        figure.OUT_MSGS_PER_SEC: sum(flow.out_msgs for flow in flows) if is_known else None,
        figure.PENDING_BYTES: float(sum(each.pending_bytes for each in connections)),
        figure.SUBSCRIPTIONS: float(sum(each.subscriptions for each in connections)),
    }
    return scope.pulse(
        entity,
        figures,
        rx_bytes=sum(flow.out_bytes for flow in flows) if is_known else None,
        tx_bytes=sum(flow.in_bytes for flow in flows) if is_known else None,
    )


def _to_server(ref: Ref, server_name: str, flow: Flow | None, scope: Scope) -> Connection:
    peer = scope.ref(server.KIND, server_name)
    measured = Traffic(requests_per_sec=flow.in_msgs, bytes_per_sec=flow.in_bytes) if flow is not None else None
    before = published_traffic(scope.published.get(ref), edges.NETWORK, peer)
    return Connection(kind=edges.NETWORK, peer=peer, evidence="connz.server_id", traffic=calm(measured, before))


class _Links:
    """Connections of clients to subjects and streams."""

    def __init__(
        self,
        streams: Streams,
        shown_subjects: Collection[Ref],
        heartbeats: Mapping[str, Heartbeat],
        here: Here,
        scope: Scope,
    ) -> None:
        self._streams = streams
        self._shown = shown_subjects
        self._heartbeats = heartbeats
        self._here = here
        self._scope = scope

    def places(self, shares: Shares) -> Iterator[Connection]:
        """Connections to where it runs."""
        return place.places(((each, share.is_here) for share in shares for each in share.connections), self._here)

    def subscribed(
        self, client: Ref, connections: Iterable[ClientConnection], *, is_arriving: bool
    ) -> Iterator[Connection]:
        """Connections to the shown subjects that it subscribes to; one that arrives keeps those that are published."""
        queues: defaultdict[Ref, set[str]] = defaultdict(set)
        for connection in connections:
            for each in connection.subscriptions_list_detail:
                ref = self._scope.ref(subject.KIND, each.subject, client.namespace)
                if subject.is_shown(each.subject) and ref in self._shown:
                    queues[ref].add(each.qgroup)
        before = returning.subscribed(self._scope.published.get(client)) if is_arriving else {}
        found = {ref: each for ref, each in before.items() if ref in self._shown}
        for ref, groups in queues.items():
            names = sorted(groups - {""})
            attributes: dict[str, Value] = {attribute.QUEUE_GROUPS: names} if names else {}
            evidence = "connz.subscriptions"
            found[ref] = Connection(kind=edges.NATS, peer=ref, direction="in", attributes=attributes, evidence=evidence)
        yield from (found[ref] for ref in sorted(found))

    def declared(self, account: str, name: str) -> Iterator[Connection]:
        """Connections to the streams that its heartbeat names as written and read. No server reports who publishes."""
        heartbeat = self._heartbeats.get(name)
        if heartbeat is None:
            return
        for asset in self._streams.values():
            if asset.account != account:
                continue
            peer = self._scope.ref(stream.KIND, asset.detail.name, account)
            captured = asset.detail.config.subjects
            if any(subject.overlap(one, other) for one in heartbeat.publishes for other in captured):
                yield Connection(kind=edges.NATS, peer=peer, evidence="heartbeat")
            if asset.detail.name in heartbeat.consumes:
                yield Connection(kind=edges.DEPENDS, peer=peer, evidence="heartbeat")
