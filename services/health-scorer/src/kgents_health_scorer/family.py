"""Which entity owns which, as far as verdicts depend on it: topology → Kin of each entity → `reducer.py`. Pure.

Containers depend on their pod, pods on their workload or Job, CronJobs on their Jobs, workloads and Services on their
pods. A change that matters to others gives their refs, so that only those are judged again.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from kgents_health_scorer.checks.check import Kin
from kgents_health_scorer.checks.workloads import ready_of
from kgents_shared.contract.entity import Ref
from kgents_shared.contract.topology import TopologyEntity
from kgents_shared.contract.vocabulary import edges, kinds
from kgents_shared.contract.vocabulary.attributes import otel

_OWNERS: Final[dict[str, frozenset[str]]] = {
    kinds.CONTAINER: frozenset({kinds.POD}),
    kinds.POD: frozenset({kinds.DEPLOYMENT, kinds.REPLICASET, kinds.STATEFULSET, kinds.DAEMONSET, kinds.JOB}),
    kinds.JOB: frozenset({kinds.CRONJOB}),
}
"""Kind → the kinds of owners that count."""
_ALONE: Final = Kin()
_NO_REFS: Final[dict[Ref, None]] = {}
_NONE: Final[frozenset[Ref]] = frozenset()

Find = Callable[[Ref], TopologyEntity | None]


class Family:
    """Owners and what they own."""

    def __init__(self) -> None:
        self._owner: dict[Ref, Ref] = {}
        self._owned: dict[Ref, dict[Ref, None]] = {}  # in the order in which they came
        self._bad: dict[Ref, set[Ref]] = {}  # workload or Service → its pods in which a check has found something
        self._served: dict[Ref, frozenset[Ref]] = {}  # such a pod → these

    def owner(self, ref: Ref) -> Ref | None:
        """The owner of an entity."""
        return self._owner.get(ref)

    def place(self, entity: TopologyEntity) -> None:
        """Take note of an entity's owner."""
        owner = _owner_of(entity)
        if owner == self._owner.get(entity.ref):
            return
        self.remove(entity.ref)
        if owner is not None:
            self._owner[entity.ref] = owner
            self._owned.setdefault(owner, {})[entity.ref] = None

    def remove(self, ref: Ref) -> None:
        """Forget an entity's owner: it is gone, or has another one."""
        owner = self._owner.pop(ref, None)
        if owner is None:
            return
        members = self._owned[owner]
        del members[ref]
        if not members:
            del self._owned[owner]

    def note(self, ref: Ref, served: Iterable[Ref]) -> list[Ref]:
        """Take note of what a pod serves in which something was found; of one that is well: nothing.

        Returns those to which that is news: they had no such pod, or have none any more.
        """
        before, after = self._served.get(ref, _NONE), frozenset(served) if ref.kind == kinds.POD else _NONE
        if before == after:
            return []
        self._served[ref] = after
        if not after:
            del self._served[ref]
        for each in after - before:
            self._bad.setdefault(each, set()).add(ref)
        for each in before - after:
            self._bad[each].discard(ref)
        changed = sorted(before ^ after)
        news = [each for each in changed if not self._bad[each] - {ref}]
        for each in news:
            if not self._bad[each]:
                del self._bad[each]
        return news

    def owned(self, ref: Ref) -> Iterator[Ref]:
        """What an entity owns."""
        return iter(self._owned.get(ref, _NO_REFS))

    def kin(self, entity: TopologyEntity, find: Find, measured: Callable[[Ref], frozenset[str]]) -> Kin:
        """What a verdict on an entity depends on beside itself."""
        ref = entity.ref
        owner = self._owner.get(ref)
        match ref.kind:
            case kinds.CONTAINER if owner is not None:
                above = self._owner.get(owner)
                return Kin(pod=find(owner), controller=find(above) if above is not None else None)
            case kinds.POD:
                checks = frozenset[str]().union(*map(measured, self.owned(ref)))
                return Kin(pod=entity, controller=find(owner) if owner is not None else None, measured=checks)
            case kinds.JOB if owner is not None:
                return Kin(controller=find(owner), jobs=self._jobs(owner, find))
            case kinds.CRONJOB:
                return Kin(jobs=self._jobs(ref, find))
            case _:
                return Kin(has_bad_pods=True) if ref in self._bad else _ALONE

    def _jobs(self, cronjob: Ref, find: Find) -> tuple[TopologyEntity, ...]:
        found = map(find, self.owned(cronjob))
        return tuple(each for each in found if each is not None)

    def touched(self, ref: Ref, before: TopologyEntity | None, after: TopologyEntity | None) -> Iterator[Ref]:
        """Whose verdict may change because this entity changed, itself excepted; call it before `remove`."""
        if _standing(before) == _standing(after):
            return
        if ref.kind == kinds.JOB and (cronjob := self._owner.get(ref)) is not None:
            yield cronjob
            yield from (each for each in self.owned(cronjob) if each != ref)
        for each in self.owned(ref):
            yield each
            yield from self.owned(each)


def _owner_of(entity: TopologyEntity) -> Ref | None:
    allowed = _OWNERS.get(entity.ref.kind)
    if allowed is None:
        return None
    for each in entity.connections:
        if each.kind == edges.OWNS and each.direction == "in" and each.peer.kind in allowed:
            return each.peer
    return None


def _standing(entity: TopologyEntity | None) -> object:
    """What others are judged by."""
    if entity is None:
        return None
    match entity.ref.kind:
        case kinds.POD:
            return entity.status, entity.attributes.get(otel.K8S_POD_STATUS_PHASE)
        case kinds.JOB:
            return entity.status, entity.created_at
        case _:
            return is_replicated(entity)


def is_replicated(entity: TopologyEntity | None) -> bool:
    """Whether it wants several pods, so that it serves on without one of them."""
    return entity is not None and (ready_of(entity) or (0, 0))[1] > 1
