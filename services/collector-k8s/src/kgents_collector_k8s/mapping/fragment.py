"""What one Kubernetes object says by itself: object → Fragment → inventory, which adds what other objects decide. Pure.

An entity is more than its object: which Deployment owns a pod stands in a ReplicaSet, which Service routes to it in an
EndpointSlice, which NetworkPolicy selects it in the policy. The mapping of a kind tells only what its own object says
and leaves in the fragment what the inventory needs to join the rest.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct

from kgents_shared.contract.entity import Entity, Ref

SOURCE = "k8s"
O = TypeVar("O")  # noqa: E741 - an object of the Kubernetes API


class Scope(Struct, frozen=True):
    """What every mapping is told besides the object."""

    cluster: str
    """Our name of the observed cluster: the first token of every subject."""


class Owner(Struct, frozen=True, gc=False):
    """The controlling owner, by the API's own names: `metadata.ownerReferences[controller=true]`."""

    api_kind: str
    """`ReplicaSet`, `Job`, `Rollout`: as the API spells it."""
    api_group: str
    """`apps`, `batch`, `argoproj.io`; empty for the core group."""
    name: str
    uid: str


class Endpoint(Struct, frozen=True, gc=False):
    """One pod behind a Service, as an EndpointSlice says."""

    pod: Ref
    service: Ref
    is_ready: bool
    is_serving: bool
    is_terminating: bool
    ports: tuple[str, ...]
    """`http:8080/TCP`, sorted."""


class ExternalEndpoint(Struct, frozen=True, gc=False):
    """One backend of a Service that is no pod: a database outside the cluster, entered by hand."""

    address: str
    """`10.9.0.4:5432`, or without a port if the slice has none: an alias for whoever claims it."""
    service: Ref
    is_ready: bool
    is_serving: bool
    is_terminating: bool


class Selector(Struct, frozen=True):
    """A NetworkPolicy's pod selector, `matchLabels` and `matchExpressions`; an empty one selects the namespace."""

    policy: Ref
    match_labels: dict[str, str]
    match_expressions: tuple[tuple[str, str, tuple[str, ...]], ...]
    """(key, operator, values); operators `In NotIn Exists DoesNotExist`."""


class Fragment(Struct, frozen=True):
    """What one object says by itself."""

    uid: str
    entities: list[Entity] = []
    """The object's own entity first, then what is inside it (a pod's containers). Empty: it is not shown itself."""
    owner: Owner | None = None
    """The controlling owner, for ownership through objects that are not shown (ReplicaSet → Deployment)."""
    references: list[Ref] = []
    """ConfigMaps and Secrets that it names: they are shown for as long as somebody names them."""
    hashes: dict[str, str] = {}
    """A pod's labels that are not shown, by which a selector may still choose it."""
    service: Ref | None = None
    """The Service whose endpoints these are, also when there are none."""
    endpoints: list[Endpoint] = []
    external_endpoints: list[ExternalEndpoint] = []
    selector: Selector | None = None


class Kind(Struct, Generic[O], frozen=True):
    """One kind of the API: where it is served, how it is decoded, what it says."""

    kind: str
    """Ours: `pod`, `deployment`, `replicaset`, `endpointslice`, `networkpolicy`, …"""
    api_kind: str
    """The API's: `Pod`, `Deployment`, …"""
    group: str
    version: str
    resource: str
    """The plural in the path: `pods`."""
    type: type[O]
    """The lean Struct that one object is decoded to; unknown fields are skipped unread."""
    fragment: Callable[[O, Scope], Fragment]
    is_namespaced: bool = True
    is_optional: bool = False
    """Whether many clusters do not serve it (Gateway API): then its absence is no fault."""
    is_custom: bool = False

    @property
    def place(self) -> str:
        """Where the inventory keeps its objects: `pods`. A custom resource may have the plural of a built-in one."""
        return f"{self.resource}.{self.group}" if self.is_custom else self.resource
