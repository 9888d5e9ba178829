"""QdrantCluster: peers of Qdrant that agree by raft, as a person asks for them. Pure."""

from typing import Annotated, ClassVar, Final, Literal

from msgspec import Meta, Struct

from kgents_operator.resources.part import Part, Rule
from kgents_operator.resources.server import MemoryStatus, Resources, ServerSpec, Storage

PORT: Final = 6333
GRPC_PORT: Final = 6334
RAFT_PORT: Final = 6335
REPLICAS_MAX: Final = 9
COLLECTIONS_MAX: Final = 100
"""As many as collector-db reads of one server."""
Name = Annotated[str, Meta(max_length=100, pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class Collection(Part, frozen=True):
    """A collection that is made where there is none of its name. None is ever changed or deleted."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.dimensions == oldSelf.dimensions && self.distance == oldSelf.distance",
            "dimensions and distance of a collection cannot change: make another collection",
        ),
    )

    name: Name
    dimensions: Annotated[int, Meta(ge=1, le=65536, description="Of each vector. They cannot change.")]
    distance: Annotated[
        Literal["Cosine", "Euclid", "Dot"], Meta(description="How vectors are compared. It cannot change.")
    ] = "Cosine"


class Metrics(Part, frozen=True):
    """Whether Prometheus may connect to each peer, for /metrics. collector-db may in any case."""

    enabled: bool = True


class Spec(ServerSpec, frozen=True):
    """What is asked for. API keys are no part of it: they are in Secrets, made once."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.replicas) || !has(oldSelf.replicas) || self.replicas >= oldSelf.replicas",
            "peers cannot become fewer: shards would be lost with those that go; make another QdrantCluster, and "
            "restore snapshots into it",
        ),
    )

    replicas: Annotated[
        int,
        Meta(
            ge=1, le=REPLICAS_MAX,
            description="Peers. They cannot become fewer. Two need each other; three go on while one is away.",
        ),
    ] = 1  # fmt: skip
    storage: Annotated[
        Storage, Meta(description="The volume of each peer: its data, and a snapshot of it while one is made.")
    ] = Storage()
    resources: Resources = Resources()
    collections: Annotated[
        list[Collection],
        Meta(
            max_length=COLLECTIONS_MAX,
            description="Made where they are not there.",
            extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = []
    metrics: Metrics = Metrics()


class Found(Part, frozen=True):
    """A collection that there is."""

    name: str
    vectors: Annotated[int, Meta(description="Absent: not known.")] | None = None


class Status(MemoryStatus, frozen=True):
    """What was found. Figures are those of the stream, as the first peer has them; absent: not known."""

    collection_count: int | None = None
    collections: (
        Annotated[
            list[Found],
            Meta(
                max_length=COLLECTIONS_MAX,
                extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
            ),
        ]
        | None
    ) = None


class QdrantCluster(Struct, frozen=True):
    """What is read of a resource; its metadata are those of every object."""

    spec: Spec
