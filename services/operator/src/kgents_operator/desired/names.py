"""What the objects of a resource are called, and where it is reached: what is so for every kind. Pure."""

from typing import ClassVar

from msgspec import Struct

from kgents_shared.contract import address


class Names(Struct, frozen=True):
    """Of one resource."""

    name: str
    namespace: str

    port: ClassVar[int]
    """Of the server."""
    of_secrets: ClassVar[str] = ""
    """Part of the name of each Secret: Secrets outlive their resource and are never read, so without it a resource of
    another kind that had the same name would leave its own to this one."""

    @property
    def config(self) -> str:
        return f"{self.name}-config"

    @property
    def backup(self) -> str:
        return f"{self.name}-backup"

    @property
    def nodes(self) -> str:
        """The Service that gives each pod a name of its own, where there may be several."""
        return f"{self.name}-nodes"

    @property
    def server(self) -> str:
        """The Service of the server that takes writes."""
        return self.name

    @property
    def host(self) -> str:
        return self.host_of(self.server)

    @property
    def endpoint(self) -> str:
        return address.join(self.host, self.port)

    def host_of(self, service: str) -> str:
        """The host of a Service."""
        return f"{service}.{self.namespace}.svc"

    def node(self, pod: str) -> str:
        """The host of a pod."""
        return f"{pod}.{self.host_of(self.nodes)}"

    def claim(self, ordinal: int = 0) -> str:
        """The PersistentVolumeClaim of a server."""
        return f"data-{self.name}-{ordinal}"

    def secret(self, login: str) -> str:
        """The Secret of a login: credentials, monitor and others of the kind; or of the certificate: tls."""
        return f"{self.name}-{self.of_secrets}{login}"
