"""What one Kubernetes object states: object → Fragment → inventory, which adds what other objects determine. Pure.

An entity is more than its object: the Deployment that owns a pod is named in a ReplicaSet, the Service that routes to
it in an EndpointSlice, the NetworkPolicy that selects it in the policy. The mapping of a kind returns only what its own
object states, and puts into the fragment what the inventory needs to join the rest.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct

from kgents_shared.contract.entity import Entity, Ref

SOURCE = "k8s"
O = TypeVar("O")  # noqa: E741 - an object of the Kubernetes API


class Scope(Struct, frozen=True):
    """What every mapping gets besides the object."""

    cluster: str
    """Our name of the observed cluster: the first token of every subject."""


class Owner(Struct, frozen=True, gc=False):
    """The controlling owner, in the API's own names: `metadata.ownerReferences[controller=true]`."""

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
    """One backend of a Service that is not a pod: a database outside the cluster, entered by hand."""

    address: str
    """`10.9.0.4:5432`, or without a port if the slice has none: an address that another entity may claim."""
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


class Fragment(Struct, frozen=True, gc=False):
    """What one object states."""

    uid: str
    entities: list[Entity] = []
    """The object's own entity first, then its parts (a pod's containers). Empty: the object is not shown."""
    owner: Owner | None = None
    """The controlling owner, for ownership through objects that are not shown (ReplicaSet → Deployment)."""
    references: list[Ref] = []
    """ConfigMaps and Secrets that it refers to: they are shown for as long as any object refers to them."""
    hashes: dict[str, str] = {}
    """A pod's labels that are not shown, which a selector may still match."""
    service: Ref | None = None
    """The Service whose endpoints these are, also when there are none."""
    endpoints: list[Endpoint] = []
    external_endpoints: list[ExternalEndpoint] = []
    selector: Selector | None = None
    makes: dict[str, str] = {}
    """The labels of the pods that it makes, a Deployment for example, also while it makes none."""
    leads_to: dict[str, str] = {}
    """A Service's selector."""


class Kind(Struct, Generic[O], frozen=True):
    """One kind of the API: where it is served, how it is decoded and mapped."""

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
    """Whether many clusters do not serve it (Gateway API): then its absence is not a fault."""
    is_custom: bool = False

    @property
    def place(self) -> str:
        """Where the inventory keeps its objects: `pods`. A custom resource may have the plural of a built-in one."""
        return f"{self.resource}.{self.group}" if self.is_custom else self.resource
