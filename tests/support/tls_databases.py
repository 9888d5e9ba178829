"""Real databases that speak TLS and require a certificate of their clients."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from support.certificates import Certificates
from support.pgbouncer_server import PgbouncerServer
from support.ports import free_port
from support.postgres_server import PostgresServer
from support.redis_server import RedisServer

HBA: str = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n"


async def require_certificates(server: PostgresServer, certificates: Certificates) -> None:
    """Restart a PostgreSQL so that it accepts nothing but TLS, with a certificate of the authority."""
    names = {"ca.pem": certificates.ca, "server.pem": certificates.server, "server.key": certificates.server_key}
    for name, source in names.items():
        private_copy(source, server.data / name, server)
    files = {"ssl_ca_file": "ca.pem", "ssl_cert_file": "server.pem", "ssl_key_file": "server.key"}
    await server.stop()
    server.configure(ssl="on", **files)
    (server.data / "pg_hba.conf").write_text(HBA)
    await server.start()


@asynccontextmanager
async def pgbouncer_with_tls(
    directory: Path, postgres: PostgresServer, certificates: Certificates
) -> AsyncIterator[PgbouncerServer]:
    """A PgBouncer that requires TLS and a certificate."""
    files = {"ca": certificates.ca, "cert": certificates.server, "key": certificates.server_key}
    for name, source in files.items():
        files[name] = private_copy(source, postgres.directory / f"bouncer-{name}.pem", postgres)
    settings = {f"client_tls_{name}_file": path for name, path in files.items()}
    async with PgbouncerServer(directory, postgres, client_tls_sslmode="verify-ca", **settings) as server:
        yield server


@asynccontextmanager
async def redis_with_tls(directory: Path, certificates: Certificates) -> AsyncIterator[tuple[RedisServer, int]]:
    """A Redis whose second port requires TLS and a certificate; yields it and that port."""
    port = free_port()
    options = (
        f"tls-port {port}", f"tls-cert-file {certificates.server}", f"tls-key-file {certificates.server_key}",
        f"tls-ca-cert-file {certificates.ca}", "tls-auth-clients yes",
    )  # fmt: skip
    async with RedisServer(directory, *options) as server:
        yield server, port


def private_copy(source: Path, target: Path, server: PostgresServer) -> Path:
    """A copy that only the server's owner can read: it refuses any other key."""
    shutil.copyfile(source, target)
    target.chmod(0o600)
    server.give(target)
    return target
