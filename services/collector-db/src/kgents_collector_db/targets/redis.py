"""A Redis or Valkey server, or a sentinel, to poll: settings → source/redis."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from kgents_collector_db.targets.postgres import Port
from kgents_collector_db.targets.target import TlsTarget, unusable_host
from kgents_shared.bus.config import Secret
from kgents_shared.contract.address import join
from kgents_shared.contract.section import Fault


class RedisTarget(TlsTarget, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One server process: each node of a replicated or sharded database is a separate target."""

    host: str = "127.0.0.1"
    """A name or an address of this server itself, not of a load balancer."""

    port: Port = 6379

    user: str = ""
    """A user with the rights in the README. Empty: the server's default user."""

    password: Secret | None = None
    """Its password; a file is read again for every connection. null: no password."""

    tls: Literal["disable", "require", "verify-full"] = "disable"
    """As libpq's `sslmode`. Only `verify-full` verifies the server's identity."""

    timeout_s: Annotated[float, Meta(gt=0, le=30)] = 5.0
    """Seconds to wait for all answers of one poll."""

    memory_limit_bytes: Annotated[int, Meta(ge=1)] | None = None
    """Memory that its container or machine grants it. INFO has only `maxmemory` and the memory of the host: without
    this setting and `maxmemory`, no memory utilization is published."""

    def faults(self) -> Iterator[Fault]:
        yield from unusable_host(self.host)
        yield from super().faults()
        if self.user and self.password is None:
            advice = "set both, or none for the default user"
            yield Fault("password", "a password beside user", "none", advice, beside=("user",))

    @property
    def address(self) -> str:
        return join(self.host, self.port)
