"""Whose objects these are: labels, and the reference by which they go with their resource. Pure."""

import hashlib
from typing import Any, Final

import msgspec
from msgspec import Struct

Json = dict[str, Any]

MANAGER: Final = "kgents-operator"
"""Our field manager, and who manages an object, by its label."""
CLUSTER_LABEL: Final = "kgents.io/postgrescluster"
DESIRED: Final = "kgents.io/desired"
"""The annotation with the digest of what was applied."""
RESTART: Final = "kgents.io/rotate-credentials"
"""An annotation of the resource: another value starts its pods again, with the Secrets as they are then."""
CLIENT: Final = "uses-postgres"
"""The label of pods that may connect to the databases of their namespace, as in deploy/databases."""
MARK: Final = "kgents.io/database"
"""The label by which collector-db finds a database."""


class Owner(Struct, frozen=True):
    """The resource that the objects belong to."""

    name: str
    namespace: str
    uid: str
    api_version: str
    kind: str

    def labels(self, component: str) -> dict[str, str]:
        """Of an object, and of its pods."""
        return {
            "app.kubernetes.io/name": "postgres" if component == "database" else component,
            "app.kubernetes.io/instance": self.name,
            "app.kubernetes.io/component": component,
            "app.kubernetes.io/managed-by": MANAGER,
            CLUSTER_LABEL: self.name,
        }

    def selector(self, component: str) -> dict[str, str]:
        """What finds the pods of a component."""
        return {CLUSTER_LABEL: self.name, "app.kubernetes.io/component": component}

    def retained(self, api_version: str, kind: str, name: str, component: str) -> Json:
        """An object that outlives the resource, without what it holds."""
        metadata = {"name": name, "namespace": self.namespace, "labels": self.labels(component)}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata}

    def owned(self, api_version: str, kind: str, name: str, component: str) -> Json:
        """An object that goes with the resource, without what it holds."""
        found = self.retained(api_version, kind, name, component)
        found["metadata"]["ownerReferences"] = [
            {
                "apiVersion": self.api_version, "kind": self.kind, "name": self.name, "uid": self.uid,
                "controller": True, "blockOwnerDeletion": False,
            }
        ]  # fmt: skip
        return found


def digest(content: Any) -> str:
    """A short name of a content, the same for equal ones."""
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:16]


def stamped(document: Json) -> Json:
    """With the digest of itself, by which a later reader knows what was applied."""
    metadata = document["metadata"]
    annotations = metadata.get("annotations", {}) | {DESIRED: digest(document)}
    return document | {"metadata": metadata | {"annotations": annotations}}
