"""Figures: what pulses measure, each declared in the module of its field → mappings and checks by reference.

- `figure`: how one is declared.
- `resource`: what any entity may use, and what a program of your own may send.
- `database`: what databases have in common.
- one module for each field: what its collector measures.
"""

from typing import Final

from kgents_shared.contract.vocabulary.figures import (
    coherency,
    database,
    docker,
    host,
    kubernetes,
    nats,
    otel,
    pgbouncer,
    postgres,
    qdrant,
    redis,
    resource,
    traffic,
)
from kgents_shared.contract.vocabulary.figures.figure import Figure

FIELDS: Final[dict[str, tuple[Figure, ...]]] = {
    "Any entity": resource.FIGURES,
    "NATS": nats.FIGURES,
    "Kubernetes": kubernetes.FIGURES,
    "Docker": docker.FIGURES,
    "Machines": host.FIGURES,
    "Databases": database.FIGURES,
    "PostgreSQL": postgres.FIGURES,
    "PgBouncer": pgbouncer.FIGURES,
    "Redis and Valkey": redis.FIGURES,
    "Qdrant": qdrant.FIGURES,
    "Comparisons of two databases": coherency.FIGURES,
    "OpenTelemetry": otel.FIGURES,
    "Traffic": traffic.FIGURES,
}
"""Heading → the figures of a field."""

FIGURES: Final = tuple(figure for figures in FIELDS.values() for figure in figures)
"""Every figure that is declared."""
COUNTERS: Final = frozenset(figure.name for figure in FIGURES if figure.is_counter)
"""Names of those that only grow. A figure that is not declared is a gauge."""
