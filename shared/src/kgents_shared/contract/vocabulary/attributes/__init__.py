"""Attributes of entities and connections, each declared in the module of its field → mappings and checks by reference.

- `attribute`: how one is declared, and what it may be called.
- `otel`: what OpenTelemetry has a name for, whatever the field.
- one module for each field: what it has no name for.
"""

from typing import Final

from kgents_shared.contract.vocabulary.attributes import (
    any_entity,
    docker,
    host,
    kubernetes,
    nats,
    otel,
    otel_event,
    pgbouncer,
    postgres,
    qdrant,
    redis,
)
from kgents_shared.contract.vocabulary.attributes.attribute import Attribute

FIELDS: Final[dict[str, tuple[Attribute, ...]]] = {
    "OpenTelemetry's": otel.ATTRIBUTES,
    "Any entity": any_entity.ATTRIBUTES,
    "NATS": nats.ATTRIBUTES,
    "Kubernetes": kubernetes.ATTRIBUTES,
    "Docker": docker.ATTRIBUTES,
    "Machines": host.ATTRIBUTES,
    "PostgreSQL": postgres.ATTRIBUTES,
    "PgBouncer": pgbouncer.ATTRIBUTES,
    "Redis and Valkey": redis.ATTRIBUTES,
    "Qdrant": qdrant.ATTRIBUTES,
    "OpenTelemetry's entity events": otel_event.ATTRIBUTES,
}
"""Heading → the attributes of a field."""

ATTRIBUTES: Final = tuple(attribute for attributes in FIELDS.values() for attribute in attributes)
"""Every attribute that is declared."""
