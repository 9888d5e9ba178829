"""What the API server has of our resources and their children: reflectors → objects by place → whose turn it is."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from kgents_operator.desired.outcome import Place
from kgents_operator.desired.owner import MANAGER, Owner
from kgents_operator.kinds import Api
from kgents_operator.live import MANAGED_BY, Live, live
from kgents_shared.kubernetes.sink import Key

Json = dict[str, Any]

Touched = Callable[[Key], None]
"""Called with the resource that a change is about."""
OURS: Final = f"{MANAGED_BY}={MANAGER}"
"""What selects the children."""


class Objects:
    """The objects of one resource of the API."""

    def __init__(self, api: Api, touched: Touched, label: str) -> None:
        """`label`: by which an object names its resource."""
        self.api = api
        self.found: dict[Key, Live] = {}
        self._of_resource: defaultdict[Key, dict[Key, Live]] = defaultdict(dict)
        self._touched = touched
        self._label = label

    def of(self, namespace: str) -> "Part":
        """Those of one namespace, or all."""
        return Part(self, namespace)

    def known(self) -> list[Key]:
        """Their namespaces and names."""
        return list(self.found)

    def put(self, key: Key, found: Json) -> Live:
        """Take over an object, unless it is older than what is known: an answer to a write may be before its watch."""
        new, old = self._live(found), self.found.get(key)
        if old is not None and old.uid == new.uid and _version(new) < _version(old):
            return old
        return self._take(key, new)

    def take(self, key: Key, found: Json) -> Live:
        """Take over an object, whatever is known."""
        return self._take(key, self._live(found))

    def _live(self, found: Json) -> Live:
        return live(found | {"kind": self.api.kind, "apiVersion": self.api.api_version})

    def of_resource(self, resource: Key) -> Mapping[Key, Live]:
        """Those that name a resource as theirs."""
        return self._of_resource.get(resource, {})

    def _take(self, key: Key, new: Live) -> Live:
        if key in self.found:
            self._leave(key)
        self.found[key] = new
        resource = self._resource_of(key, new)
        self._of_resource[resource][key] = new
        self._touched(resource)
        return new

    def forget(self, key: Key) -> None:
        """It is gone."""
        resource = self._leave(key)
        del self.found[key]
        self._touched(resource)

    def _leave(self, key: Key) -> Key:
        resource = self._resource_of(key, self.found[key])
        left = self._of_resource[resource]
        left.pop(key)
        if not left:
            del self._of_resource[resource]
        return resource

    def _resource_of(self, key: Key, found: Live) -> Key:
        """A resource is its own."""
        return key[0], (found.content["metadata"].get("labels") or {}).get(self._label, key[1])


class Part:
    """The sink of one reflector."""

    def __init__(self, objects: Objects, namespace: str) -> None:
        self._objects = objects
        self._namespace = namespace
        self._older: dict[Key, Json] = {}  # what was shown last, of that which is known in a newer version

    def known(self) -> list[Key]:
        return [each for each in self._objects.known() if self._namespace in ("", each[0])]

    def put(self, key: Key, found: Json) -> None:
        version = found["metadata"].get("resourceVersion", "")
        if self._objects.put(key, found).version != version:
            self._older[key] = found
        else:
            self._older.pop(key, None)

    def drop(self, key: Key, uid: str) -> None:
        self._older.pop(key, None)
        old = self._objects.found.get(key)
        if old is not None and old.uid == uid:
            self._objects.forget(key)

    async def complete(self, keys: Collection[Key]) -> None:
        for key in self.known():
            if key not in keys:
                self._objects.forget(key)
        # A list is all that there is: one that shows older versions is of a store that was restored from a copy.
        for key, found in self._older.items():
            if key in keys:
                self._objects.take(key, found)
        self._older.clear()

    def wants_more(self) -> bool:
        return False


def children(stores: Collection[Objects], owner: Owner) -> dict[Place, Live]:
    """What carries the labels of one resource."""
    return {
        (store.api.kind, name): each
        for store in stores
        for (_, name), each in store.of_resource((owner.namespace, owner.name)).items()
    }


def _version(found: Live) -> int:
    version = str(found.content["metadata"].get("resourceVersion", ""))
    return int(version) if version.isdecimal() else 0
