"""What a write does to an object: identity, versions, generations, finalizers, and what is refused."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

from support.kube_api.resources import NAMESPACES, PODS, Resource
from support.kube_api.status import (
    ApiError,
    Json,
    already_exists,
    bad_request,
    conflict,
    details_of,
    invalid,
    not_found,
)
from support.kube_api.store import Record, Store

Part = Literal["main", "status", "all"]
"""What an update may change: all but the status, only the status, or both (which only a test can)."""

INITIAL_STATUS: dict[str, Json] = {
    "namespaces": {"phase": "Active"},
    "pods": {"phase": "Pending", "qosClass": "BestEffort"},
    "services": {"loadBalancer": {}},
    "persistentvolumes": {"phase": "Pending"},
    "persistentvolumeclaims": {"phase": "Pending"},
    "ingresses.networking.k8s.io": {"loadBalancer": {}},
    "horizontalpodautoscalers.autoscaling": {"currentMetrics": None, "desiredReplicas": 0},
}
"""What a server writes instead of the status that a client tried to create."""

SERVER_SIDE = ("uid", "creationTimestamp", "name", "namespace", "deletionTimestamp", "deletionGracePeriodSeconds")
GRACE_S = 30


def timestamp(later_s: float = 0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=later_s)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Writer:
    """The only one that changes the store."""

    def __init__(self, store: Store, resources: Callable[[], list[Resource]]) -> None:
        self._store = store
        self._resources = resources
        self._used_uids: set[str | None] = {None}

    def create(self, resource: Resource, content: Json, *, keeps_status: bool) -> Record:
        """Store a new object.

        Raises:
            ApiError: 400, 403, 404, 409 or 422, as for a client.
        """
        metadata = _without_empty(content.get("metadata") or {})
        content = content | {"metadata": metadata}
        if not metadata.get("name") and metadata.get("generateName"):
            if metadata["generateName"].endswith("."):
                why = f'Invalid value: "{metadata["generateName"]}": a lowercase RFC 1123 subdomain must consist of …'
                raise invalid(resource.kind, "", "metadata.generateName", why, group=resource.group)
            metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
        if not metadata.get("name"):
            why = "Required value: name or generateName is required"
            raise invalid(resource.kind, "", "metadata.name", why, group=resource.group)
        if metadata.get("resourceVersion") and not keeps_status:
            raise bad_request("resourceVersion should not be set on objects to be created")
        self._check_namespace(resource, metadata)
        if self._store.get(resource, metadata.get("namespace", ""), metadata["name"]):
            raise already_exists(resource.group, resource.plural, metadata["name"])
        if not keeps_status or metadata.get("uid") in self._used_uids:
            metadata["uid"] = str(uuid.uuid4())
        self._used_uids.add(metadata["uid"])
        if not keeps_status or metadata.get("creationTimestamp") is None:
            metadata["creationTimestamp"] = timestamp()
        if resource.has_generation and not (keeps_status and "generation" in metadata):
            metadata["generation"] = 1
        if resource.has_status and not (keeps_status and "status" in content):
            content["status"] = INITIAL_STATUS.get(resource.name, {})
        return self._store.put(resource, content)

    def update(self, resource: Resource, namespace: str, name: str, edit: Callable[[Json], Json], part: Part) -> Record:
        """Apply an edit to the stored content; what changes nothing makes no new version.

        Raises:
            ApiError: 404, or 409 when the edit rests on another version or on another object of that name.
        """
        record = self.get(resource, namespace, name)
        old = record.decode()
        new = {key: value for key, value in edit(record.decode()).items() if key not in ("kind", "apiVersion")}
        self._check_preconditions(resource, record, new.get("metadata", {}))
        new = _restricted(resource, old, new, part)
        if new == old:
            return record
        if resource.has_generation and _intent(new) != _intent(old):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        was_held = old["metadata"].get("deletionTimestamp") and old["metadata"].get("finalizers")
        if was_held and not new["metadata"].get("finalizers"):
            return self._store.remove(resource, record)
        return self._store.put(resource, new)

    def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        grace_s: int | None = None,
        preconditions: Json | None = None,
    ) -> tuple[Record, bool]:
        """Delete as a client asks for it; says whether the object is gone or only marked.

        A pod on a node waits for its kubelet, an object with finalizers for who set them.
        """
        record = self.get(resource, namespace, name)
        self._check_preconditions(resource, record, preconditions or {})
        content = record.decode()
        if content["metadata"].get("finalizers"):
            return self.mark_deleted(resource, record, 0), False
        if resource is PODS and content.get("spec", {}).get("nodeName") and grace_s != 0:
            found = content["spec"].get("terminationGracePeriodSeconds", GRACE_S) if grace_s is None else grace_s
            return self.mark_deleted(resource, record, found), False
        return self.remove(resource, record), True

    def mark_deleted(self, resource: Resource, record: Record, grace_s: int) -> Record:
        """Set `deletionTimestamp`, once."""
        content = record.decode()
        metadata = content["metadata"]
        if metadata.get("deletionTimestamp"):
            return record
        metadata |= {"deletionTimestamp": timestamp(grace_s), "deletionGracePeriodSeconds": grace_s}
        if "generation" in metadata:
            metadata["generation"] += 1
        if resource is NAMESPACES:
            content["status"] = {"phase": "Terminating"}
        return self._store.put(resource, content)

    def remove(self, resource: Resource, record: Record) -> Record:
        """Delete at once; a namespace is marked, emptied and then removed."""
        if resource is NAMESPACES:
            record = self.mark_deleted(resource, record, 0)
            for other in self._resources():
                for content in list(self._store.collection(other).records.values()):
                    if content.namespace == record.name and self._store.get(other, content.namespace, content.name):
                        self._store.remove(other, content)
        return self._store.remove(resource, record)

    def get(self, resource: Resource, namespace: str, name: str) -> Record:
        """The current version.

        Raises:
            ApiError: 404.
        """
        record = self._store.get(resource, namespace, name)
        if record is None:
            raise not_found(resource.group, resource.plural, name)
        return record

    def _check_namespace(self, resource: Resource, metadata: Json) -> None:
        if not resource.is_namespaced:
            metadata.pop("namespace", None)
            return
        namespace = metadata.setdefault("namespace", "default")
        found = self._store.get(NAMESPACES, "", namespace)
        if found is None:
            raise not_found("", "namespaces", namespace)
        if found.fields["status.phase"] == "Terminating":
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            details = details_of(resource.group, resource.plural, metadata["name"])
            details["causes"] = [{"reason": "NamespaceTerminating", "field": "metadata.namespace", "message": why}]
            message = f'{resource.name} "{metadata["name"]}" is forbidden: {why}'
            raise ApiError(403, "Forbidden", message, details=details)

    def _check_preconditions(self, resource: Resource, record: Record, required: Json) -> None:
        uid, revision = required.get("uid"), required.get("resourceVersion")
        if uid and uid != record.uid:
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {record.uid}"
            raise conflict(resource.group, resource.plural, record.name, why)
        if revision and revision != str(record.revision):
            why = "the object has been modified; please apply your changes to the latest version and try again"
            raise conflict(resource.group, resource.plural, record.name, why)


def merged(target: Json, patch: Json) -> Json:
    """A JSON merge patch: null removes, objects merge, all else replaces."""
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            old = result.get(key)
            result[key] = merged(old if isinstance(old, dict) else {}, value)
        else:
            result[key] = value
    return result


def _restricted(resource: Resource, old: Json, new: Json, part: Part) -> Json:
    """The new content without what this kind of update must not touch."""
    if part == "status":
        owners = {key: new["metadata"][key] for key in ("managedFields",) if key in new.get("metadata", {})}
        return old | {"metadata": old["metadata"] | owners, "status": new.get("status", {})}
    kept = {
        key: old["metadata"][key] for key in (*SERVER_SIDE, "generation", "resourceVersion") if key in old["metadata"]
    }
    given = {key: value for key, value in new.get("metadata", {}).items() if key not in SERVER_SIDE}
    new["metadata"] = _without_empty(given) | kept
    if part == "main" and resource.has_status:
        new.pop("status", None)
        new |= {"status": old["status"]} if "status" in old else {}
    return new


def _without_empty(metadata: Json) -> Json:
    """Empty labels, annotations and finalizers are not stored."""
    return {key: value for key, value in metadata.items() if value not in (None, "", {}, [])}


def _intent(content: Json) -> Json:
    return {key: value for key, value in content.items() if key not in ("metadata", "status")}
