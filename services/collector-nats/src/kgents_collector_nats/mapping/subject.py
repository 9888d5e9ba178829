"""Subjects: subscriptions of `/connz` and filters of `/jsz` → which subjects are shown → entities and pulses.

Subjects are what clients and streams have in common, so the selection made here is what client.py and stream.py may
connect to.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from kgents_collector_nats.mapping import returning
from kgents_collector_nats.mapping.asset import streams
from kgents_collector_nats.mapping.caps import overflow, select
from kgents_collector_nats.mapping.heard import Rate, is_heard, rates
from kgents_collector_nats.mapping.rate import calm, elapsed_s, per_second, published_traffic
from kgents_collector_nats.mapping.scope import SOURCE, Fact, Figures, Scope
from kgents_collector_nats.sample import ClientConnection, Sample, Server, Subscription
from kgents_shared.contract.entity import Connection, Entity, Ref, Traffic, Value
from kgents_shared.contract.subjects import QUESTIONS
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import nats as attribute
from kgents_shared.contract.vocabulary.figures import nats as figure

KIND: Final = kinds.NATS_SUBJECT

Captured = Mapping[tuple[str, str], Sequence[str]]
"""Account and name of a stream → the filters of what it stores."""

_PLUMBING: Final = ("_INBOX", "$", "_R_", *(f"{each}." for each in QUESTIONS))
"""Prefixes of subjects of replies, of the servers themselves, of gateways of theirs, and of questions to kgents."""


class Use(Struct):
    """How one subject is used."""

    is_captured: bool = False
    """Whether a stream stores it."""
    subscriptions: int = 0
    delivered: int = 0
    """Messages delivered to its open subscriptions in total: ranks subjects; a rate would reorder them each time."""
    delivered_per_sec: float = 0.0
    published: Rate | None = None
    """Of a subject that was heard."""
    is_timed: bool = True
    """Whether every server that has subscriptions to it was read twice in one start."""

    @property
    def is_asked_for(self) -> bool:
        """Whether a stream or the configuration names it."""
        return self.is_captured or self.published is not None


def is_shown(subject: str) -> bool:
    """Whether a subject belongs to an application."""
    return not subject.startswith(_PLUMBING)


def overlap(one: str, other: str) -> bool:
    """Whether some subject matches both filters."""
    left, right = one.split("."), other.split(".")
    for mine, theirs in zip(left, right, strict=False):
        if ">" in (mine, theirs):
            return True
        if mine != theirs and "*" not in (mine, theirs):
            return False
    return len(left) == len(right)


def connections(subjects: Collection[str], account: str, shown: Collection[Ref], scope: Scope) -> list[Connection]:
    """Connections of a stream to the shown subjects that it captures."""
    refs = [scope.ref(KIND, subject, account) for subject in sorted(set(subjects))]
    return [
        Connection(kind=edges.NATS, peer=ref, direction="in", evidence="config.subjects")
        for ref in refs
        if ref in shown
    ]


def uses(before: Sample | None, now: Sample, scope: Scope) -> dict[Ref, Use]:
    """Every subject that a client subscribes to or a stream captures, or that a client comes back to, or was heard."""
    found: defaultdict[Ref, Use] = defaultdict(Use)
    found.update((ref, Use()) for ref in returning.subjects(now, scope))
    for asset in streams(now).values():
        for subject in filter(is_shown, asset.detail.config.subjects):
            found[scope.ref(KIND, subject, asset.account)].is_captured = True
    earlier = {server.name: server for server in before.named} if before is not None else {}
    for server in now.named:
        _add(found, earlier.get(server.name), server, scope)
    known = [ref for ref, entity in scope.published.items() if is_heard(ref, entity.attributes)]
    for name, rate in rates(now.heard, scope.published, known).items():
        found[scope.ref(KIND, name, now.heard.account)].published = rate
    return dict(found)


def shown_among(found: dict[Ref, Use], limit: int, scope: Scope) -> frozenset[Ref]:
    """The subjects shown: those shown already, then what streams capture or was asked for, then the busiest."""
    ranked = sorted(found, key=lambda ref: (not found[ref].is_asked_for, -found[ref].delivered, ref))
    return select(ranked, limit, scope.published)


def facts(
    found: dict[Ref, Use], shown: Collection[Ref], captured: Captured, scope: Scope, *, is_measured: bool
) -> list[Fact]:
    """One fact for each shown subject. Sums are only given if all servers were read (`is_measured`).

    `captured`: account and name of each stream, and the filters of what it stores.
    """
    kept = [_fact(ref, found[ref], captured, scope, is_measured=is_measured) for ref in sorted(shown)]
    return kept + overflow(KIND, len(found) - len(kept), scope)


def _fact(ref: Ref, use: Use, captured: Captured, scope: Scope, *, is_measured: bool) -> Fact:
    attributes: dict[str, Value] = {}
    if "*" in ref.name.split(".") or ref.name.endswith(">"):
        attributes[attribute.WILDCARD] = True
    connections: list[Connection] = []
    figures: Figures = {}
    if use.published is not None:
        attributes[attribute.HEARD] = True
        connections = list(_stored(ref, use.published, captured, scope))
        figures |= {
            figure.PUBLISHED_MSGS_PER_SEC: use.published.messages_per_sec,
            figure.PUBLISHED_BYTES_PER_SEC: use.published.bytes_per_sec,
            figure.LISTENED_RATIO: use.published.listened_ratio,
        }
    entity = Entity(ref=ref, source=SOURCE, status="running", attributes=attributes, connections=connections)
    if not is_measured:
        return Fact(entity)
    figures |= {
        figure.DELIVERED_MSGS_PER_SEC: use.delivered_per_sec if use.is_timed else None,
        figure.SUBSCRIPTIONS: float(use.subscriptions),
    }
    return Fact(entity, scope.pulse(entity, figures))


def _stored(ref: Ref, rate: Rate, captured: Captured, scope: Scope) -> Iterator[Connection]:
    """Connections of a subject that was heard to the streams that store it, with the rate of its messages.

    A stream itself is connected to the filters that its configuration names.
    """
    measured = None
    if rate.messages_per_sec is not None:
        measured = Traffic(requests_per_sec=rate.messages_per_sec, bytes_per_sec=rate.bytes_per_sec)
    for (account, name), filters in captured.items():
        peer = scope.ref(kinds.NATS_STREAM, name, account)
        if peer.namespace == ref.namespace and ref.name not in filters and any(overlap(ref.name, x) for x in filters):
            before = published_traffic(scope.published.get(ref), edges.NATS, peer)
            yield Connection(kind=edges.NATS, peer=peer, evidence="heard", traffic=calm(measured, before))


def _add(found: defaultdict[Ref, Use], before: Server | None, now: Server, scope: Scope) -> None:
    """Add what the subscriptions on one server use."""
    if now.connz is None:
        return
    old = before.connz if before is not None else None
    is_same_start = old is not None and old.server_id == now.connz.server_id
    seconds = elapsed_s(old.now, now.connz.now) if old is not None and is_same_start else None
    counted = {key: each.msgs for key, _, each in _subscriptions(old.connections)} if old is not None else {}
    for key, connection, each in _subscriptions(now.connz.connections):
        use = found[scope.ref(KIND, each.subject, connection.account)]
        use.subscriptions += 1
        use.delivered += each.msgs
        use.is_timed = use.is_timed and seconds is not None
        # All messages of a new subscription count.
        use.delivered_per_sec += per_second(counted.get(key, 0), each.msgs, seconds) or 0.0


def _subscriptions(
    found: Collection[ClientConnection],
) -> Iterator[tuple[tuple[int, str], ClientConnection, Subscription]]:
    for connection in found:
        for each in connection.subscriptions_list_detail:
            if is_shown(each.subject):
                yield (connection.cid, each.sid), connection, each
