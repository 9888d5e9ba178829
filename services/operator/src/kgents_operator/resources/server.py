"""What is asked for of every server, whatever it runs: resources, storage, a certificate, what stays of it. Pure."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from kgents_operator.resources.part import Label, Part, Quantity, Rule

StorageClass = Annotated[Label, Meta(description="The StorageClass; absent: the cluster's default. It cannot change.")]

DeletionPolicy = Annotated[
    Literal["Retain", "Delete"],
    Meta(description="What becomes of the volumes when this resource is deleted. Secrets stay in any case."),
]


class Amounts(Part, frozen=True):
    """Of processor and memory."""

    cpu: Quantity
    memory: Quantity


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


class Tls(Part, frozen=True):
    """The certificate of what clients connect to. Connections without TLS are refused in any case."""

    secret_name: (
        Annotated[
            Label,
            Meta(description="A Secret with tls.crt, tls.key and ca.crt, as cert-manager makes them; absent: our own."),
        ]
        | None
    ) = None


def stored(size: str, kind: str) -> tuple[Rule, ...]:
    """The rules of a volume. `size`: the field with its size; `kind`: that of the resource."""
    return (
        Rule(
            "has(self.storageClassName) == has(oldSelf.storageClassName) && "
            "(!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
            f"the storage class cannot change: make another {kind} and restore a copy into it",
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
