"""What collectors state of PostgreSQL and OpenTelemetry has no name for."""

from typing import Final

from kgents_shared.contract.vocabulary.attributes.attribute import Attributes

_OURS: Final = Attributes()
_attribute = _OURS.attribute

AUTOVACUUM: Final = _attribute("kgents.postgresql.autovacuum", "Whether autovacuum is on.")
DATABASES: Final = _attribute("kgents.postgresql.databases", "Names of its databases.")
MAX_CONNECTIONS: Final = _attribute("kgents.postgresql.max_connections", "Connections that it allows.")
MAX_WAL_SIZE_BYTES: Final = _attribute("kgents.postgresql.max_wal_size_bytes", "`max_wal_size`.")
PG_STAT_STATEMENTS: Final = _attribute(
    "kgents.postgresql.pg_stat_statements", "Whether statistics of statements can be read, or why not."
)
REPLICATION_LINK: Final = _attribute(
    "kgents.postgresql.replication.link", "Of a connection to the primary: `up` or `down`."
)
REPLICATION_LINK_DOWN_SINCE: Final = _attribute(
    "kgents.postgresql.replication.link_down_since", "Since when a standby receives nothing."
)
REPLICATION_SENDER: Final = _attribute(
    "kgents.postgresql.replication.sender", "Of a connection: the address of the server that sends."
)
ROLE: Final = _attribute("kgents.postgresql.role", "`primary` or `standby`.")
SETTINGS_PENDING_RESTART: Final = _attribute(
    "kgents.postgresql.settings_pending_restart", "Settings that take effect with the next restart."
)
SHARED_BUFFERS_BYTES: Final = _attribute("kgents.postgresql.shared_buffers_bytes", "`shared_buffers`.")
SLOTS: Final = _attribute("kgents.postgresql.slots", "Names of its replication slots.")
SLOTS_IDLE: Final = _attribute(
    "kgents.postgresql.slots_idle", "Replication slots that no one reads, each with the time since when."
)
STANDBYS_EXPECTED: Final = _attribute(
    "kgents.postgresql.standbys_expected", "Standbys that a primary had within the last day."
)
STANDBYS_MISSING_SINCE: Final = _attribute(
    "kgents.postgresql.standbys_missing_since", "Since when it has fewer than these."
)
STANDBYS: Final = _attribute("kgents.postgresql.standbys", "Names of the standbys that are connected.")
STARTED_AT: Final = _attribute("kgents.postgresql.started_at", "When it was started.")
UNREAD: Final = _attribute("kgents.postgresql.unread", "Sections of its figures that cannot be read.")
VISIBILITY: Final = _attribute("kgents.postgresql.visibility", "`full`, or `partial` without the role pg_monitor.")

ATTRIBUTES: Final = tuple(_OURS.declared)
