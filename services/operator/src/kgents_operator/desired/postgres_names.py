"""What the objects of a PostgresCluster are called, and where it is reached. Pure."""

from typing import ClassVar

from kgents_operator.desired.names import Names
from kgents_operator.resources.postgres import POOLER_PORT, PORT


class PostgresNames(Names, frozen=True):
    """Logins beside `credentials` and `monitor`: replicator, pooler."""

    is_cnpg: bool = False
    """Whether CloudNativePG runs the server, and names its Service and Secrets."""

    port: ClassVar[int] = PORT

    @property
    def pooler(self) -> str:
        return f"{self.name}-pooler"

    @property
    def archive(self) -> str:
        """The folder of the backups' volume with every change."""
        return f"{self.name}-wal"

    @property
    def server(self) -> str:
        """The Service of the server that takes writes."""
        return f"{self.name}-rw" if self.is_cnpg else self.name

    @property
    def pooler_endpoint(self) -> str:
        return f"{self.host_of(self.pooler)}:{POOLER_PORT}"
