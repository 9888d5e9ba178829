"""Consumers: `/jsz` of two samples → nats_consumer entities and pulses, the ephemeral ones of a stream as one."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from kgents_collector_nats.mapping import stream
from kgents_collector_nats.mapping.asset import Asset, Key
from kgents_collector_nats.mapping.rate import per_second, ratio
from kgents_collector_nats.mapping.scope import SOURCE, Fact, Figures, Scope
from kgents_collector_nats.sample import ConsumerConfig, ConsumerDetail
from kgents_shared.contract.entity import Connection, Entity, Value
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import nats as attribute
from kgents_shared.contract.vocabulary.figures import nats as figure

KIND: Final = kinds.NATS_CONSUMER
EPHEMERAL: Final = "ephemeral"
"""The common name of a stream's ephemeral consumers: each one lives only as long as its client."""

Consumers = dict[Key, Asset[ConsumerDetail]]


def facts(before: Consumers, now: Consumers, scope: Scope) -> list[Fact]:
    """One fact for each durable consumer, and one for all others of a stream, in the order of their names."""
    ephemerals: defaultdict[tuple[str, str], list[Asset[ConsumerDetail]]] = defaultdict(list)
    found: list[Fact] = []
    for key, asset in now.items():
        if _is_ephemeral(asset.detail.config):
            ephemerals[key[:2]].append(asset)
        else:
            found.append(_durable(key[1], before.get(key), asset, scope))
    return found + [_ephemeral(name, group, scope) for (_, name), group in ephemerals.items()]


def name_of(stream_name: str, consumer: str) -> str:
    """The entity's name: a consumer's own is unique within its stream only."""
    return f"{stream_name}/{consumer}"


def _is_ephemeral(config: ConsumerConfig) -> bool:
    # A durable with an inactive threshold counts as one: the server deletes it when its client is gone.
    return not config.durable_name or config.inactive_threshold > 0


def _durable(stream_name: str, before: Asset[ConsumerDetail] | None, now: Asset[ConsumerDetail], scope: Scope) -> Fact:
    status, reason = _status(now)
    entity = Entity(
        ref=scope.ref(KIND, name_of(stream_name, now.detail.name), now.account),
        source=SOURCE,
        uid=now.uid,
        status=status,
        reason=reason,
        attributes=_attributes(now.detail.config),
        connections=[_to_stream(stream_name, now.account, scope), *stream.runs_on(now.leader, scope)],
        created_at=now.detail.created,
    )
    return Fact(entity, scope.pulse(entity, _figures(before, now)) if now.is_measured else None)


def _ephemeral(stream_name: str, group: Sequence[Asset[ConsumerDetail]], scope: Scope) -> Fact:
    account = group[0].account
    entity = Entity(
        ref=scope.ref(KIND, name_of(stream_name, EPHEMERAL), account),
        source=SOURCE,
        status="running",
        attributes={attribute.EPHEMERAL: True},
        connections=[_to_stream(stream_name, account, scope)],
    )
    if not all(asset.is_measured for asset in group):
        return Fact(entity)
    details = [asset.detail for asset in group]
    figures: Figures = {
        figure.CONSUMERS: float(len(details)),
        figure.PENDING_MESSAGES: float(sum(each.num_pending for each in details)),
        figure.ACK_PENDING: float(sum(each.num_ack_pending for each in details)),
        figure.REDELIVERED: float(sum(each.num_redelivered for each in details)),
        figure.WAITING_PULLS: float(sum(each.num_waiting for each in details)),
    }
    return Fact(entity, scope.pulse(entity, figures))


def _status(asset: Asset[ConsumerDetail]) -> tuple[str, str]:
    if not asset.leader:
        return "failed", "NoLeader"
    return ("pending", "Paused") if asset.detail.paused else ("running", "")


def _attributes(config: ConsumerConfig) -> dict[str, Value]:
    filters = sorted({*config.filter_subjects, config.filter_subject} - {""})
    given: dict[str, Value] = {
        attribute.ACK_POLICY: config.ack_policy,
        attribute.DELIVER_POLICY: config.deliver_policy,
        attribute.FILTER_SUBJECTS: filters or None,
        attribute.MAX_ACK_PENDING: config.max_ack_pending if config.max_ack_pending > 0 else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _to_stream(name: str, account: str, scope: Scope) -> Connection:
    return Connection(kind=edges.DEPENDS, peer=scope.ref(stream.KIND, name, account), evidence="stream_name")


def _figures(before: Asset[ConsumerDetail] | None, now: Asset[ConsumerDetail]) -> Figures:
    detail = now.detail
    old = before.detail if before is not None else detail
    return {
        figure.PENDING_MESSAGES: float(detail.num_pending),
        figure.ACK_PENDING: float(detail.num_ack_pending),
        figure.ACK_PENDING_RATIO: ratio(detail.num_ack_pending, detail.config.max_ack_pending),
        figure.REDELIVERED: float(detail.num_redelivered),
        figure.WAITING_PULLS: float(detail.num_waiting),
        figure.DELIVERED_PER_SEC: per_second(
            old.delivered.consumer_seq, detail.delivered.consumer_seq, now.seconds_since(before)
        ),
    }
