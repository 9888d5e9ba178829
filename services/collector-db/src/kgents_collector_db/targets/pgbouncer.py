"""A PgBouncer to look at: settings → source/pgbouncer."""

from typing import Annotated

from msgspec import Meta

from kgents_collector_db.targets.postgres import Port, TlsMode
from kgents_collector_db.targets.target import Target
from kgents_shared.bus.config import Secret
from kgents_shared.contract.address import join


class PgbouncerTarget(Target, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One PgBouncer, through its admin console (the virtual database `pgbouncer`)."""

    host: str = "127.0.0.1"
    """A name, an address, or the directory of a unix socket."""

    port: Port = 6432

    user: str = "kgents"
    """A user named in `stats_users` of pgbouncer.ini."""

    password: Secret | None = None
    """Its password; from a file it is read again for every connection. null: none is asked for."""

    tls: TlsMode = "prefer"
    """As libpq's `sslmode`."""

    tls_ca_file: str | None = None
    """PEM file of the authorities for `verify-full`. null: those of the operating system."""

    timeout_s: Annotated[float, Meta(gt=0, le=30)] = 5.0
    """Seconds to wait for one answer."""

    @property
    def address(self) -> str:
        if self.host.startswith("/"):
            return f"{self.host.rstrip('/')}/.s.PGSQL.{self.port}"
        return join(self.host, self.port)
