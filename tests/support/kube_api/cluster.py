"""The cluster behind the server, as a test drives it: objects, versions, rights, and what is served at all."""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from support.kube_api.access import Access
from support.kube_api.definitions import Definition
from support.kube_api.resources import BUILT_IN, METRICS, Resource
from support.kube_api.status import Json
from support.kube_api.store import Backup, Record, Store
from support.kube_api.watches import Watch
from support.kube_api.writes import Writer, merged

CALLS_MAX = 100_000
USER = "system:serviceaccount:kgents:collector"


@dataclass(frozen=True)
class Call:
    """A request as the server saw it."""

    at_s: float
    """On the event loop's clock."""
    verb: str
    resource: str
    """As `pods` or `deployments.apps`; empty for discovery."""
    namespace: str
    path: str
    query: dict[str, str]
    accept: str


TOKEN = "kube-test-token"


class Cluster:
    """Resources are named as RBAC names them: `pods`, `deployments.apps`, `pods.metrics.k8s.io`.

    Objects are plain JSON dictionaries with `apiVersion` and `kind`. Every write is seen by open watches at once.
    """

    def __init__(self) -> None:
        self.watch_list = True
        """Whether watches may begin with the state (`sendInitialEvents`); servers without the feature answer 422."""
        self.compresses_streamed_lists = True
        """Whether these are compressed for clients that ask: `WatchListCompression`, since Kubernetes 1.37. Plain
        watches never are."""
        self.bookmarks = True
        """Whether bookmarks are sent on time. The mark that ends a WatchList always is."""
        self.bookmark_interval_s = 60.0
        self.gone_in_stream = True
        """Whether a watch from before the compaction learns it from an ERROR line, or from HTTP status 410."""
        self.token = TOKEN
        """What clients must present; another one gets 401."""
        self.calls: deque[Call] = deque(maxlen=CALLS_MAX)
        self.access = Access(USER)
        self.initializing: set[str] = set()
        """Resources whose storage is not ready yet: requests for them get 429, open watches go on."""
        self.watches: set[Watch] = set()
        self._held: dict[str, asyncio.Event] = {}
        self.store = Store()
        self.definitions: dict[str, Definition] = {}
        self.expands_volumes = True
        """Whether the StorageClass of claims lets them grow."""
        self.metrics: dict[str, list[Json]] = {}
        self._served = {resource.name: resource for resource in (*BUILT_IN, *METRICS)}
        self._writer = Writer(self.store, lambda: self.served)
        for name in ("default", "kube-node-lease", "kube-public", "kube-system"):
            self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    @property
    def writer(self) -> Writer:
        return self._writer

    @property
    def served(self) -> list[Resource]:
        return list(self._served.values())

    # Objects

    def create(self, content: Json) -> Json:
        """Store an object with the status that it has, and with its uid unless that was used; returns it as stored."""
        resource = self._resource_of(content)
        return whole(resource, self._writer.create(resource, content, keeps_status=True))

    def replace(self, content: Json) -> Json:
        """Put a new spec, status, labels and so on into an object, whatever version the content was read at."""
        resource = self._resource_of(content)
        metadata = {key: value for key, value in content["metadata"].items() if key not in ("resourceVersion", "uid")}
        edited = content | {"metadata": metadata}
        namespace = self._namespace(resource, metadata)
        return whole(resource, self._writer.update(resource, namespace, metadata["name"], lambda _: edited, "all"))

    def patch(self, resource: str, namespace: str, name: str, patch: Json) -> Json:
        """Merge into an object: null removes a field, an object merges, all else replaces."""
        found = self.resource(resource)
        return whole(found, self._writer.update(found, namespace, name, lambda old: merged(old, patch), "all"))

    def patch_status(self, resource: str, namespace: str, name: str, status: Json) -> Json:
        """Merge into an object's status."""
        return self.patch(resource, namespace, name, {"status": status})

    def delete(self, resource: str, namespace: str, name: str) -> None:
        """Remove an object at once, whatever finalizers it has; a namespace takes its objects with it."""
        found = self.resource(resource)
        self._writer.remove(found, self._writer.get(found, namespace, name))

    def mark_deleted(self, resource: str, namespace: str, name: str, grace_s: int = 30) -> Json:
        """Set the deletionTimestamp: the object is terminating, and stays until `delete`."""
        found = self.resource(resource)
        return whole(found, self._writer.mark_deleted(found, self._writer.get(found, namespace, name), grace_s))

    def get(self, resource: str, namespace: str, name: str) -> Json:
        found = self.resource(resource)
        return whole(found, self._writer.get(found, namespace, name))

    def objects(self, resource: str, namespace: str = "") -> list[Json]:
        """All objects of a resource, or those in a namespace, in the order of a list."""
        found = self.resource(resource)
        records = self.store.collection(found).at(found, self.store.revision)
        return [whole(found, record) for record in records if namespace in ("", record.namespace)]

    # Versions and watches

    def compact(self, *resources: str) -> None:
        """Make every version handed out so far too old to watch from, to page on from, or to read again.

        Open watches go on.
        """
        for name in resources or tuple(self._served):
            self.store.compact(self._served[name])

    def bookmark(self, *resources: str) -> None:
        """Send a bookmark now on every open watch that allows them."""
        for watch in self.watches:
            if not resources or watch.resource.name in resources:
                watch.ask_bookmark()

    def backup(self) -> Backup:
        """All objects and their revision, as `etcdctl snapshot save` keeps them."""
        return self.store.backup()

    def restore(self, backup: Backup) -> None:
        """Go back to a backup: the server is started again, so that every watch ends and no history is left."""
        self.store.restore(backup)
        for watch in self.watches:
            watch.follower.close()

    # What is served, and to whom

    def register(self, *resources: Resource) -> None:
        """Serve resources, as after a CustomResourceDefinition was created."""
        self._served |= {resource.name: resource for resource in resources}

    def define(self, document: Json) -> None:
        """Serve what a CustomResourceDefinition defines, and hold its objects to its schema."""
        (version,), names = document["spec"]["versions"], document["spec"]["names"]
        resource = Resource(
            document["spec"]["group"], version["name"], names["plural"], names["kind"],
            short_names=tuple(names.get("shortNames", ())), has_status=True, has_generation=True, is_custom=True,
        )  # fmt: skip
        self.register(resource)
        self.definitions[resource.name] = Definition(document)

    def unserve(self, *resources: str) -> None:
        """Know resources no more: 404, absent from discovery, and their watches end."""
        for name in resources:
            removed = self._served.pop(name)
            for watch in self.watches:
                if watch.resource == removed:
                    watch.follower.close()

    def lookup(self, group: str, version: str, plural: str) -> Resource | None:
        found = self._served.get(f"{plural}.{group}" if group else plural)
        return found if found and found.version == version else None

    def resource(self, name: str) -> Resource:
        return self._served[name]

    def hold(self, *resources: str) -> None:
        """Let every new request for these wait until `release`: a list on its way over a slow link."""
        for name in resources:
            self._held.setdefault(name, asyncio.Event())

    def release(self, *resources: str) -> None:
        """Undo `hold`."""
        for name in resources:
            self._held.pop(name).set()

    async def until_released(self, resource: str) -> None:
        if resource in self._held:
            await self._held[resource].wait()

    def forbid(self, resource: str, verbs: Iterable[str] = ("get", "list", "watch")) -> None:
        """Answer 403 to these verbs, whatever the roles say. Open watches go on, as on a real server."""
        group, plural = _split(resource)
        self.access.forbidden |= {(group, plural, verb) for verb in verbs}

    def permit(self, resource: str) -> None:
        """Undo `forbid`."""
        self.access.forbidden = {entry for entry in self.access.forbidden if entry[:2] != _split(resource)}

    def authorize(self, role: Json, *namespaces: str) -> None:
        """Bind a ClusterRole or Role to the client, everywhere or in namespaces: whatever no role allows gets 403."""
        self.access.grant(role, namespaces)

    def set_metrics(self, resource: str, items: list[Json]) -> None:
        """What metrics-server says of `pods` or `nodes`."""
        self.metrics[f"{resource}.metrics.k8s.io"] = items

    def _resource_of(self, content: Json) -> Resource:
        for resource in self._served.values():
            if (resource.api_version, resource.kind) == (content["apiVersion"], content["kind"]):
                return resource
        raise KeyError(f"{content['apiVersion']} {content['kind']} is not served; register it first")

    @staticmethod
    def _namespace(resource: Resource, metadata: Json) -> str:
        return str(metadata.get("namespace", "default")) if resource.is_namespaced else ""


def whole(resource: Resource, record: Record) -> Json:
    """An object with its kind and version, as a GET answers it."""
    return {"apiVersion": resource.api_version, "kind": resource.kind} | record.decode()


def _split(resource: str) -> tuple[str, str]:
    plural, _, group = resource.partition(".")
    return group, plural
