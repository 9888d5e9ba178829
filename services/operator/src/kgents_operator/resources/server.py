"""What is asked for and said of every server, whatever it runs. Pure."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from kgents_operator.resources.backup import Backup
from kgents_operator.resources.part import Conditions, Label, Part, Quantity, Rule

StorageClass = Annotated[Label, Meta(description="The StorageClass; absent: the cluster's default. It cannot change.")]

DeletionPolicy = Annotated[
    Literal["Retain", "Delete"],
    Meta(description="What becomes of the volumes when this resource is deleted. Secrets stay in any case."),
]


class Amounts(Part, frozen=True):
    """Of processor and memory."""

    cpu: Quantity
    memory: Quantity


class Limits(Amounts, frozen=True):
    """What each server may use at most."""

    cpu: Quantity = "500m"
    memory: Quantity = "512Mi"


class Requests(Amounts, frozen=True):
    """What is reserved for each server."""

    cpu: Quantity = "100m"
    memory: Quantity = "256Mi"


class Bounded(Part, frozen=True):
    """What a server may use at most, and what is reserved for it."""

    rules: ClassVar[tuple[Rule, ...]] = tuple(
        Rule(
            f"!has(self.requests) || !has(self.limits) || !has(self.requests.{each}) || !has(self.limits.{each}) || "
            f"quantity(string(self.requests.{each})).compareTo(quantity(string(self.limits.{each}))) <= 0",
            f"the request of {each} is above its limit",
        )
        for each in ("cpu", "memory")
    )

    limits: Amounts
    requests: Amounts


class Resources(Bounded, frozen=True):
    """Processor and memory of each server."""

    limits: Limits = Limits()
    requests: Requests = Requests()


class Tls(Part, frozen=True):
    """The certificate of what clients connect to. Connections without TLS are refused in any case."""

    secret_name: (
        Annotated[
            Label,
            Meta(description="A Secret with tls.crt, tls.key and ca.crt, as cert-manager makes them; absent: our own."),
        ]
        | None
    ) = None


def stored(size: str) -> tuple[Rule, ...]:
    """The rules of a volume. `size`: the field with its size."""
    return (
        Rule(
            "has(self.storageClassName) == has(oldSelf.storageClassName) && "
            "(!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
            "the storage class cannot change: make another resource and restore a copy into it",
        ),
        Rule(
            f"!has(self.{size}) || !has(oldSelf.{size}) || "
            f"quantity(string(self.{size})).compareTo(quantity(string(oldSelf.{size}))) >= 0",
            "storage can only grow: no volume shrinks",
        ),
    )


def measured(port: int) -> tuple[Rule, ...]:
    """The rules of an exporter. `port`: that of its server."""
    return (Rule(f"!has(self.port) || self.port != {port}", "the port of the metrics is that of the server"),)


class Storage(Part, frozen=True):
    """The volume of each server."""

    rules: ClassVar[tuple[Rule, ...]] = stored("size")

    size: Annotated[Quantity, Meta(description="Of each volume; it can only grow.")] = "1Gi"
    storage_class_name: StorageClass | None = None


class ServerSpec(Part, frozen=True):
    """What every kind can be asked for."""

    backup: Backup = Backup()
    tls: Tls = Tls()
    deletion_policy: DeletionPolicy = "Retain"


class ServerStatus(Part, frozen=True):
    """What every kind says. Figures are those of the stream; absent: not known."""

    observed_generation: int = 0
    phase: (
        Annotated[
            Literal["Pending", "Initializing", "Running", "Failed", "Degraded"], Meta(description="Absent: not known.")
        ]
        | None
    ) = None
    ready: Annotated[bool, Meta(description="Absent: not known.")] | None = None
    endpoint: Annotated[str, Meta(description="Of the server that takes writes.")] | None = None
    measured_at: Annotated[str, Meta(extra_json_schema={"format": "date-time"})] | None = None
    conditions: Conditions = []


class MemoryStatus(ServerStatus, frozen=True):
    """Of a kind with several servers that hold their data in memory."""

    ready_replicas: Annotated[int, Meta(description="Servers that answer.")] | None = None
    memory_usage: Annotated[str, Meta(description="What keys, vectors and buffers of the first server use.")] | None = (
        None
    )
