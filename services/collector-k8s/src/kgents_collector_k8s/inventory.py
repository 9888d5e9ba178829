"""All objects of a cluster → entities: fragments of objects, joined with what other objects determine. Pure.

A pod's owner stands in a ReplicaSet, its Services in EndpointSlices, its policies in NetworkPolicies; ConfigMaps and
Secrets exist here for as long as an object refers to them. Each object that changes marks the entities it may have
changed, and `take` returns those. Fragments are kept compressed: 100,000 pods fit into the memory of a small container.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final, TypeVar

import msgspec

from kgents_collector_k8s.mapping import container, kind_of, referenced
from kgents_collector_k8s.mapping.fragment import Endpoint, ExternalEndpoint, Fragment, Owner, Selector
from kgents_collector_k8s.mapping.service import as_published, backed
from kgents_collector_k8s.scopes import MAKERS, WITHIN
from kgents_collector_k8s.shelf import Key, Shelf
from kgents_shared.contract.entity import Connection, Entity, Ref, Value
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import kubernetes as attribute
from kgents_shared.contract.vocabulary.attributes import otel

E = TypeVar("E", Endpoint, ExternalEndpoint)

OWNED: Final = "metadata.ownerReferences"
OWNED_THROUGH: Final = "metadata.ownerReferences of the ReplicaSet"
ROUTED: Final = "EndpointSlice.endpoints"
SELECTED: Final = "NetworkPolicy.spec.podSelector"


class Inventory:
    """The objects of one cluster. Resources are named by their `place`: `pods`."""

    def __init__(self, cluster: str, published: Callable[[Ref], Entity | None]) -> None:
        """`published` returns an entity as it was last published, for edges whose resource was never read."""
        self.unseen: Collection[tuple[str, str]] = ()
        """Resources not read since the start, each with its namespace; empty namespace: all of them."""
        self.has_all_makers = False
        """Whether everything that makes pods is watched: only then may a Service be said to select none."""
        self._cluster = cluster
        self._published = published
        self._shelves: defaultdict[str, Shelf] = defaultdict(Shelf)  # by resource
        self._pods: defaultdict[str, set[Key]] = defaultdict(set)  # by namespace
        self._owned: defaultdict[str, set[Ref]] = defaultdict(set)  # by the uid of a ReplicaSet
        self._endpoints: defaultdict[Ref, dict[Key, list[Endpoint]]] = defaultdict(dict)  # by pod and slice
        self._external: defaultdict[Ref, dict[Key, list[ExternalEndpoint]]] = defaultdict(dict)  # by Service and slice
        self._behind: defaultdict[Ref, dict[Key, list[Endpoint | ExternalEndpoint]]] = defaultdict(dict)  # by Service
        self._policies: defaultdict[str, dict[Key, Selector]] = defaultdict(dict)  # by namespace
        self._makers: defaultdict[str, dict[tuple[str, Key], dict[str, str]]] = defaultdict(dict)  # by namespace
        self._without: defaultdict[str, set[Ref]] = defaultdict(set)  # Services without endpoints, by namespace
        self._named: Counter[Ref] = Counter()
        self._primary: dict[Ref, str] = {}  # whole objects → resource: their parts are in the same fragment
        self._dirty: defaultdict[str, dict[Ref, None]] = defaultdict(dict)  # by kind; a whole stands for its parts

    def keys(self, resource: str) -> Collection[Key]:
        """The objects that are known."""
        return self._shelves[resource].keys()

    def entity(self, ref: Ref) -> Entity | None:
        """The entity as its own object describes it; None: there is none."""
        fragment = self._fragment(ref)
        return next((each for each in fragment.entities if each.ref == ref), None) if fragment is not None else None

    def of_kinds(self, of: Collection[str]) -> list[Ref]:
        """The entities of these kinds of whole objects, those that are only referred to left out."""
        return [ref for ref in self._primary if ref.kind in of]

    def shown(self, ref: Ref) -> Entity | None:
        """The entity with all that other objects add to it, as `take` yields it; None: there is none."""
        return self._made(ref)

    def is_shown(self, ref: Ref) -> bool:
        """Whether the entity exists."""
        if ref.kind in WITHIN:
            return self.entity(ref) is not None
        return ref in self._primary or ref in self._named

    def put(self, resource: str, key: Key, fragment: Fragment) -> None:
        """Add an object, or replace it by its new version."""
        shelf = self._shelves[resource]
        old = shelf.get(key)
        if old == fragment:
            return
        shelf.put(key, fragment)
        self._change(resource, key, old, fragment)

    def drop(self, resource: str, key: Key, uid: str = "") -> None:
        """Remove an object; if a uid is given, only this incarnation."""
        old = self._shelves[resource].get(key)
        if old is None or (uid and old.uid != uid):
            return
        self._shelves[resource].drop(key)
        self._change(resource, key, old, None)

    def mark_kinds(self, of: Collection[str]) -> None:
        """Mark all entities of these kinds."""
        self.mark(ref for ref in self._primary if ref.kind in of)

    def mark_owned(self) -> None:
        """Mark what ReplicaSets own beside pods: other kinds do not wait until they are listed."""
        self.mark(ref for owned in self._owned.values() for ref in owned if ref.kind != kinds.POD)

    def mark(self, refs: Iterable[Ref]) -> None:
        """Mark these."""
        for ref in refs:
            self._touch(ref)

    def take(self, is_ready: Callable[[str], bool] = lambda _: True) -> Iterator[tuple[Ref, Entity | None]]:
        """What may have changed since the last call, of the kinds that are ready; None: the entity is gone."""
        for kind in [kind for kind in self._dirty if is_ready(kind)]:
            parts = [self._dirty[part] for part, whole in WITHIN.items() if whole == kind and is_ready(part)]
            for ref in self._dirty.pop(kind, ()):
                if ref.kind == kind:
                    yield ref, self._made(ref)
                else:
                    yield from self._parts(ref)
                for dirty in parts:  # at once: its fragment is decompressed
                    if ref in dirty:
                        del dirty[ref]
                        yield from self._parts(ref)

    def _parts(self, whole: Ref) -> Iterator[tuple[Ref, Entity]]:
        fragment = self._fragment(whole)
        if fragment is not None:
            yield from ((each.ref, each) for each in fragment.entities[1:])

    # What a change touches

    def _touch(self, ref: Ref) -> None:
        self._dirty[ref.kind][ref] = None

    def _change(self, resource: str, key: Key, old: Fragment | None, new: Fragment | None) -> None:
        self._change_entities(resource, old.entities if old else (), new.entities if new else ())
        self._change_owner(_replicaset_of(old), _replicaset_of(new))
        for fragment, is_new in ((old, False), (new, True)):
            if fragment is None:
                continue
            self._change_references(fragment.references, 1 if is_new else -1)
            if resource == "replicasets":
                self.mark(self._owned.get(fragment.uid, ()))
            self._change_endpoints(key, fragment, is_new=is_new)
            self._change_policy(key, fragment, is_new=is_new)
        self._change_maker(resource, key, old.makes if old else {}, new.makes if new else {})
        if resource == "pods":
            (self._pods[key[0]].add if new is not None else self._pods[key[0]].discard)(key)
            if not self._pods[key[0]]:
                del self._pods[key[0]]

    def _change_entities(self, resource: str, old: Sequence[Entity], new: Sequence[Entity]) -> None:
        known = [each.ref for each in new]
        for each in old:
            if each.ref.kind == kinds.SERVICE:
                self._note_endpoints(each.ref, has_some=True)
            if each.ref not in known:
                self._touch(each.ref)
                self._primary.pop(each.ref, None)
        for ref in known[:1]:
            self._touch(ref)
            self._primary[ref] = resource
        for part in known[1:]:
            self._dirty[part.kind][known[0]] = None

    def _change_references(self, refs: Iterable[Ref], by: int) -> None:
        for ref in refs:
            self._named[ref] += by
            if not self._named[ref]:
                del self._named[ref]
            self._touch(ref)

    def _change_owner(self, old: tuple[str, Ref] | None, new: tuple[str, Ref] | None) -> None:
        if old == new:
            return
        if old is not None:
            uid, ref = old
            self._owned[uid].discard(ref)
            if not self._owned[uid]:
                del self._owned[uid]
        if new is not None:
            uid, ref = new
            self._owned[uid].add(ref)

    def _change_endpoints(self, slice_: Key, fragment: Fragment, *, is_new: bool) -> None:
        if fragment.service is not None:
            slices = self._behind[fragment.service]
            if is_new:
                slices[slice_] = [*fragment.endpoints, *fragment.external_endpoints]
            else:
                slices.pop(slice_, None)
            if not slices:
                del self._behind[fragment.service]
            self._touch(fragment.service)
        for endpoint in fragment.endpoints:
            _change_slice(self._endpoints, endpoint.pod, slice_, endpoint, is_new=is_new)
            self._touch(endpoint.pod)
        for external in fragment.external_endpoints:
            _change_slice(self._external, external.service, slice_, external, is_new=is_new)
            self._touch(external.service)

    def _change_policy(self, key: Key, fragment: Fragment, *, is_new: bool) -> None:
        if fragment.selector is None:
            return
        if is_new:
            self._policies[key[0]][key] = fragment.selector
        else:
            self._policies[key[0]].pop(key, None)
            if not self._policies[key[0]]:
                del self._policies[key[0]]
        for pod in self._pods.get(key[0], ()):
            self._touch(self._pod(pod))

    def _change_maker(self, resource: str, key: Key, old: dict[str, str], new: dict[str, str]) -> None:
        if old == new:
            return
        makers = self._makers[key[0]]
        makers.pop((resource, key), None)
        if new:
            makers[resource, key] = new
        if not makers:
            del self._makers[key[0]]
        self.mark(self._without.get(key[0], ()))

    def _note_endpoints(self, service: Ref, *, has_some: bool) -> None:
        without = self._without[service.namespace]
        (without.discard if has_some else without.add)(service)
        if not without:
            del self._without[service.namespace]

    def _pod(self, key: Key) -> Ref:
        """Without its fragment: decompressing very many at once would block the event loop."""
        return Ref(self._cluster, kinds.POD, key[1], key[0])

    # Joining an entity

    def _fragment(self, ref: Ref) -> Fragment | None:
        """The fragment of the object that an entity is, or is part of."""
        whole = container.pod_of(ref) if ref.kind in WITHIN else ref
        resource = self._primary.get(whole)
        return self._shelves[resource].get((whole.namespace, whole.name)) if resource is not None else None

    def _made(self, ref: Ref) -> Entity | None:
        fragment = self._fragment(ref)
        if fragment is None:
            return referenced(ref) if ref in self._named else None
        entity = fragment.entities[0]
        if entity.ref != ref:  # it is part of the object
            return self.entity(ref)
        if ref.kind == kinds.SERVICE:
            entity = self._backed(entity, fragment.leads_to)
        joined = [*self._owner(ref, fragment.owner), *self._others(entity, fragment.hashes)]
        return msgspec.structs.replace(entity, connections=[*entity.connections, *joined]) if joined else entity

    def _owner(self, ref: Ref, owner: Owner | None) -> Iterator[Connection]:
        """The nearest owner that is shown: for a Deployment's pods the Deployment, not its ReplicaSet."""
        if owner is None:
            return
        evidence, attributes = OWNED, dict[str, Value]()
        if owner.api_kind == "ReplicaSet" and owner.api_group == "apps":
            if self._is_unseen("replicasets", ref.namespace):
                yield from self._as_published(ref, OWNED, OWNED_THROUGH)
                return
            through = self._shelves["replicasets"].get((ref.namespace, owner.name))
            if through is not None and through.uid == owner.uid and not through.entities and through.owner is not None:
                evidence, attributes = OWNED_THROUGH, {otel.K8S_REPLICASET_NAME: owner.name}
                owner = through.owner
        namespace = "" if owner.api_kind in ("Node", "Namespace") else ref.namespace
        peer = Ref(self._cluster, kind_of(owner.api_kind, owner.api_group), owner.name, namespace)
        yield Connection(kind=edges.OWNS, peer=peer, direction="in", attributes=attributes, evidence=evidence)

    def _others(self, entity: Entity, hashes: dict[str, str]) -> Iterator[Connection]:
        ref = entity.ref
        if ref.kind not in (kinds.POD, kinds.SERVICE):
            return
        if self._is_unseen("endpointslices", ref.namespace):
            yield from self._as_published(ref, ROUTED)
        else:
            yield from self._routed(ref) if ref.kind == kinds.POD else self._outside(ref)
        if ref.kind == kinds.POD:
            if self._is_unseen("networkpolicies", ref.namespace):
                yield from self._as_published(ref, SELECTED)
            else:
                yield from self._selected(ref, entity.labels | hashes)

    def _routed(self, pod: Ref) -> Iterator[Connection]:
        by_service: defaultdict[Ref, list[Endpoint]] = defaultdict(list)
        for endpoints in self._endpoints.get(pod, {}).values():
            for endpoint in endpoints:
                by_service[endpoint.service].append(endpoint)
        for service in sorted(by_service):
            found = by_service[service]
            attributes: dict[str, Value] = {
                **_conditions(found),
                attribute.SERVICE_ENDPOINT_PORTS: sorted({port for each in found for port in each.ports}),
            }
            yield Connection(kind=edges.ROUTES, peer=service, direction="in", attributes=attributes, evidence=ROUTED)

    def _backed(self, service: Entity, selector: dict[str, str]) -> Entity:
        if self._is_unseen("endpointslices", service.ref.namespace):
            known = self._published(service.ref)
            return as_published(service, known) if known is not None else service
        slices = self._behind.get(service.ref)
        if not slices:
            return service
        endpoints = [each for found in slices.values() for each in found]
        self._note_endpoints(service.ref, has_some=bool(endpoints))
        return backed(service, endpoints, matches_nothing=self._matches_nothing(service.ref.namespace, selector))

    def _matches_nothing(self, namespace: str, selector: dict[str, str]) -> bool:
        """Whether a Service selects no pod that anything here makes. One without a selector is filled by hand."""
        makers = self._makers.get(namespace, {}).values()
        is_seen = self.has_all_makers and not any(self._is_unseen(each, namespace) for each in MAKERS)
        return bool(selector) and is_seen and not any(selector.items() <= labels.items() for labels in makers)

    def _outside(self, service: Ref) -> Iterator[Connection]:
        by_address: defaultdict[str, list[ExternalEndpoint]] = defaultdict(list)
        for endpoints in self._external.get(service, {}).values():
            for endpoint in endpoints:
                by_address[endpoint.address].append(endpoint)
        for address in sorted(by_address):
            attributes = _conditions(by_address[address])
            yield Connection(kind=edges.ROUTES, peer=address, attributes=attributes, evidence=ROUTED)

    def _selected(self, pod: Ref, labels: dict[str, str]) -> Iterator[Connection]:
        policies = self._policies.get(pod.namespace, {})
        for key in sorted(policies):
            selector = policies[key]
            is_for_all = not selector.match_labels and not selector.match_expressions
            if not is_for_all and selects(selector, labels):
                yield Connection(kind=edges.SELECTS, peer=selector.policy, direction="in", evidence=SELECTED)

    def _as_published(self, ref: Ref, *evidence: str) -> Iterator[Connection]:
        """Edges from a resource that was not read since the start: they stay as published, and in their place."""
        published = self._published(ref)
        if published is not None:
            yield from (each for each in published.connections if each.evidence in evidence)

    def _is_unseen(self, resource: str, namespace: str) -> bool:
        return (resource, "") in self.unseen or (resource, namespace) in self.unseen


