"""Limits the entities of a kind: facts in order of importance → the first `limit`, and one that counts the rest."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from kgents_collector_nats.mapping.scope import SOURCE, Fact, Scope
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.vocabulary.attributes import any_entity
from kgents_shared.contract.vocabulary.figures import resource

OVERFLOW: Final = "overflow"
"""The name of the entity that stands for what is left out of a kind."""


class Caps(Struct, frozen=True, kw_only=True):
    """The most entities of each kind, `overflow` not counted. Servers have no cap: an operator knows each of them."""

    nats_stream: int
    nats_consumer: int
    nats_client: int
    nats_subject: int


def select(ranked: Sequence[Ref], limit: int, published: Mapping[Ref, Entity]) -> frozenset[Ref]:
    """Which of these are shown: those shown already, then the first ones.

    What is shown stays until it is gone; otherwise two of nearly the same rank would swap places at every poll.
    """
    return frozenset(sorted(ranked, key=lambda ref: ref not in published)[:limit])


def overflow(kind: str, left_out: int, scope: Scope) -> list[Fact]:
    """The one fact for what is left out; none when nothing is."""
    if left_out <= 0:
        return []
    entity = Entity(
        ref=scope.ref(kind, OVERFLOW), source=SOURCE, status="unknown", attributes={any_entity.OVERFLOW: True}
    )
    return [Fact(entity, scope.pulse(entity, {resource.ENTITIES_LEFT_OUT: float(left_out)}))]


def limited(kind: str, facts: Sequence[Fact], limit: int, scope: Scope) -> list[Fact]:
    """At most `limit` of the facts, given in order of importance, and the overflow."""
    shown = select([fact.entity.ref for fact in facts], limit, scope.published)
    return [fact for fact in facts if fact.entity.ref in shown] + overflow(kind, len(facts) - len(shown), scope)
