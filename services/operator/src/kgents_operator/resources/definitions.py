"""The CustomResourceDefinitions, made of the Structs that the operator reads. Pure.

`python -m kgents_operator.resources.write FOLDER` writes them; `make fix` does so.
"""

from typing import Any, Final

from msgspec import Struct

from kgents_operator.resources import disruption, postgres, qdrant, redis
from kgents_operator.resources.part import RULES, Part
from kgents_operator.resources.schema import schema_of

Json = dict[str, Any]

GROUP: Final = "kgents.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"


class Definition(Struct, frozen=True):
    """One kind of custom resource."""

    kind: str
    plural: str
    short_names: tuple[str, ...]
    meaning: str
    spec: type[Part]
    status: type[Part]
    columns: tuple[tuple[str, str, str], ...]
    """Title, type and path of what `kubectl get` prints."""

    @property
    def name(self) -> str:
        return f"{self.plural}.{GROUP}"

    def document(self) -> Json:
        """As it is applied to a cluster."""
        columns = [{"name": name, "type": type_, "jsonPath": path} for name, type_, path in self.columns]
        columns.append({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"})
        names = {
            "kind": self.kind, "listKind": f"{self.kind}List", "plural": self.plural, "singular": self.kind.lower(),
            "shortNames": list(self.short_names), "categories": ["kgents"],
        }  # fmt: skip
        version = {
            "name": VERSION, "served": True, "storage": True, "schema": {"openAPIV3Schema": self.schema()},
            "subresources": {"status": {}}, "additionalPrinterColumns": columns,
        }  # fmt: skip
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            # A chart or an overlay that no longer names it must not delete it: every resource of it would go, too.
            "metadata": {"name": self.name, "annotations": {"helm.sh/resource-policy": "keep"}},
            "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
        }

    def schema(self) -> Json:
        """Of the whole resource."""
        return {
            "type": "object",
            "description": self.meaning,
            "required": ["spec"],
            "x-kubernetes-validations": [each.document() for each in RULES],
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"type": "object"},
                "spec": schema_of(self.spec),
                "status": schema_of(self.status),
            },
        }


POSTGRES: Final = Definition(
    kind="PostgresCluster",
    plural="postgresclusters",
    short_names=("pg", "kpg"),
    meaning="A PostgreSQL server with one database, a pooler, backups, and a login for those who observe it.",
    spec=postgres.Spec,
    status=postgres.Status,
    columns=(
        ("Phase", "string", ".status.phase"),
        ("Ready", "boolean", ".status.ready"),
        ("Endpoint", "string", ".status.endpoint"),
        ("Active", "integer", ".status.connections.active"),
        ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason'),
    ),
)
REDIS: Final = Definition(
    kind="RedisCluster",
    plural="redisclusters",
    short_names=("redis", "krd"),
    meaning="A Valkey or Redis server with replicas that follow it, and a login for those who observe it.",
    spec=redis.Spec,
    status=redis.Status,
    columns=(
        ("Phase", "string", ".status.phase"),
        ("Ready", "boolean", ".status.ready"),
        ("Endpoint", "string", ".status.endpoint"),
        ("Memory", "string", ".status.memoryUsage"),
        ("Hit Rate", "string", ".status.hitRate"),
        ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason'),
    ),
)
QDRANT: Final = Definition(
    kind="QdrantCluster",
    plural="qdrantclusters",
    short_names=("qdrant", "kqd"),
    meaning="Peers of Qdrant that agree by raft, their collections, and a key for those who observe them.",
    spec=qdrant.Spec,
    status=qdrant.Status,
    columns=(
        ("Phase", "string", ".status.phase"),
        ("Ready", "boolean", ".status.ready"),
        ("Endpoint", "string", ".status.endpoint"),
        ("Collections", "integer", ".status.collectionCount"),
        ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason'),
    ),
)
DISRUPTION: Final = Definition(
    kind="Disruption",
    plural="disruptions",
    short_names=("kdis",),
    meaning="Something that is taken from one of our databases for a time, to see that it is noticed.",
    spec=disruption.Spec,
    status=disruption.Status,
    columns=(
        ("Target", "string", ".spec.target.name"),
        ("Action", "string", ".spec.action"),
        ("Dry Run", "boolean", ".spec.dryRun"),
        ("Phase", "string", ".status.phase"),
        ("Reason", "string", '.status.conditions[?(@.type=="Accepted")].reason'),
    ),
)
DEFINITIONS: Final = (POSTGRES, REDIS, QDRANT, DISRUPTION)
