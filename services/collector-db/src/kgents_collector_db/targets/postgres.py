"""A PostgreSQL server to poll: settings → source/postgres."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from kgents_collector_db.targets.target import TlsTarget, unusable_host
from kgents_shared.bus.config import Secret
from kgents_shared.contract.address import join
from kgents_shared.contract.section import Fault

Port = Annotated[int, Meta(ge=1, le=65535)]


class PostgresTarget(TlsTarget, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One server: its own address, never that of a pooler."""

    host: str = "127.0.0.1"
    """A name, an address, or the directory of a unix socket (`/var/run/postgresql`)."""

    port: Port = 5432

    user: str = "kgents"
    """A role with `pg_monitor` and nothing else. `CREATE ROLE kgents LOGIN CONNECTION LIMIT 5 IN ROLE pg_monitor`."""

    password: Secret | None = None
    """Its password; a file is read again for every connection. null: no password."""

    database: str = "postgres"
    """Database to log in to. Statement statistics need the extension `pg_stat_statements` in this database."""

    statement_timeout_s: Annotated[float, Meta(ge=1, le=30)] = 5.0
    """Seconds after which the server cancels one of our queries. Under 1 s a busy server would appear broken; over 30 s
    our queries would burden it."""

    slow_query_s: Annotated[float, Meta(gt=0)] = 1.0
    """Seconds after which a running statement counts as slow."""

    log_path: str | None = None
    """The server's log file, or the directory of its log files, to count messages by severity. null: not counted."""

    def faults(self) -> Iterator[Fault]:
        yield from unusable_host(self.host)
        yield from super().faults()

    @property
    def address(self) -> str:
        if self.host.startswith("/"):
            return f"{self.host.rstrip('/')}/.s.PGSQL.{self.port}"
        return join(self.host, self.port)
