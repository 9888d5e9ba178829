"""One sample → the entity of a Qdrant peer and of each collection: state, no figures. Pure."""

from typing import Final

from msgspec import structs

from kgents_collector_db.mapping.facts import SOURCE, Scope, Unreachable
from kgents_collector_db.mapping.place import place, runs_on
from kgents_collector_db.mapping.qdrant import state
from kgents_collector_db.mapping.qdrant.sample import Collection, QdrantSample, Raft
from kgents_shared.contract.address import join, of_url
from kgents_shared.contract.entity import Connection, Entity, Ref, Value
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import any_entity, otel
from kgents_shared.contract.vocabulary.attributes import qdrant as attribute

KIND: Final = kinds.DATABASE
COLLECTION: Final = kinds.COLLECTION
STATUS: Final = attribute.STATUS
REST: Final = "*"
"""Name of the entity for all collections beyond `max_collections`; no collection can have this name."""
REASON_CHARS_MAX: Final = 200

_UNREACHABLE_STATUS: Final = {"failing": "failed", "starting": "pending", "degraded": "unknown"}
"""Phase of a failed poll → status: a server that refuses our key may or may not run."""


def database_ref(scope: Scope) -> Ref:
    """The ref of the peer."""
    return Ref(scope.cluster, KIND, scope.name, scope.namespace)


def collection_ref(name: str, scope: Scope) -> Ref:
    """The ref of a collection, `<database>/<collection>`: two databases may have collections of the same name."""
    return Ref(scope.cluster, COLLECTION, f"{scope.name}/{name}", scope.namespace)


def entities(previous: QdrantSample | None, sample: QdrantSample, scope: Scope) -> list[Entity]:
    """The database, then its collections. What this poll could not read stays as published."""
    if sample.unreachable is not None:
        return _unreachable(previous, sample, sample.unreachable, scope)
    known = [each for ref, each in scope.published.items() if ref.kind == COLLECTION]
    if sample.names is None:
        collections = known
    else:
        seen = {collection_ref(each.name, scope): _collection(each, scope) for each in sample.collections}
        kept = {each.ref: each for each in known if each.ref in {collection_ref(name, scope) for name in sample.shown}}
        unread = {ref: _unread(name, ref) for name in sample.unread if (ref := collection_ref(name, scope)) not in kept}
        collections = [*{**unread, **kept, **seen}.values(), *_rest(sample, scope)]
    collections = sorted(collections, key=lambda each: each.ref)
    return [_database(sample, collections, scope), *collections]


def _unreachable(
    previous: QdrantSample | None, sample: QdrantSample, unreachable: Unreachable, scope: Scope
) -> list[Entity]:
    """The published entities; the database with a new status after two failed polls in a row: one may be a blip."""
    known = dict(scope.published)
    database = known.pop(database_ref(scope), None) or _unknown(sample, scope)
    if previous is not None and previous.unreachable is not None:
        status = _UNREACHABLE_STATUS.get(unreachable.phase, "unknown")
        database = structs.replace(database, status=status, reason=unreachable.cause)
    return [database, *known.values()]


def _unknown(sample: QdrantSample, scope: Scope) -> Entity:
    """The entity of a server that was never reached: only its address is known."""
    return Entity(
        ref=database_ref(scope),
        source=SOURCE,
        attributes={otel.DB_SYSTEM_NAME: "qdrant", **place(sample.address)},
        addresses=[sample.address],
        connections=runs_on(sample.address),
    )


def _database(sample: QdrantSample, collections: list[Entity], scope: Scope) -> Entity:
    published = scope.published.get(database_ref(scope))
    now, process = state.database(sample), sample.process
    return Entity(
        ref=database_ref(scope),
        source=SOURCE,
        # The process creates an id at its start; if our key may not read it, the published one is kept.
        uid=process.id if process is not None else published.uid if published is not None else "",
        status="pending" if now.phase == "starting" else "running",
        reason=now.cause,
        attributes=_attributes(sample, published),
        addresses=[sample.address],
        connections=[
            *runs_on(sample.address),
            *_peers(sample, published),
            *(Connection(edges.OWNS, each.ref, evidence="GET /collections") for each in collections),
        ],
        created_at=process.started if process is not None else published.created_at if published is not None else None,
    )


def _attributes(sample: QdrantSample, published: Entity | None) -> dict[str, Value]:
    kept = published.attributes if published is not None else {}
    raft, process = sample.raft, sample.process
    given: dict[str, Value] = {
        otel.DB_SYSTEM_NAME: "qdrant",
        otel.SERVICE_VERSION: process.version if process is not None else kept.get(otel.SERVICE_VERSION),
        **place(sample.address),
        attribute.PEER_ID: str(raft.peer) if raft is not None else kept.get(attribute.PEER_ID),
        attribute.RAFT_LEADER: _leader(raft) if raft is not None else kept.get(attribute.RAFT_LEADER),
    }
    return {name: each for name, each in given.items() if each not in (None, "")}


def _leader(raft: Raft) -> str:
    return str(raft.leader) if raft.leader is not None else "none"


def _peers(sample: QdrantSample, published: Entity | None) -> list[Connection]:
    raft = sample.raft
    if raft is None:
        return [each for each in (published.connections if published is not None else []) if each.kind == edges.NETWORK]
    places = sorted(join(*of_url(uri)) for peer, uri in raft.peers.items() if peer != raft.peer)
    attributes: dict[str, Value] = {attribute.RELATION: "cluster"}
    return [
        Connection(edges.NETWORK, place, attributes=attributes, evidence="GET /cluster") for place in places if place
    ]


def _collection(seen: Collection, scope: Scope) -> Entity:
    """The entity of a collection. Yellow is published as green, since every write changes it; pulses have both."""
    status = "green" if seen.status == "yellow" else seen.status
    now = state.collection(seen)
    return Entity(
        ref=collection_ref(seen.name, scope),
        source=SOURCE,
        uid=seen.created,
        status="failed" if now.phase == "failing" else "running",
        reason=(seen.optimizer_error[:REASON_CHARS_MAX] or now.cause) if now.phase != "healthy" else "",
        attributes={otel.DB_SYSTEM_NAME: "qdrant", otel.DB_COLLECTION_NAME: seen.name, STATUS: status},
    )


def _unread(name: str, ref: Ref) -> Entity:
    """A collection that was listed, and never read."""
    attributes: dict[str, Value] = {otel.DB_SYSTEM_NAME: "qdrant", otel.DB_COLLECTION_NAME: name}
    return Entity(ref=ref, source=SOURCE, status="unknown", reason="unreadable", attributes=attributes)


def _rest(sample: QdrantSample, scope: Scope) -> list[Entity]:
    if sample.names is None or len(sample.names) == len(sample.shown):
        return []
    return [
        Entity(ref=collection_ref(REST, scope), source=SOURCE, status="unknown", attributes={any_entity.OVERFLOW: True})
    ]
