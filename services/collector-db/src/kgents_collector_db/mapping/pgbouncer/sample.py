"""The sample of one poll of a PgBouncer: source/pgbouncer → PgbouncerSample → `observe`. Pure."""

from datetime import datetime

from msgspec import Struct

from kgents_collector_db.mapping.facts import Unreachable


class Pooled(Struct, frozen=True):
    """`SHOW POOLS`: one database and user. Clients (`cl_`) wait for servers (`sv_`)."""

    database: str
    user: str
    cl_active: int = 0
    cl_waiting: int = 0
    sv_active: int = 0
    sv_idle: int = 0
    sv_used: int = 0
    sv_tested: int = 0
    sv_login: int = 0
    maxwait: int = 0
    maxwait_us: int = 0
    """Wait of the first client in the queue: whole seconds, and the remaining microseconds."""

    @property
    def wait_s(self) -> float:
        """Seconds that the first client in the queue has waited."""
        return self.maxwait + self.maxwait_us / 1e6

    @property
    def has_server(self) -> bool:
        """Whether it has a connection to its server that is not still logging in."""
        return self.sv_active + self.sv_idle + self.sv_used + self.sv_tested > 0


class Fronted(Struct, frozen=True):
    """`SHOW DATABASES`: one database behind the pooler."""

    name: str
    host: str | None = None
    """None: a unix socket."""
    port: int = 5432
    paused: int = 0
    disabled: int = 0


class Totals(Struct, frozen=True):
    """`SHOW STATS`, summed: counted since the start."""

    total_xact_count: int = 0
    total_query_count: int = 0
    total_query_time: int = 0
    """Microseconds."""
    total_wait_time: int = 0
    """Microseconds that clients waited for a server."""


class PgbouncerSample(Struct, frozen=True, kw_only=True):
    """One poll."""

    at: datetime
    at_s: float
    """Monotonic clock: rates are computed with it."""
    address: str
    unreachable: Unreachable | None = None
    faults: tuple[str, ...] = ()
    version: str = ""
    pools: tuple[Pooled, ...] = ()
    databases: tuple[Fronted, ...] = ()
    totals: Totals = Totals()
    max_clients: int | None = None
    connections: int = 0
    queries: int = 0
    poll_s: float = 0.0
