"""What collector-db measures of PgBouncer."""

from typing import Final

from kgents_shared.contract.vocabulary import kinds
from kgents_shared.contract.vocabulary.figures.figure import CUSTOM, Field

_FIELD: Final = Field("db")

WAIT_MS: Final = _FIELD.section("performance", kinds.POOLER).figure(
    "wait_ms", "ms", "Mean time that a transaction waited for a server connection."
)

_custom = _FIELD.section(CUSTOM, kinds.POOLER).figure
UP: Final = _custom("pgbouncer_up", "{answer}", "Whether it answers.")
CLIENTS: Final = _custom("pgbouncer_clients", "{client}", "Clients that are connected.")
CLIENTS_RATIO: Final = _custom("pgbouncer_clients_ratio", "1", "Clients as a share of `max_client_conn`.")
CLIENTS_WAITING: Final = _custom("pgbouncer_clients_waiting", "{client}", "Clients that wait for a server connection.")
MAXWAIT_SECONDS: Final = _custom("pgbouncer_maxwait_seconds", "s", "How long the first client in the queue has waited.")
EXHAUSTED_WAIT_SECONDS: Final = _custom(
    "pgbouncer_exhausted_wait_seconds", "s", "The same of pools whose server connections are all in use."
)
PAUSED_WAIT_SECONDS: Final = _custom(
    "pgbouncer_paused_wait_seconds", "s", "The same of databases that an operator has paused."
)
POOLS_CUT_OFF: Final = _custom(
    "pgbouncer_pools_cut_off", "{pool}", "Pools whose clients wait and that have no connection to their server."
)
SERVERS_ACTIVE: Final = _custom("pgbouncer_servers_active", "{connection}", "Server connections in use.")
SERVERS_IDLE: Final = _custom("pgbouncer_servers_idle", "{connection}", "Server connections that are free.")
SERVERS_LOGIN: Final = _custom("pgbouncer_servers_login", "{connection}", "Server connections that log in.")
DATABASES_PAUSED: Final = _custom("pgbouncer_databases_paused", "{database}", "Databases that an operator has paused.")
DATABASES_DISABLED: Final = _custom(
    "pgbouncer_databases_disabled", "{database}", "Databases that an operator has disabled."
)

FIGURES: Final = tuple(_FIELD.figures)
