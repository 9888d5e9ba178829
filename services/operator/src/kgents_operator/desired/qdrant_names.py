"""What the objects of a QdrantCluster are called, and where it is reached. Pure."""

from msgspec import Struct

from kgents_operator.resources.qdrant import PORT


class QdrantNames(Struct, frozen=True):
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
    def collections(self) -> str:
        """The Deployment that makes the collections."""
        return f"{self.name}-collections"

    @property
    def nodes(self) -> str:
        """The Service that gives each peer a name of its own."""
        return f"{self.name}-nodes"

    @property
    def domain(self) -> str:
        """What follows the name of a pod in its host."""
        return f"{self.nodes}.{self.namespace}.svc"

    @property
    def host(self) -> str:
        return f"{self.name}.{self.namespace}.svc"

    @property
    def endpoint(self) -> str:
        return f"{self.host}:{PORT}"

    def peer(self, ordinal: int) -> str:
        """A pod."""
        return f"{self.name}-{ordinal}"

    def claim(self, ordinal: int) -> str:
        """The PersistentVolumeClaim of a peer."""
        return f"data-{self.peer(ordinal)}"

    def secret(self, login: str) -> str:
        """The Secret of a key: credentials, monitor, or of the certificate: tls. Named as those of a RedisCluster."""
        return f"{self.name}-qdrant-{login}"
