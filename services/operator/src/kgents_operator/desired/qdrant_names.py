"""What the objects of a QdrantCluster are called, and where it is reached. Pure."""

from typing import ClassVar

from kgents_operator.desired.names import Names
from kgents_operator.resources.qdrant import PORT


class QdrantNames(Names, frozen=True):
    """Keys: credentials, monitor."""

    port: ClassVar[int] = PORT
    of_secrets: ClassVar[str] = "qdrant-"

    @property
    def collections(self) -> str:
        """The Deployment that makes the collections."""
        return f"{self.name}-collections"

    @property
    def domain(self) -> str:
        """What follows the name of a pod in its host."""
        return self.host_of(self.nodes)

    def peer(self, ordinal: int) -> str:
        """A pod."""
        return f"{self.name}-{ordinal}"
