"""What the objects of a PostgresCluster are called, and where it is reached. Pure."""

from msgspec import Struct

from kgents_operator.resources.postgres import POOLER_PORT, PORT


class Names(Struct, frozen=True):
    """Of one resource."""

    name: str
    namespace: str
    is_cnpg: bool = False
    """Whether CloudNativePG runs the server, and names its Service and Secrets."""

    @property
    def config(self) -> str:
        return f"{self.name}-config"

    @property
    def pooler(self) -> str:
        return f"{self.name}-pooler"

    @property
    def backup(self) -> str:
        return f"{self.name}-backup"

    @property
    def archive(self) -> str:
        """The folder of the backups' volume with every change."""
        return f"{self.name}-wal"

    @property
    def server(self) -> str:
        """The Service of the server that takes writes."""
        return f"{self.name}-rw" if self.is_cnpg else self.name

    @property
    def claim(self) -> str:
        """The PersistentVolumeClaim of the one server."""
        return f"data-{self.name}-0"

    @property
    def host(self) -> str:
        return f"{self.server}.{self.namespace}.svc"

    @property
    def pooler_host(self) -> str:
        return f"{self.pooler}.{self.namespace}.svc"

    @property
    def endpoint(self) -> str:
        return f"{self.host}:{PORT}"

    @property
    def pooler_endpoint(self) -> str:
        return f"{self.pooler_host}:{POOLER_PORT}"

    def secret(self, login: str) -> str:
        """The Secret of a login: credentials, monitor, replicator, pooler, or of the certificate: tls."""
        return f"{self.name}-{login}"
