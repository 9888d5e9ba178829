"""The numbered catalogue of checks, as data: one module for each area → `CATALOGUE` → `Config.checks` → reducer.

KG-0xx state of any entity, KG-1xx resources, KG-2xx NATS, KG-3xx databases, KG-4xx requests, KG-6xx machines.
"""

from typing import Final

from kgents_health_scorer.checks import (
    coherency,
    host,
    kubernetes,
    nats,
    pgbouncer,
    postgres,
    postgres_replication,
    qdrant,
    redis,
    resource,
    restarts,
    source,
    status,
    traffic,
    workloads,
)
from kgents_health_scorer.checks.check import Check, of

POSTGRESQL: Final = ("postgresql",)
PGBOUNCER: Final = ("pgbouncer",)
REDIS: Final = ("redis", "valkey")
QDRANT: Final = ("qdrant",)
"""Values of `db.system.name`."""

CATALOGUE: Final[tuple[Check, ...]] = (
    *status.CHECKS,
    *source.CHECKS,
    *restarts.CHECKS,
    *workloads.CHECKS,
    *kubernetes.CHECKS,
    *resource.CHECKS,
    *traffic.CHECKS,
    *nats.CHECKS,
    *host.CHECKS,
    *of(POSTGRESQL, postgres.CHECKS, postgres_replication.CHECKS),
    *of(PGBOUNCER, pgbouncer.CHECKS),
    *of(REDIS, redis.CHECKS),
    *of(QDRANT, qdrant.CHECKS),
    *coherency.CHECKS,
)
"""What is asked unless it is disabled."""

PROFILES: Final[dict[str, tuple[Check, ...]]] = {
    "absolute": (*of(POSTGRESQL, postgres.ABSOLUTE), *of(REDIS, redis.ABSOLUTE), *of(QDRANT, qdrant.ABSOLUTE)),
}
"""What is asked only of those who want it: thresholds in absolute numbers, which suit one system and no other."""
