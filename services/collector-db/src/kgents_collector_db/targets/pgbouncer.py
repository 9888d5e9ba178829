"""A PgBouncer to poll: settings → source/pgbouncer."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from kgents_collector_db.targets.postgres import Port
from kgents_collector_db.targets.target import TlsTarget, unusable_host
from kgents_shared.bus.config import Secret
from kgents_shared.contract.address import join
from kgents_shared.contract.section import Fault


class PgbouncerTarget(TlsTarget, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One PgBouncer, through its admin console (the virtual database `pgbouncer`)."""

    host: str = "127.0.0.1"
    """A name, an address, or the directory of a unix socket."""

    port: Port = 6432

    user: str = "kgents"
    """A user named in `stats_users` of pgbouncer.ini."""

    password: Secret | None = None
    """Its password; a file is read again for every connection. null: no password."""

    timeout_s: Annotated[float, Meta(gt=0, le=30)] = 5.0
    """Seconds to wait for one answer."""

    def faults(self) -> Iterator[Fault]:
        yield from unusable_host(self.host)
        yield from super().faults()

    @property
    def address(self) -> str:
        if self.host.startswith("/"):
            return f"{self.host.rstrip('/')}/.s.PGSQL.{self.port}"
        return join(self.host, self.port)
