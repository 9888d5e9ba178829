"""What several sources report of one entity → the merged entity: facts by source → TopologyEntity. Pure.

The result depends on the facts alone, never on the order in which they came.
"""

from collections.abc import Callable, Container, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, TypeVar

from msgspec import structs

from kgents_shared.contract.entity import STATUSES, Connection, Entity, Ref, Value
from kgents_shared.contract.topology import ResolvedConnection, TopologyEntity
from kgents_shared.contract.vocabulary.attributes import any_entity
from kgents_shared.contract.vocabulary.attributes.attribute import AttributeName

STATUS_SHOWN: Final = 30
"""Characters of a status that is none of ours."""
NAMES_SHOWN: Final = 8
"""Names of peers that are left out; their number is that of all."""

_NONE: Final[list[Any]] = []
"""One empty list for all messages, none of which ever changes: five of them would be a twentieth of an entity."""

V = TypeVar("V")


def by_priority(
    facts: Mapping[str, Entity], priority: Sequence[str], stale: Container[str] = frozenset()
) -> list[Entity]:
    """The sources' facts, the most trusted first; sources that `priority` does not name come last, by name.

    What a `stale` source reported last comes after all that is attested: it may be long over.
    """
    if len(facts) == 1:
        return list(facts.values())
    rank = {source: position for position, source in enumerate(priority)}
    ordered = sorted(facts, key=lambda source: (source in stale, rank.get(source, len(rank)), source))
    return [facts[source] for source in ordered]


def merge(
    ref: Ref,
    facts: Sequence[Entity],
    resolve: Callable[[Connection, Ref], Ref | None],
    *,
    time_ns: int,
    known: list[ResolvedConnection] | None = None,
) -> TopologyEntity:
    """The merged entity after the message of `time_ns`, without `text` and `changed`.

    `known`: its connections, where none of them can have changed since they were resolved.
    Facts come the most trusted first, at least one.
    Where sources disagree the first one counts; what only one of them knows is kept.
    """
    at = datetime.fromtimestamp(time_ns / 1e9, UTC)
    connections = _connections(ref, facts, resolve) if known is None else known
    if len(facts) == 1:  # nearly every entity has one source
        return _only(facts[0], connections, at)
    decisive = next((fact for fact in facts if fact.status in STATUSES and fact.status != "unknown"), facts[0])
    return TopologyEntity(
        text="",
        ref=ref,
        uid=next((fact.uid for fact in facts if fact.uid), ""),
        status=decisive.status if decisive.status in STATUSES else "unknown",
        reason=_reason(decisive),
        sources=sorted(fact.source for fact in facts),
        parts={fact.source: fact.part for fact in facts if fact.part},
        expiring=sorted(fact.source for fact in facts if fact.report_interval_s is not None),
        labels=_union([fact.labels for fact in facts]),
        annotations=_union([fact.annotations for fact in facts]),
        attributes=_union([fact.attributes for fact in facts]),
        addresses=_all([fact.addresses for fact in facts]),
        aliases=_all([fact.aliases for fact in facts]),
        connections=connections,
        created_at=next((fact.created_at for fact in facts if fact.created_at is not None), None),
        at=at,
        cut=_all([fact.cut for fact in facts]),
    )


def with_left_out(entity: TopologyEntity, ambiguous: Sequence[str], unresolved: Sequence[str]) -> TopologyEntity:
    """The entity, with the names of peers that its connections leave out.

    Args:
        entity: the merged one.
        ambiguous: those that too many entities claim.
        unresolved: those that no entity claims, of calls.
    """
    if not ambiguous and not unresolved:
        return entity
    found: dict[AttributeName, Value] = {}
    if ambiguous:
        found |= {any_entity.LEFT_OUT: len(ambiguous), any_entity.LEFT_OUT_NAMES: list(ambiguous[:NAMES_SHOWN])}
    if unresolved:
        found |= {any_entity.UNRESOLVED: len(unresolved), any_entity.UNRESOLVED_NAMES: list(unresolved[:NAMES_SHOWN])}
    return structs.replace(entity, attributes={**entity.attributes, **found})


def _only(fact: Entity, connections: list[ResolvedConnection], at: datetime) -> TopologyEntity:
    """The entity when there is nothing to merge: the same as `merge` gives, at a third of its cost."""
    return TopologyEntity(
        text="",
        ref=fact.ref,
        uid=fact.uid,
        status=fact.status if fact.status in STATUSES else "unknown",
        reason=_reason(fact),
        stale=_NONE,
        sources=_alone(fact.source),
        parts={fact.source: fact.part} if fact.part else {},
        expiring=_alone(fact.source) if fact.report_interval_s is not None else _NONE,
        labels=fact.labels,
        annotations=fact.annotations,
        attributes=fact.attributes,
        addresses=_all([fact.addresses]),
        aliases=_all([fact.aliases]),
        connections=connections,
        created_at=fact.created_at,
        changed=_NONE,
        at=at,
        unread=_NONE,
        cut=fact.cut,
    )


@lru_cache(maxsize=256)
def _alone(source: str) -> list[str]:
    return [source]


def _reason(fact: Entity) -> str:
    """The reason of its status; of a status that is none of ours, which one it is: no one else would name it."""
    if fact.status in STATUSES:
        return fact.reason
    return f"{fact.status[:STATUS_SHOWN]} is none of {', '.join(STATUSES[:-1])}"


def _union(mappings: Sequence[dict[str, V]]) -> dict[str, V]:
    return {key: value for mapping in reversed(mappings) for key, value in mapping.items()}


def _all(lists: Sequence[list[str]]) -> list[str]:
    if len(lists) == 1 and len(lists[0]) < 2:
        return lists[0]
    return sorted({value for values in lists for value in values}) if any(lists) else []


def _connections(
    ref: Ref, facts: Sequence[Entity], resolve: Callable[[Connection, Ref], Ref | None]
) -> list[ResolvedConnection]:
    """Connections whose other end exists; one for each kind, peer and direction."""
    found: dict[tuple[str, Ref, str], ResolvedConnection] = {}
    for fact in facts:
        for each in fact.connections:
            peer = resolve(each, ref)
            if peer is None or (key := (each.kind, peer, each.direction)) in found:
                continue
            found[key] = ResolvedConnection(
                each.kind, peer, each.direction, each.attributes, each.evidence, fact.source, each.traffic
            )
    return [found[key] for key in sorted(found)] if len(found) > 1 else list(found.values())
