"""What a cluster is made of: nodes and namespaces."""

from msgspec import field

from kgents_collector_k8s.objects.metadata import Condition, Lean, Metadata


class NamespaceStatus(Lean, frozen=True, gc=False):
    """`Active` or `Terminating`."""

    phase: str = ""


class Namespace(Lean, frozen=True):
    """`v1` Namespace."""

    metadata: Metadata
    status: NamespaceStatus = NamespaceStatus()


class Taint(Lean, frozen=True, gc=False):
    """What keeps pods off a node."""

    key: str
    value: str = ""
    effect: str = ""


class NodeSpec(Lean, frozen=True):
    """The desired state of a node."""

    unschedulable: bool = False
    taints: list[Taint] | None = None
    provider_id: str = field(default="", name="providerID")


class NodeAddress(Lean, frozen=True, gc=False):
    """`InternalIP`, `ExternalIP`, `Hostname`, `InternalDNS`, `ExternalDNS`."""

    type: str
    address: str


class NodeInfo(Lean, frozen=True, gc=False):
    """What runs on the machine."""

    machine_id: str = field(default="", name="machineID")
    boot_id: str = field(default="", name="bootID")
    kernel_version: str = ""
    os_image: str = ""
    container_runtime_version: str = ""
    """`containerd://1.7.20`."""
    kubelet_version: str = ""
    operating_system: str = ""
    architecture: str = ""


class NodeStatus(Lean, frozen=True):
    """A node as its kubelet reports it."""

    conditions: list[Condition] | None = None
    addresses: list[NodeAddress] | None = None
    node_info: NodeInfo = NodeInfo()
    capacity: dict[str, str] | None = None
    allocatable: dict[str, str] | None = None


class Node(Lean, frozen=True):
    """`v1` Node."""

    metadata: Metadata
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()
