"""A PostgreSQL server to poll: settings → source/postgres."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from kgents_collector_db.targets.target import Target, misplaced_authorities, unusable_host
from kgents_shared.bus.config import Secret
from kgents_shared.bus.files import authorities
from kgents_shared.contract.address import join
from kgents_shared.contract.section import Fault

Port = Annotated[int, Meta(ge=1, le=65535)]
TlsMode = Literal["disable", "prefer", "require", "verify-full"]


class PostgresTarget(Target, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One server: the database's own address, never that of a pooler."""

    host: str = "127.0.0.1"
    """A name, an address, or the directory of a unix socket (`/var/run/postgresql`)."""

    port: Port = 5432

    user: str = "kgents"
    """A role with `pg_monitor` and nothing else. `CREATE ROLE kgents LOGIN CONNECTION LIMIT 5 IN ROLE pg_monitor`."""

    password: Secret | None = None
    """Its password; from a file it is read again for every connection. null: the server asks for none."""

    database: str = "postgres"
    """Where to log in. Statistics of statements are seen if this database has the extension `pg_stat_statements`."""

    tls: TlsMode = "prefer"
    """As libpq's `sslmode`. Only `verify-full` knows whom it talks to."""

    tls_ca_file: str | None = None
    """PEM file of the authorities for `verify-full`. null: those of the operating system."""

    statement_timeout_s: Annotated[float, Meta(ge=1, le=30)] = 5.0
    """After this long the server gives up one of our queries. Less than a second would make a busy server look
    broken; more than thirty would be harm."""

    slow_query_s: Annotated[float, Meta(gt=0)] = 1.0
    """From this age on a running statement counts as slow."""

    log_path: str | None = None
    """The server's log file, or the directory of its log files, to count messages by severity. null: not counted."""

    def faults(self) -> Iterator[Fault]:
        yield from unusable_host(self.host)
        yield from misplaced_authorities(self.tls_ca_file, self.tls)

    def check(self) -> Iterator[Fault]:
        yield from authorities(self.tls_ca_file, "tls_ca_file")

    @property
    def address(self) -> str:
        if self.host.startswith("/"):
            return f"{self.host.rstrip('/')}/.s.PGSQL.{self.port}"
        return join(self.host, self.port)
