"""The settings of PostgreSQL and PgBouncer: those of deploy/databases, sized by what is asked for. Pure."""

from typing import Final

from kgents_operator.files import text
from kgents_operator.resources.postgres import Spec
from kgents_shared.kubernetes.quantity import number

MIB: Final = 1024**2
CONNECTIONS: Final = 200
"""Of the server, as in its settings."""
POOL: Final = 20
"""Connections to the server that one PgBouncer holds for a user."""
TLS: Final = "/tls"
ARCHIVE: Final = "/archive"
ARCHIVING: Final = f"sh /config/postgres-archive %p {ARCHIVE}/%f"


def archives(spec: Spec) -> bool:
    """Whether every change is kept beside base backups."""
    return spec.backup.archive and spec.backup.enabled and spec.backup.destination is not None


def postgresql(spec: Spec) -> str:
    """postgresql.conf: of two lines for one setting the server takes the last."""
    memory = number(str(spec.resources.limits.memory)) or 512 * MIB
    disk = number(str(spec.storage.size)) or 1024 * MIB
    own = {
        "shared_buffers": _mib(memory / 4),
        "effective_cache_size": _mib(memory * 3 / 4),
        "maintenance_work_mem": _mib(memory / 16),
        "work_mem": _mib(max(memory / 4 / CONNECTIONS, 4 * MIB)),
        # A full volume stops the server: its log may have an eighth of it, and what slots hold back a quarter.
        "max_wal_size": _mib(max(disk / 8, 64 * MIB)),
        "min_wal_size": "32MB",
        "max_slot_wal_keep_size": _mib(max(disk / 4, 128 * MIB)),
        **({"archive_mode": "on", "archive_command": ARCHIVING} if archives(spec) else {"archive_mode": "off"}),
        "ssl": "on",
        "ssl_min_protocol_version": "TLSv1.2",
        "ssl_cert_file": f"{TLS}/tls.crt",
        "ssl_key_file": f"{TLS}/tls.key",
    }
    lines = "\n".join(f"{name} = '{value}'" for name, value in own.items())
    return f"{text('postgresql.conf')}\n# By the PostgresCluster.\n{lines}\n"


def pgbouncer(spec: Spec, host: str) -> str:
    """pgbouncer.ini: of two lines for one setting the last counts."""
    own = {
        "pool_mode": spec.pooler.pool_mode,
        "default_pool_size": POOL,
        "max_client_conn": spec.pooler.max_connections,
        "client_tls_sslmode": "require",
        "client_tls_key_file": f"{TLS}/tls.key",
        "client_tls_cert_file": f"{TLS}/tls.crt",
        "server_tls_sslmode": "verify-full",
        "server_tls_ca_file": f"{TLS}/ca.crt",
    }
    lines = "\n".join(f"{name} = {value}" for name, value in own.items())
    return f"{text('pgbouncer.ini').replace('host=postgres ', f'host={host} ')}\n; By the PostgresCluster.\n{lines}\n"


def _mib(size: float) -> str:
    return f"{max(1, int(size / MIB))}MB"
