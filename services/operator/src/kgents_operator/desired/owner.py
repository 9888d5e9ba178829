"""Whose objects these are: labels, and the reference by which they go with their resource. Pure."""

import hashlib
from typing import Any, Final

import msgspec
from msgspec import Struct

Json = dict[str, Any]

MANAGER: Final = "kgents-operator"
"""Our field manager, and who manages an object, by its label."""
DESIRED: Final = "kgents.io/desired"
"""The annotation with the digest of what was applied."""
RESTART: Final = "kgents.io/rotate-credentials"
"""An annotation of the resource: another value starts its pods again, with the Secrets as they are then."""
MARK: Final = "kgents.io/database"
"""The label by which collector-db finds a database."""
COMPONENT: Final = "app.kubernetes.io/component"
DATABASE: Final = "database"
"""The component that takes writes."""
REPLICAS: Final = "replicas"
"""The component that follows it."""
SERVERS: Final = (DATABASE, REPLICAS)
IDENTITY: Final = "kgents.io/identity"
"""The annotation of a volume with what is on it: a volume of anything else is never started on."""


class Owner(Struct, frozen=True):
    """The resource that the objects belong to."""

    name: str
    namespace: str
    uid: str
    api_version: str
    kind: str

    @property
    def label(self) -> str:
        """The label of its objects, with its name as value."""
        return cluster_label(self.kind)

    def marks(self, component: str) -> dict[str, str]:
        """By which an object is ours, with an owner or without."""
        program = self.kind.removesuffix("Cluster").lower()
        return {
            "app.kubernetes.io/name": program if component in SERVERS else component,
            COMPONENT: component,
            "app.kubernetes.io/managed-by": MANAGER,
            self.label: self.name,
        }

    def labels(self, component: str) -> dict[str, str]:
        """Of an object that has an owner, and of its pods."""
        return self.marks(component) | {"app.kubernetes.io/instance": self.name}

    def selector(self, component: str) -> dict[str, str]:
        """What finds the pods of a component."""
        return {self.label: self.name, COMPONENT: component}

    def retained(self, api_version: str, kind: str, name: str, component: str) -> Json:
        """An object that outlives the resource, without what it holds.

        Argo CD takes what has an instance label and no owner for its own, and deletes it where no manifest has it.
        """
        metadata = {"name": name, "namespace": self.namespace, "labels": self.marks(component)}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata}

    def owned(self, api_version: str, kind: str, name: str, component: str) -> Json:
        """An object that goes with the resource, without what it holds."""
        found = self.retained(api_version, kind, name, component)
        found["metadata"]["labels"] = self.labels(component)
        found["metadata"]["ownerReferences"] = [
            {
                "apiVersion": self.api_version, "kind": self.kind, "name": self.name, "uid": self.uid,
                "controller": True, "blockOwnerDeletion": False,
            }
        ]  # fmt: skip
        return found


def cluster_label(kind: str) -> str:
    """The label of the objects of a kind of resource."""
    return f"kgents.io/{kind.lower()}"


def digest(content: Any) -> str:
    """A short name of a content, the same for equal ones."""
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:16]


def stamped(document: Json) -> Json:
    """With the digest of itself, by which a later reader knows what was applied."""
    metadata = document["metadata"]
    annotations = metadata.get("annotations", {}) | {DESIRED: digest(document)}
    return document | {"metadata": metadata | {"annotations": annotations}}
