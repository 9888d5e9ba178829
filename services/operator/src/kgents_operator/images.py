"""The images of what the operator makes. Pure."""

import re
from collections.abc import Iterator
from typing import Final

from kgents_shared.contract.section import Fault, Section

_PINNED: Final = re.compile(r"[^\s@]+(?::(?!latest$)[\w][\w.-]*|@sha256:[0-9a-f]{64})")


class Images(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The images, each with a version that does not move."""

    postgres: str = "docker.io/library/postgres:{version}-bookworm"
    """Of the server; `{version}` is the major version that a PostgresCluster asks for. A digest instead of it serves
    one major version."""

    postgres_cnpg: str = "ghcr.io/cloudnative-pg/postgresql:{version}"
    """Of the instances of a Cluster of CloudNativePG."""

    pgbouncer: str = "ghcr.io/cloudnative-pg/pgbouncer:1.24.1"
    """Of the poolers; PgBouncer 1.21 and newer keep prepared statements in pool mode `transaction`."""

    postgres_exporter: str = "quay.io/prometheuscommunity/postgres-exporter:v0.18.1"
    """Of the exporter beside the server."""

    redis: str = "docker.io/valkey/valkey:8.1.4-bookworm"
    """Of the servers of a RedisCluster that names none: Valkey, or Redis 7.0 and newer."""

    redis_exporter: str = "docker.io/oliver006/redis_exporter:v1.74.0"
    """Of the exporter beside each of them."""

    qdrant: str = "docker.io/qdrant/qdrant:v1.15.4-unprivileged"
    """Of the peers of a QdrantCluster: one of those that do not run as root."""

    curl: str = "docker.io/curlimages/curl:8.16.0"
    """Of what makes collections and snapshots of a QdrantCluster: curl and a shell."""

    def faults(self) -> Iterator[Fault]:
        for name in self.__struct_fields__:
            image = getattr(self, name)
            if not _PINNED.fullmatch(image.replace("{version}", "0")):
                yield Fault(name, "an image with a version or digest, not latest", f'"{image}"', "try: name:1.2.3")