def _replicaset_of(fragment: Fragment | None) -> tuple[str, Ref] | None:
    """The uid of the ReplicaSet that owns an object which is shown, and the object."""
    if fragment is None or not fragment.entities or fragment.owner is None or fragment.owner.api_kind != "ReplicaSet":
        return None
    return fragment.owner.uid, fragment.entities[0].ref


def _change_slice(
    of: defaultdict[Ref, dict[Key, list[E]]], ref: Ref, slice_: Key, endpoint: E, *, is_new: bool
) -> None:
    """Add a slice's endpoint to an entity, or drop all that the slice had; an entity without any is forgotten."""
    if is_new:
        of[ref].setdefault(slice_, []).append(endpoint)
        return
    of[ref].pop(slice_, None)
    if not of[ref]:
        del of[ref]


def selects(selector: Selector, labels: dict[str, str]) -> bool:
    """Whether a selector matches a pod with these labels."""
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    return all(_holds(labels.get(key), operator, values) for key, operator, values in selector.match_expressions)


def _holds(value: str | None, operator: str, values: tuple[str, ...]) -> bool:
    match operator:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:  # an operator of a newer API: no match is the smaller error
            return False


def _conditions(endpoints: Collection[Endpoint | ExternalEndpoint]) -> dict[str, Value]:
    """One endpoint may be in several slices (IPv4 and IPv6): it is ready if any of them says so."""
    return {
        attribute.SERVICE_ENDPOINT_READY: any(each.is_ready for each in endpoints),
        attribute.SERVICE_ENDPOINT_SERVING: any(each.is_serving for each in endpoints),
        attribute.SERVICE_ENDPOINT_TERMINATING: any(each.is_terminating for each in endpoints),
    }
