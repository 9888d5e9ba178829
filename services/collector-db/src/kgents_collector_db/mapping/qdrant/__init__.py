"""Qdrant: one sample → the database, its collections, their pulses and events. Pure.

source/qdrant → QdrantSample → exposition, requests, state → entity, pulse, events → Facts
"""

from collections.abc import Iterator

from msgspec import structs

from kgents_collector_db.mapping.facts import Scope
from kgents_collector_db.mapping.qdrant import pulse
from kgents_collector_db.mapping.qdrant.entity import collection_ref, database_ref, entities
from kgents_collector_db.mapping.qdrant.events import events
from kgents_collector_db.mapping.qdrant.sample import QdrantSample
from kgents_collector_db.mapping.seen import believed, not_seen
from kgents_shared.contract.facts import Facts
from kgents_shared.contract.unread import Unread


def observe(previous: QdrantSample | None, current: QdrantSample, scope: Scope) -> Facts:
    """All facts of one poll. Of `previous` only its failure matters: two failed polls in a row change the status."""
    known = scope.published.get(database_ref(scope))
    current = structs.replace(current, unreachable=believed(current.unreachable, known))
    found = entities(previous, current, scope)
    by_ref = {each.ref: each for each in found}
    pulses = [
        pulse.collection(each, current.shards.get(each.name), by_ref[collection_ref(each.name, scope)], scope)
        for each in current.collections
    ]
    is_confirmed = previous is not None and previous.unreachable is not None
    return Facts(
        entities=found,
        pulses=[pulse.database(current, found[0], scope), *pulses],
        events=list(events(found, scope)),
        unread=[*not_seen(current.unreachable, scope, is_confirmed=is_confirmed), *_unread(previous, current, scope)],
    )


def _unread(previous: QdrantSample | None, sample: QdrantSample, scope: Scope) -> Iterator[Unread]:
    """The collections that could not be read twice in a row, or never: each a scope of its own."""
    before = previous.unread if previous is not None else {}
    for name, why in sorted(sample.unread.items()):
        ref = collection_ref(name, scope)
        if name in before or ref not in scope.published:
            yield Unread(kind=ref.kind, namespace=ref.namespace, name=ref.name, reason=f"{ref.name}: {why}")
