"""Streams: `/jsz` of two samples → nats_stream entities and pulses."""

from collections.abc import Collection
from typing import Final

from kgents_collector_nats.mapping import server, subject
from kgents_collector_nats.mapping.asset import Asset, Key
from kgents_collector_nats.mapping.rate import per_second, ratio
from kgents_collector_nats.mapping.scope import SOURCE, Fact, Figures, Scope
from kgents_collector_nats.sample import StreamConfig, StreamDetail
from kgents_shared.contract.entity import Connection, Entity, Ref, Value
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import nats as attribute
from kgents_shared.contract.vocabulary.figures import nats as figure

KIND: Final = kinds.NATS_STREAM

_NS_PER_S: Final = 1_000_000_000

Streams = dict[Key, Asset[StreamDetail]]


def facts(before: Streams, now: Streams, shown_subjects: Collection[Ref], scope: Scope) -> list[Fact]:
    """One fact for each stream, in the order of their names."""
    return [_fact(before.get(key), asset, shown_subjects, scope) for key, asset in now.items()]


def _fact(
    before: Asset[StreamDetail] | None, now: Asset[StreamDetail], shown_subjects: Collection[Ref], scope: Scope
) -> Fact:
    config = now.detail.config
    entity = Entity(
        ref=scope.ref(KIND, now.detail.name, now.account),
        source=SOURCE,
        uid=now.uid,
        status="running" if now.leader else "failed",
        reason="" if now.leader else "NoLeader",
        attributes=_attributes(config),
        connections=[
            *runs_on(now.leader, scope),
            *_origins(config, now.account, scope),
            *subject.connections(config.subjects, now.account, shown_subjects, scope),
        ],
        created_at=now.detail.created,
    )
    return Fact(entity, scope.pulse(entity, _figures(before, now)) if now.is_measured else None)


def runs_on(leader: str, scope: Scope) -> list[Connection]:
    """The connection of a stream or consumer to the server that leads it."""
    if not leader:
        return []
    return [Connection(kind=edges.RUNS_ON, peer=scope.ref(server.KIND, leader), evidence="cluster.leader")]


def _attributes(config: StreamConfig) -> dict[str, Value]:
    origins = sorted({source.name for source in config.sources})
    given: dict[str, Value] = {
        attribute.RETENTION: config.retention,
        attribute.STORAGE: config.storage,
        attribute.DISCARD: config.discard,
        attribute.REPLICAS: config.num_replicas,
        attribute.SUBJECTS: sorted(config.subjects) or None,
        attribute.MIRROR: config.mirror.name if config.mirror is not None else None,
        attribute.SOURCES: origins or None,
        attribute.MAX_BYTES: config.max_bytes if config.max_bytes > 0 else None,
        attribute.MAX_MSGS: config.max_msgs if config.max_msgs > 0 else None,
        attribute.MAX_AGE_S: config.max_age / _NS_PER_S if config.max_age > 0 else None,
        attribute.MAX_MSGS_PER_SUBJECT: config.max_msgs_per_subject if config.max_msgs_per_subject > 0 else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _origins(config: StreamConfig, account: str, scope: Scope) -> list[Connection]:
    """The streams that this one copies. A stream of another domain gets a connection that is not resolved."""
    mirror = [("config.mirror", config.mirror.name)] if config.mirror is not None else []
    sources = [("config.sources", name) for name in sorted({source.name for source in config.sources})]
    return [
        Connection(kind=edges.DEPENDS, peer=scope.ref(KIND, name, account), evidence=evidence)
        for evidence, name in mirror + sources
    ]


def _figures(before: Asset[StreamDetail] | None, now: Asset[StreamDetail]) -> Figures:
    state, config = now.detail.state, now.detail.config
    old = before.detail.state if before is not None else state
    return {
        figure.MESSAGES: float(state.messages),
        figure.BYTES: float(state.bytes),
        figure.MESSAGES_PER_SEC: per_second(old.last_seq, state.last_seq, now.seconds_since(before)),
        figure.BYTES_FILL_RATIO: ratio(state.bytes, config.max_bytes),
        figure.MESSAGES_FILL_RATIO: ratio(state.messages, config.max_msgs),
        figure.CONSUMERS: float(state.consumer_count),
    }
