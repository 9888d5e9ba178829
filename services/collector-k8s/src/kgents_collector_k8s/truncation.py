"""Objects beyond `max_objects`: one entity for each kind stands for them, so that a reader knows that there are more.

It is named `overflow`; its pulse says how many are left out. Each takes a few bytes of memory, and is shown when
it changes while there is room, or by a new list, which is requested when a watch ends and there is room.
"""

from collections import Counter, defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from kgents_collector_k8s.mapping.fragment import SOURCE, Kind
from kgents_collector_k8s.shelf import Key
from kgents_shared.contract.entity import Entity, Ref
from kgents_shared.contract.pulse import ResourcePulse
from kgents_shared.contract.vocabulary.attributes import any_entity
from kgents_shared.contract.vocabulary.figures import resource

NAME: Final = "overflow"


class Truncation:
    """How many objects of each kind are left out."""

    def __init__(self, cluster: str, max_objects: int) -> None:
        self._cluster = cluster
        self._max_objects = max_objects
        self._left_out: defaultdict[tuple[str, str, str], set[int]] = defaultdict(set)
        """By kind, resource (volumes and claims are of one kind) and watched namespace."""

    def admits(self, kind: Kind[Any], namespace: str, key: Key, shown: Collection[Key]) -> bool:
        """Whether there is room for an object; if not, it is counted."""
        is_admitted = key in shown or len(shown) < self._max_objects
        left_out = self._of(kind, namespace)
        (left_out.discard if is_admitted else left_out.add)(hash(key))
        return is_admitted

    def has_room_again(self, kind: Kind[Any], namespace: str, shown: Collection[Key]) -> bool:
        """Whether objects that are left out could be shown now."""
        return bool(self._of(kind, namespace)) and len(shown) < self._max_objects

    def drop(self, kind: Kind[Any], namespace: str, key: Key) -> None:
        """An object is gone."""
        self._of(kind, namespace).discard(hash(key))

    def keep_only(self, kind: Kind[Any], namespace: str, keys: Collection[Key]) -> None:
        """These objects exist and no others."""
        if left_out := self._of(kind, namespace):
            left_out.intersection_update(hash(key) for key in keys)

    def _of(self, kind: Kind[Any], namespace: str) -> set[int]:
        return self._left_out[kind.kind, kind.place, namespace]

    def counts(self) -> Counter[str]:
        """Kind → objects left out."""
        found = Counter[str]()
        for (kind, _, _), left_out in self._left_out.items():
            found[kind] += len(left_out)
        return found

    def entity(self, kind: str) -> Entity:
        """The entity for those left out. It does not depend on their number."""
        return Entity(
            ref=Ref(self._cluster, kind, NAME),
            source=SOURCE,
            reason="MaxObjects",
            attributes={any_entity.OVERFLOW: True},
        )

    def pulses(self, at: datetime, interval_s: float) -> list[ResourcePulse]:
        """How many they are now."""
        return [
            ResourcePulse(
                ref=self.entity(kind).ref,
                source=SOURCE,
                timestamp=at,
                interval_s=interval_s,
                custom={resource.ENTITIES_LEFT_OUT: float(count)},
            )
            for kind, count in self.counts().items()
            if count
        ]
