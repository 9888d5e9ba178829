"""Samples → state (entities), figures (pulses), events. Pure: no I/O, no clock, no log.

    source → Sample → server, asset → stream, consumer, subject, client → caps → observe → app
                                                        Advisory → advisory → app

Values that must not change without reason (caps, traffic) are decided by what is published, so a restart of the
collector changes nothing.
"""

from collections.abc import Mapping
from typing import Final

from kgents_collector_nats.mapping import client, consumer, returning, server, stream, subject
from kgents_collector_nats.mapping.asset import consumers, streams
from kgents_collector_nats.mapping.caps import Caps, limited
from kgents_collector_nats.mapping.scope import Fact, Scope
from kgents_collector_nats.mapping.stream import Streams
from kgents_collector_nats.sample import Endpoint, Sample
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.meta import Heartbeat
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.unread import Unread

_NEEDS: Final[dict[str, frozenset[Endpoint]]] = {
    server.KIND: frozenset({"varz"}),
    stream.KIND: frozenset({"jsz"}),
    consumer.KIND: frozenset({"jsz"}),
    subject.KIND: frozenset({"jsz", "connz"}),
    client.KIND: frozenset({"connz"}),
}
"""Kind → the endpoints that must all have been read before an entity of this kind may be removed."""


def observe(
    previous: Sample | None,
    current: Sample,
    *,
    cluster: str,
    interval_s: float,
    caps: Caps,
    heartbeats: Mapping[str, Heartbeat],
    published: Mapping[Ref, Entity],
    traffic_since: Sample | None,
) -> Facts:
    """Map two samples to messages of the contract.

    Args:
        previous: the sample before, for rates; None at the start.
        current: the sample now, through `remember`.
        cluster: the name of what is observed.
        interval_s: seconds from sample to sample.
        caps: how many of each kind are shown.
        heartbeats: connection name (`<service>/<instance>`) → its heartbeat.
        published: our entities as they are published now.
        traffic_since: the sample at which the window of the connections' traffic began, when that window is over;
            None while it lasts: the published traffic stays.

    Returns:
        Entities that an idle system gives again byte for byte, and the figures that change.
    """
    scope = Scope(cluster, interval_s, current.at, published)
    now_streams = streams(current)
    uses = subject.uses(previous, current, scope)
    shown = subject.shown_among(uses, caps.nats_subject, scope)
    connected = client.facts(previous, current, now_streams, shown, heartbeats, scope, traffic_since=traffic_since)
    consuming = consumer.facts(consumers(previous), consumers(current), scope)
    clients_absent = returning.absent(client.KIND, current, {fact.entity.ref for fact in connected}, scope)
    consumers_absent = returning.absent(consumer.KIND, current, {fact.entity.ref for fact in consuming}, scope)
    is_connz_fresh = not any("connz" in each.stale for each in current.servers)
    by_kind = {
        server.KIND: server.facts(previous, current, scope),
        stream.KIND: limited(
            stream.KIND, stream.facts(streams(previous), now_streams, shown, scope), caps.nats_stream, scope
        ),
        consumer.KIND: limited(consumer.KIND, consuming + consumers_absent, caps.nats_consumer, scope),
        subject.KIND: subject.facts(uses, shown, _captured(now_streams), scope, is_measured=is_connz_fresh),
        client.KIND: limited(client.KIND, connected + clients_absent, caps.nats_client, scope),
    }
    entities: list[Entity] = []
    pulses: list[ResourcePulse] = []
    for kind, facts in by_kind.items():
        has_gaps = bool(_NEEDS[kind] & current.unseen)
        entities += _added(kind, facts, caps, published) if has_gaps else [fact.entity for fact in facts]
        if not (has_gaps and "connz" in _NEEDS[kind]):  # what is summed over servers must have all of them
            pulses += [fact.pulse for fact in facts if fact.pulse is not None]
    events = server.events(previous, current, scope)
    faults = returning.faults(current, len(clients_absent) + len(consumers_absent))
    return Facts(entities, pulses, events, _unread(current), faults)


def _captured(found: Streams) -> subject.Captured:
    return {(each.account, each.detail.name): each.detail.config.subjects for each in found.values()}


def _added(kind: str, facts: list[Fact], caps: Caps, published: Mapping[Ref, Entity]) -> list[Entity]:
    """Facts of a kind that was not read completely: only new ones. What is published stays as it is."""
    kept = sum(ref.kind == kind for ref in published)
    new = [fact.entity for fact in facts if fact.entity.ref not in published]
    limit: int = getattr(caps, kind, kept + len(new))
    return new[: max(0, limit - kept)]


def _unread(current: Sample) -> list[Unread]:
    """The servers that could not be read, and the kinds that therefore have gaps."""
    servers = [Unread(part=fault.origin, reason=fault.text) for fault in current.faults]
    why = servers[0].reason if servers else ""
    return servers + [Unread(kind=kind, reason=why) for kind, needed in _NEEDS.items() if needed & current.unseen]
