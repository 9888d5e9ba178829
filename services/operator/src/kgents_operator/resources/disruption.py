"""Disruption: something that is taken from one of our databases for a time, to see that it is noticed. Pure."""

from typing import Annotated, ClassVar, Final, Literal

from msgspec import Meta, Struct

from kgents_operator.resources.part import Conditions, Label, Part, Rule

LONGEST_S: Final = 3600


class Target(Part, frozen=True):
    """What it is taken from: a resource of ours in the same namespace."""

    kind: Literal["PostgresCluster", "RedisCluster", "QdrantCluster"]
    name: Label
    component: Annotated[
        Literal["database", "replicas", "pooler"],
        Meta(description="Which of its pods; database: those that take writes."),
    ] = "database"


class Spec(Part, frozen=True):
    """What is asked for. Nothing is done before a dry run has named the pods."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.target == oldSelf.target && self.action == oldSelf.action && "
            "self.durationSeconds == oldSelf.durationSeconds && self.reason == oldSelf.reason",
            "what a disruption does cannot change: make another one",
        ),
        Rule("!oldSelf.abort || self.abort", "an abort cannot be taken back: make another disruption"),
    )

    target: Target
    action: Annotated[
        Literal["DeletePod", "CutNetwork", "PauseContainer"],
        Meta(
            description="DeletePod: one pod, once. CutNetwork: nothing may connect to the pods for durationSeconds. "
            "PauseContainer: refused, since the API of Kubernetes has no such request."
        ),
    ]
    reason: Annotated[str, Meta(min_length=1, max_length=200, description="Why, for the audit trail.")]
    duration_seconds: Annotated[
        int,
        Meta(
            ge=1, le=LONGEST_S,
            description="After so long the operator lets clients in again. A cut begins only while a second operator "
            "stands by, which would do so if the first were lost; without both, Kubernetes deletes the network policy "
            "a minute later.",
        ),
    ] = 60  # fmt: skip
    dry_run: Annotated[bool, Meta(description="Only name the pods, in the status; false: do it, to these.")] = True
    allow_last_replica: Annotated[
        bool, Meta(description="Whether it may take the last pod of the component that is ready.")
    ] = False
    abort: Annotated[bool, Meta(description="End it now. Deleting the resource does so, too.")] = False


class Named(Part, frozen=True):
    """A pod that is taken, or the Job that ends a cut."""

    name: str
    uid: str


class Status(Part, frozen=True):
    """What came of it."""

    observed_generation: int = 0
    phase: Annotated[
        Literal["Planned", "Running", "Ended", "Aborted", "Refused"],
        Meta(description="Planned: the dry run has named the pods, and nothing was done."),
    ] = "Refused"
    pods: Annotated[
        list[Named],
        Meta(
            max_length=32,
            extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = []
    timer: (
        Annotated[
            Named, Meta(description="The Job with which the network policy of a cut goes where no operator ends it.")
        ]
        | None
    ) = None
    started_at: Annotated[str, Meta(extra_json_schema={"format": "date-time"})] | None = None
    ends_at: Annotated[str, Meta(extra_json_schema={"format": "date-time"})] | None = None
    conditions: Conditions = []


class Disruption(Struct, frozen=True):
    """What is read of a resource; its metadata are those of every object."""

    spec: Spec
