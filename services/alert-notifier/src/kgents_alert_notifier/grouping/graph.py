"""Topology messages → who owns whom, and who needs whom, as far as explanations depend on it. Pure.

An entity is named by the end of its subjects, `<kind>.<namespace>.<name>`.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from msgspec import Struct

from kgents_shared.contract import subjects
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.topology import ResolvedConnection, TopologyEntity
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.explanations import BACKEND, DEPENDENCY, HOST, SOURCE, STORAGE, Relation

Edge = tuple[str, Relation, str]
"""From an entity, how, to what it needs."""

OWNED_MAX: Final = 64
"""Pods of one workload, and containers of one pod, whose connections count as the workload's: they are alike."""
CHAIN_MAX: Final = 4
"""Container, pod, Job, CronJob."""

_OWNERS: Final[dict[str, frozenset[str]]] = {
    kinds.CONTAINER: frozenset({kinds.POD}),
    kinds.POD: frozenset({kinds.DEPLOYMENT, kinds.REPLICASET, kinds.STATEFULSET, kinds.DAEMONSET, kinds.JOB}),
    kinds.REPLICASET: frozenset({kinds.DEPLOYMENT}),
    kinds.JOB: frozenset({kinds.CRONJOB}),
}
"""Kind → the kinds of owners with which it is one unit. A Compose project is none: its containers are not alike."""
_RELATIONS: Final[dict[str, Relation]] = {
    edges.RUNS_ON: HOST,
    edges.DEPENDS: DEPENDENCY,
    edges.HTTP: DEPENDENCY,
    edges.GRPC: DEPENDENCY,
    edges.NATS: DEPENDENCY,
    edges.NETWORK: DEPENDENCY,
    edges.ROUTES: BACKEND,
    edges.VOLUME: STORAGE,
}
_NONE: Final[dict[str, int]] = {}


class Node(Struct, gc=False):
    """What is known of one entity."""

    edges: tuple[Edge, ...]
    """Those that its message carries, in either direction."""
    owner: str
    sources: tuple[str, ...]
    """The entities of the sources that report it."""
    labels: dict[str, str]


class Graph:
    """The entities of one cluster."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._out: dict[tuple[str, Relation], dict[str, int]] = {}  # → to what, and how many messages say so
        self._owned: dict[str, dict[str, None]] = {}
        self._related: dict[tuple[str, Relation], tuple[str, ...]] = {}  # both remembered until something changes
        self._heads: dict[str, str] = {}
        self.changes = 0
        """How often what depends on it may have changed."""

    def __len__(self) -> int:
        return len(self._nodes)

    def put(self, key: str, entity: TopologyEntity | None) -> None:
        """Take note of an entity, or that it is gone."""
        before = self._nodes.get(key)
        after = _node(key, entity) if entity is not None else None
        if before is not None and after is not None and _links(before) == _links(after):
            before.labels = after.labels
            return
        if before is not None:
            self._unlink(key, before)
        if after is not None:
            self._link(key, after)
        if before is not None or after is not None:
            self._related.clear()
            self._heads.clear()
            self.changes += 1

    def labels(self, key: str) -> dict[str, str]:
        """The labels of an entity, and those of its owners that it has not itself."""
        found: dict[str, str] = {}
        for each in self.chain(key):
            if (node := self._nodes.get(each)) is not None:
                found = {**node.labels, **found}
        return found

    def chain(self, key: str) -> Sequence[str]:
        """The entity, its owner, the owner of that, and so on."""
        found = [key]
        while (node := self._nodes.get(found[-1])) is not None and node.owner and len(found) < CHAIN_MAX:
            found.append(node.owner)
        return found

    def head(self, key: str) -> str:
        """The unit of an entity: the owner of its owner…, or itself."""
        found = self._heads.get(key)
        if found is None:
            found = self._heads[key] = self.chain(key)[-1]
        return found

    def owned(self, key: str) -> Iterator[str]:
        """Some of what it owns, and of what these own."""
        for each in islice(self._owned.get(key, ()), OWNED_MAX):
            yield each
            yield from islice(self._owned.get(each, ()), OWNED_MAX)

    def related(self, key: str, relation: Relation) -> tuple[str, ...]:
        """What an entity needs in this way; what its owners need, and what it owns, it needs itself."""
        found = self._related.get((key, relation))
        if found is None:
            found = self._related[key, relation] = tuple(self._needed(key, relation))
        return found

    def _needed(self, key: str, relation: Relation) -> dict[str, None]:
        own = (*self.chain(key), *self.owned(key))
        if relation == SOURCE:
            nodes = (self._nodes.get(each) for each in own[:1])
            return dict.fromkeys(source for node in nodes if node is not None for source in node.sources)
        family = frozenset(own)
        found = (to for each in own for to in self._out.get((each, relation), _NONE))
        return dict.fromkeys(sorted(to for to in found if to not in family))

    def _link(self, key: str, node: Node) -> None:
        self._nodes[key] = node
        for source, relation, to in node.edges:
            peers = self._out.setdefault((source, relation), {})
            peers[to] = peers.get(to, 0) + 1
        if node.owner:
            self._owned.setdefault(node.owner, {})[key] = None

    def _unlink(self, key: str, node: Node) -> None:
        del self._nodes[key]
        for source, relation, to in node.edges:
            peers = self._out[source, relation]
            peers[to] -= 1
            if not peers[to]:
                del peers[to]
            if not peers:
                del self._out[source, relation]
        if node.owner:
            owned = self._owned[node.owner]
            del owned[key]
            if not owned:
                del self._owned[node.owner]


def key_of(subject: str) -> str:
    """The name of the entity that a subject of the topology or of an alert is about."""
    _, signal, _, rest = subject.split(".", 3)
    return rest.rpartition(".")[0] if signal == "alert" else rest


def ref_of(cluster: str, key: str) -> Ref | None:
    """The entity of this name; None: it is too long to be read back."""
    tokens = key.split(".")
    if any(map(subjects.is_hashed, tokens)):
        return None
    kind, namespace, name = map(subjects.unescape, tokens)
    return Ref(cluster, kind, name, namespace)


def _node(key: str, entity: TopologyEntity) -> Node:
    cluster = entity.ref.cluster
    near = [each for each in entity.connections if each.peer.cluster == cluster]  # others are served separately
    owners = _OWNERS.get(entity.ref.kind, frozenset())
    owner = next(
        (
            _key(each)
            for each in near
            if each.kind == edges.OWNS and each.direction == "in" and each.peer.kind in owners
        ),
        "",
    )
    links = (edge for each in near if (edge := _edge(key, entity, each)) is not None)
    sources = tuple(f"{kinds.SOURCE}._.{source}" for source in entity.sources)
    return Node(tuple(links), owner, sources, entity.labels)


def _edge(key: str, entity: TopologyEntity, connection: ResolvedConnection) -> Edge | None:
    relation = _RELATIONS.get(connection.kind)
    peer = connection.peer
    if relation is None or peer.kind == kinds.NETWORK:
        return None
    if connection.kind == edges.NETWORK and peer.kind == entity.ref.kind:  # members of one database cluster
        return None
    other = _key(connection)
    return (key, relation, other) if connection.direction == "out" else (other, relation, key)


def _key(connection: ResolvedConnection) -> str:
    return key_of(connection.peer.subject("topology"))


def _links(node: Node) -> object:
    return node.edges, node.owner, node.sources
