"""What the objects of a RedisCluster are called, and where it is reached. Pure."""

from msgspec import Struct

from kgents_operator.resources.redis import PORT


class RedisNames(Struct, frozen=True):
    """Of one resource."""

    name: str
    namespace: str

    @property
    def config(self) -> str:
        return f"{self.name}-config"

    @property
    def backup(self) -> str:
        return f"{self.name}-backup"

    @property
    def replicas(self) -> str:
        """The StatefulSet of the replicas, and the Service that reads from them."""
        return f"{self.name}-replicas"

    @property
    def nodes(self) -> str:
        """The Service that gives each pod a name of its own."""
        return f"{self.name}-nodes"

    @property
    def claim(self) -> str:
        """The PersistentVolumeClaim of the primary."""
        return f"data-{self.name}-0"

    @property
    def host(self) -> str:
        return f"{self.name}.{self.namespace}.svc"

    @property
    def endpoint(self) -> str:
        return f"{self.host}:{PORT}"

    @property
    def replicas_endpoint(self) -> str:
        return f"{self.replicas}.{self.namespace}.svc:{PORT}"

    def replica_claim(self, ordinal: int) -> str:
        """The PersistentVolumeClaim of a replica."""
        return f"data-{self.replicas}-{ordinal}"

    def node(self, pod: str) -> str:
        """The host of a pod."""
        return f"{pod}.{self.nodes}.{self.namespace}.svc"

    def secret(self, login: str) -> str:
        """The Secret of a login: credentials, monitor, replica, backup, or of the certificate: tls.

        Named by the kind, too: Secrets outlive their resource and are never read, so a PostgresCluster of the same name
        that was there before would leave its own to it.
        """
        return f"{self.name}-redis-{login}"
