"""The resources that the operator reads and writes, and with which verbs: also what its role is made of. Pure."""

from typing import Any, Final

from msgspec import Struct

from kgents_operator.desired import cnpg
from kgents_operator.resources.definitions import DISRUPTION, GROUP, POSTGRES, QDRANT, REDIS, VERSION

Json = dict[str, Any]

WATCHED: Final = ("list", "watch")
READ: Final = ("get", *WATCHED)
APPLIED: Final = (*READ, "create", "patch")
"""Server-side apply of an object that is absent needs `create` as well."""
REMOVED: Final = (*APPLIED, "delete")
"""What may be switched off again, and holds no data."""


class Api(Struct, frozen=True):
    """One resource of the API."""

    kind: str
    group: str
    version: str
    resource: str
    verbs: tuple[str, ...]
    is_optional: bool = False

    @property
    def type(self) -> type[Json]:
        """Objects are kept whole: they are compared with what was applied."""
        return dict

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """Where its objects are, or one of them."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"
        parts = [root, "namespaces", namespace, self.resource, name, subresource]
        return "/".join(each for each in parts if each)


POSTGRES_API: Final = Api(POSTGRES.kind, GROUP, VERSION, POSTGRES.plural, WATCHED)
REDIS_API: Final = Api(REDIS.kind, GROUP, VERSION, REDIS.plural, WATCHED, is_optional=True)
QDRANT_API: Final = Api(QDRANT.kind, GROUP, VERSION, QDRANT.plural, WATCHED, is_optional=True)
"""Optional: where only the older definitions are installed, their resources are served."""
RESOURCES: Final = (POSTGRES_API, REDIS_API, QDRANT_API)
DISRUPTION_API: Final = Api(DISRUPTION.kind, GROUP, VERSION, DISRUPTION.plural, WATCHED, is_optional=True)
CHILDREN: Final = (
    Api("StatefulSet", "apps", "v1", "statefulsets", APPLIED),
    Api("Deployment", "apps", "v1", "deployments", REMOVED),
    Api("Service", "", "v1", "services", REMOVED),
    Api("ConfigMap", "", "v1", "configmaps", APPLIED),
    Api("NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies", REMOVED),
    Api("PodDisruptionBudget", "policy", "v1", "poddisruptionbudgets", REMOVED),
    Api("CronJob", "batch", "v1", "cronjobs", REMOVED),
    Api("PersistentVolumeClaim", "", "v1", "persistentvolumeclaims", (*READ, "patch")),  # patched to grow
    Api("Cluster", cnpg.GROUP, "v1", "clusters", APPLIED, is_optional=True),
    Api("Pooler", cnpg.GROUP, "v1", "poolers", REMOVED, is_optional=True),
)
"""What is watched beside the custom resources."""
BY_KIND: Final = {each.kind: each for each in CHILDREN}
SECRETS: Final = Api("Secret", "", "v1", "secrets", ("create",))
"""`patch` and `get` would read them; a creation that meets one that is there only learns that."""
PODS: Final = Api("Pod", "", "v1", "pods", ("list", "delete"))
"""For disruptions alone."""
JOBS: Final = Api("Job", "batch", "v1", "jobs", ("create",))
"""As above: what ends a cut where no operator runs."""
EVENTS: Final = Api("Event", "events.k8s.io", "v1", "events", ("create",))
LEASES: Final = Api("Lease", "coordination.k8s.io", "v1", "leases", ("get", "create", "update"))
JOURNAL: Final = Api("ConfigMap", "", "v1", "configmaps", ("get", "create", "patch"))
"""Where records wait for NATS, in the namespace of the Lease."""
