"""Qdrant: one sample → the database, its collections, their pulses and events. Pure.

source/qdrant → QdrantSample → exposition, requests, state → entity, pulse, events → Facts
"""

from kgents_collector_db.mapping.facts import Scope
from kgents_collector_db.mapping.qdrant import pulse
from kgents_collector_db.mapping.qdrant.entity import collection_ref, entities
from kgents_collector_db.mapping.qdrant.events import events
from kgents_collector_db.mapping.qdrant.sample import QdrantSample
from kgents_shared.contract.facts import Facts


def observe(previous: QdrantSample | None, current: QdrantSample, scope: Scope) -> Facts:
    """All facts of one poll. Of `previous` only its failure matters: two failed polls in a row change the status."""
    found = entities(previous, current, scope)
    by_ref = {each.ref: each for each in found}
    pulses = [
        pulse.collection(each, current.shards.get(each.name), by_ref[collection_ref(each.name, scope)], scope)
        for each in current.collections
    ]
    return Facts(
        entities=found,
        pulses=[pulse.database(current, found[0], scope), *pulses],
        events=list(events(found, scope)),
    )
