"""What the objects of a RedisCluster are called, and where it is reached. Pure."""

from typing import ClassVar

from kgents_operator.desired.names import Names
from kgents_operator.resources.redis import PORT


class RedisNames(Names, frozen=True):
    """Logins beside `credentials` and `monitor`: replica, backup."""

    port: ClassVar[int] = PORT
    of_secrets: ClassVar[str] = "redis-"

    @property
    def replicas(self) -> str:
        """The StatefulSet of the replicas, and the Service that reads from them."""
        return f"{self.name}-replicas"

    @property
    def replicas_endpoint(self) -> str:
        return f"{self.host_of(self.replicas)}:{PORT}"

    def replica_claim(self, ordinal: int) -> str:
        """The PersistentVolumeClaim of a replica."""
        return f"data-{self.replicas}-{ordinal}"
