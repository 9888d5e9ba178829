"""The merge as its rules say it, without an index, a shortcut or a memory: all facts → the topology. For comparison."""

from collections.abc import Collection, Iterable, Sequence

from kgents_shared.contract.address import candidates, normalised
from kgents_shared.contract.entity import Connection, Entity, Ref
from kgents_shared.contract.topology import TopologyEntity
from kgents_topology_builder.merge import merge
from support.build import NOW_NS, make_entity

FINISHED = ("succeeded", "failed")


def plain_topology(
    facts: Iterable[Entity], priority: Sequence[str], stale: Collection[tuple[str, str]] = ()
) -> dict[Ref, TopologyEntity]:
    """What is published for these facts; `stale`: (cluster, source) of those that attest nothing."""
    facts = list(facts)
    return {ref: _merged(ref, facts, priority, stale) for ref in {fact.ref for fact in facts}}


def _merged(
    ref: Ref, facts: list[Entity], priority: Sequence[str], stale: Collection[tuple[str, str]]
) -> TopologyEntity:
    def rank(fact: Entity) -> tuple[bool, int, str]:
        place = priority.index(fact.source) if fact.source in priority else len(priority)
        return (fact.ref.cluster, fact.source) in stale, place, fact.source

    own = sorted((fact for fact in facts if fact.ref == ref), key=rank)
    # A second fact that knows nothing: `merge` has a short way for one alone, which is compared with the long one.
    nothing = make_entity(ref=ref, source="zz", status="", uid="")
    found = merge(ref, [*own, nothing], lambda connection, of: _peer(connection, of, facts), time_ns=NOW_NS)
    found.sources.remove("zz")
    return found


def _peer(connection: Connection, of: Ref, facts: list[Entity]) -> Ref | None:
    if isinstance(connection.peer, Ref):
        return connection.peer if any(fact.ref == connection.peer for fact in facts) else None
    for name in candidates(connection.peer):
        claims = sorted(
            (fact.status in FINISHED, fact.ref)
            for fact in facts
            if fact.ref.cluster == of.cluster
            and fact.ref != of
            and name in map(normalised, [*fact.addresses, *fact.aliases])
        )
        if claims:
            return claims[0][1]
    return None
