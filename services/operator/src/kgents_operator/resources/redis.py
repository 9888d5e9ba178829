"""RedisCluster: a Valkey or Redis server and its replicas, as a person asks for them. Pure."""

from typing import Annotated, ClassVar, Final, Literal

from msgspec import Meta, Struct

from kgents_operator.resources.part import Part, Quantity, Rule
from kgents_operator.resources.server import Amounts, Bounded, MemoryStatus, ServerSpec, StorageClass, measured, stored

PORT: Final = 6379
REPLICAS_MAX: Final = 3
"""Servers, with the primary."""
_MEMORY: Final = "self.maxMemory.replace('kb', 'Ki').replace('mb', 'Mi').replace('gb', 'Gi')"


class Limits(Amounts, frozen=True):
    """What a server may use at most."""

    cpu: Quantity = "200m"
    memory: Annotated[Quantity, Meta(description="Above maxMemory: a save copies every page written meanwhile.")] = (
        "256Mi"
    )


class Requests(Amounts, frozen=True):
    """What is reserved for a server."""

    cpu: Quantity = "50m"
    memory: Quantity = "128Mi"


class Resources(Bounded, frozen=True):
    """Processor and memory of each server."""

    limits: Limits = Limits()
    requests: Requests = Requests()


class Persistence(Part, frozen=True):
    """A volume for each server, with an append-only file that loses a second at most."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.enabled) || !has(oldSelf.enabled) || self.enabled == oldSelf.enabled",
            "persistence cannot be switched: make another RedisCluster",
        ),
        *stored("storageSize"),
    )

    enabled: Annotated[bool, Meta(description="Without it a restart loses every key. It cannot change.")] = True
    storage_size: Annotated[Quantity, Meta(description="Of each volume; it can only grow.")] = "1Gi"
    storage_class_name: StorageClass | None = None


class Pubsub(Part, frozen=True):
    """Channels, for those who log in as the application."""

    enabled: bool = True


class Metrics(Part, frozen=True):
    """An exporter for Prometheus beside each server. collector-db needs none: it finds servers by their label."""

    rules: ClassVar[tuple[Rule, ...]] = measured(PORT)

    enabled: bool = True
    port: Annotated[int, Meta(ge=1024, le=65535)] = 9121


class Spec(ServerSpec, frozen=True):
    """What is asked for. Passwords are no part of it: they are in Secrets, made once."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.replicas) || self.replicas == 1 || !has(self.persistence) || !has(self.persistence.enabled) || "
            "self.persistence.enabled",
            "replicas need persistence: a primary without it comes back empty, and empties them",
        ),
        Rule(
            "!has(self.maxMemory) || !has(self.resources) || !has(self.resources.limits) || "
            "!has(self.resources.limits.memory) || "
            f"quantity({_MEMORY}).compareTo(quantity(string(self.resources.limits.memory))) < 0",
            "maxMemory must be below the limit of memory: a save copies every page written meanwhile",
        ),
    )

    image: (
        Annotated[
            str,
            Meta(
                max_length=200,
                pattern=r"^[^\s@]+(:[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$",
                description="Valkey, or Redis 7.0 and newer; absent: the operator's.",
                extra_json_schema={
                    "x-kubernetes-validations": [
                        Rule("!self.contains(':latest')", "an image with a version or digest, not latest").document()
                    ]
                },
            ),
        ]
        | None
    ) = None
    replicas: Annotated[
        int,
        Meta(
            ge=1, le=REPLICAS_MAX,
            description="Servers: one primary, which takes writes, and others that follow it. No one is elected.",
        ),
    ] = 1  # fmt: skip
    max_memory: Annotated[
        str, Meta(max_length=12, pattern="^[1-9][0-9]*(kb|mb|gb)$", description="For keys: 128mb, 2gb.")
    ] = "128mb"
    eviction_policy: Annotated[
        Literal[
            "noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu",
            "volatile-random", "volatile-ttl",
        ],
        Meta(description="Which keys go when maxMemory is full; noeviction: writes are refused."),
    ] = "allkeys-lru"  # fmt: skip
    resources: Resources = Resources()
    persistence: Persistence = Persistence()
    pubsub: Pubsub = Pubsub()
    metrics: Metrics = Metrics()


class Status(MemoryStatus, frozen=True):
    """What was found. Figures are those of the stream, of the primary; absent: not known."""

    replicas_endpoint: Annotated[str, Meta(description="Of the replicas, which are read only.")] | None = None
    hit_rate: Annotated[str, Meta(description="The share of lookups that found their key, 0 to 1.")] | None = None
    connections: Annotated[int, Meta(description="Clients that are connected.")] | None = None


class RedisCluster(Struct, frozen=True):
    """What is read of a resource; its metadata are those of every object."""

    spec: Spec
